/** Two namespaces on a bridge, a guest and a client, with the ends of connections in them (hold-peer.c). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { SESSION_NICENESS } from '../../src/agent/limits.js';
import { runCommand } from '../../src/lab/command.js';
import { endChild } from '../disk/child.js';
import { benchError } from '../errors.js';

const SOURCE = fileURLToPath(new URL('../../../bench/overhead/hold-peer.c', import.meta.url));

const BRIDGE = 'usbhbr';
const GUEST = { space: 'usbh-guest', cable: 'usbhg', address: '10.87.0.2' };
const CLIENT = { space: 'usbh-client', cable: 'usbhc', address: '10.87.0.3' };
const BULK_PORT = '7001';
const ECHO_PORT = '7002';

export class HoldBridge {
  readonly bridge = BRIDGE;
  /** The bridge port that what the guest sends comes in at. */
  readonly tap = GUEST.cable;
  readonly #servers: ChildProcess[] = [];
  private constructor(private readonly directory: string) {}

  static async make(): Promise<HoldBridge> {
    const bridge = new HoldBridge(await mkdtemp(`${tmpdir()}/understudy-hold-peer-`));
    try {
      await runCommand('gcc', ['-O2', '-o', bridge.#program, SOURCE]);
      await takeDown();
      await ip(`link add ${BRIDGE} type bridge stp_state 0`, `link set ${BRIDGE} up`);
      for (const end of [GUEST, CLIENT]) await addEnd(end);
      await bridge.#serve('sink', BULK_PORT);
      await bridge.#serve('echo', ECHO_PORT);
      return bridge;
    } catch (failure) {
      await bridge.remove();
      throw failure;
    }
  }

  /** TCP from the guest to the client. @throws BENCH_PROGRAM_FAILED */
  bulkBytesPerSecond(seconds: number): Promise<number> {
    return this.#ask('source', BULK_PORT, seconds);
  }

  /** Median of `count` small datagrams from the guest to the client and back. @throws BENCH_PROGRAM_FAILED */
  roundTripUs(count: number): Promise<number> {
    return this.#ask('ping', ECHO_PORT, count);
  }

  async remove(): Promise<void> {
    for (const server of this.#servers) await endChild(server);
    await takeDown();
    await rm(this.directory, { recursive: true });
  }

  get #program(): string {
    return `${this.directory}/hold-peer`;
  }

  #start(space: string, args: readonly string[]): ChildProcess {
    // Ahead of other work, as sessions are.
    const command = ['-n', String(SESSION_NICENESS), 'ip', 'netns', 'exec', space, this.#program];
    return spawn('nice', [...command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  async #serve(role: string, port: string): Promise<void> {
    const server = this.#start(CLIENT.space, [role, CLIENT.address, port]);
    this.#servers.push(server);
    if (server.stdout === null) throw benchError('BENCH_PROGRAM_FAILED', `${role}: no output`);
    await Promise.race([
      once(server.stdout, 'data'),
      once(server, 'exit').then(() => {
        throw benchError('BENCH_PROGRAM_FAILED', `hold-peer ${role} ended at once`);
      }),
    ]);
  }

  async #ask(role: string, port: string, amount: number): Promise<number> {
    const child = this.#start(GUEST.space, [role, CLIENT.address, port, String(amount)]);
    if (child.stdout === null) throw benchError('BENCH_PROGRAM_FAILED', `${role}: no output`);
    const [said] = await Promise.all([text(child.stdout), once(child, 'close')]);
    const figure = Number(said);
    if (child.exitCode === 0 && figure > 0) return figure;
    throw benchError('BENCH_PROGRAM_FAILED', `hold-peer ${role} said ${JSON.stringify(said)}`);
  }
}

async function addEnd({ space, cable, address }: typeof GUEST): Promise<void> {
  await ip(
    `netns add ${space}`,
    `link add ${cable} type veth peer name eth0 netns ${space}`,
    `link set ${cable} addrgenmode none master ${BRIDGE} up`,
    `-n ${space} addr add ${address}/24 dev eth0`,
    `-n ${space} link set eth0 addrgenmode none up`,
  );
}

/** Also of what a killed run has left. */
async function takeDown(): Promise<void> {
  const there = [0, 1];
  for (const link of [BRIDGE, GUEST.cable, CLIENT.cable]) {
    await runCommand('ip', ['link', 'del', link], { exitCodes: there });
  }
  for (const { space } of [GUEST, CLIENT]) {
    await runCommand('ip', ['netns', 'del', space], { exitCodes: there });
  }
}

async function ip(...lines: readonly string[]): Promise<void> {
  for (const line of lines) await runCommand('ip', line.split(' '));
}
