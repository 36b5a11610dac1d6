/** A peer with bad manners, run inside a laboratory host (wire-peer.mjs). */
import { fileURLToPath } from 'node:url';
import { protectRequestSchema } from '../../src/agent/control/protect-request.js';
import { settingsOf } from '../../src/agent/domain/domain-record.js';
import { AGENT_PORT_DEFAULT } from '../../src/agent/limits.js';
import { openHypervisor } from '../../src/hypervisor/connection.js';
import { describeDomain } from '../../src/hypervisor/description.js';
import { identityOf } from '../../src/hypervisor/identity.js';
import type { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import type { Host } from '../../src/lab/place.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { type Message, PROTOCOL_VERSIONS } from '../../src/wire/messages.js';

const PROGRAM = fileURLToPath(new URL('./wire-peer.mjs', import.meta.url));

export interface PeerFrame {
  type: string;
  epoch?: number;
  term?: number;
  payload?: Buffer;
}

export interface PeerReply {
  type?: string;
  epoch?: number;
  text?: string;
  closed?: unknown;
  /** Code of what went wrong at its own end. */
  failed?: string;
}

export interface PeerManners {
  /** Without TLS. */
  plain?: boolean;
  /** Another directory of certificates, inside the host; null: none. */
  pki?: string | null;
}

/** What a right primary would ask an agent, to protect the domain with every default. */
export function prepareMessage(domain: string): Message<'prepare'> {
  const backup = { host: HOST_ADDRESSES.b.repl, port: AGENT_PORT_DEFAULT };
  const request = protectRequestSchema.parse({ domain, backup, recovery: 'manual' });
  return {
    purpose: 'prepare',
    versions: [...PROTOCOL_VERSIONS],
    domain,
    settings: settingsOf(request),
    agentPort: AGENT_PORT_DEFAULT,
    backupAddresses: [backup.host],
  };
}

export class Peer {
  constructor(
    private readonly from: Host,
    private readonly to: string,
    private readonly manners: PeerManners = {},
  ) {}

  static message(type: string, message: object, epoch = 0): PeerFrame {
    return { type, epoch, payload: Buffer.from(JSON.stringify(message)) };
  }

  /** Sends the frames; resolves with every answer once the other side hangs up or `lingerMs` is over. */
  talk(port: number, frames: readonly PeerFrame[], lingerMs = 3_000): Promise<PeerReply[]> {
    const encoded = frames.map(({ payload, ...rest }) => ({
      ...rest,
      payload: payload?.toString('base64') ?? '',
    }));
    return this.#run({ port, frames: encoded, linger: lingerMs });
  }

  raw(port: number, bytes: Buffer): Promise<PeerReply[]> {
    return this.#run({ port, raw: bytes.toString('base64') });
  }

  /** Asks the agent for a backup session: its port, and the token for it. */
  async prepare(agentPort: number, domain: string): Promise<Message<'prepared'>> {
    const hello = Peer.message('hello', prepareMessage(domain));
    const [reply] = await this.talk(agentPort, [hello], 15_000);
    if (reply?.type !== 'welcome') throw new Error(`prepare: ${JSON.stringify(reply)}`);
    return JSON.parse(reply.text ?? '') as Message<'prepared'>;
  }

  /** The HELLO that a right primary would say for this guest. */
  async helloFor(
    lab: Lab,
    guest: GuestRecord,
  ): Promise<Omit<Message<'helloCheckpoints'>, 'token'>> {
    const hypervisor = await openHypervisor({ uri: lab.host('a').libvirtUri });
    try {
      const domain = await hypervisor.domain(guest.name);
      return {
        purpose: 'checkpoints',
        versions: [...PROTOCOL_VERSIONS],
        domain: guest.name,
        identity: await identityOf(domain),
        ...(await describeDomain(domain)),
        heartbeat: { intervalMs: 50, missedMax: 100 },
        heartbeatPaths: 1,
        consistency: 'strong',
        session: '0'.repeat(32),
        disks: [],
        firstEpoch: 1,
        agentPort: 7788,
      };
    } finally {
      await hypervisor.close();
    }
  }

  async #run(request: object): Promise<PeerReply[]> {
    const argument = JSON.stringify({ host: this.to, ...this.manners, ...request });
    const { stdout } = await this.from.exec(process.execPath, [PROGRAM, argument]);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as PeerReply);
  }
}
