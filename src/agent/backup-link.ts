/**
 * The primary's way to its backup: asks the backup's agent for a session, says HELLO there, opens
 * the heartbeat paths. What it returns is connected and agreed, or a typed error was thrown.
 */
import { UnderstudyError } from '../errors.js';
import { HeartbeatPaths } from '../failover/heartbeat-paths.js';
import type { DomainDescription } from '../hypervisor/description.js';
import { connectChannel, type FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import type { Frame } from '../wire/frames.js';
import { HELLO_TIMEOUT_MS, WELCOME_TIMEOUT_MS } from '../wire/limits.js';
import { decodeMessage, type GuestIdentity, PROTOCOL_VERSIONS } from '../wire/messages.js';
import { PREPARE_TIMEOUT_MS } from './limits.js';
import type { PrimaryConfig } from './session-config.js';

export interface LinkRequest {
  config: PrimaryConfig;
  term: number;
  identity: GuestIdentity;
  description: DomainDescription;
  onSilent: (silentMs: number) => void;
  onStall: (lateMs: number) => void;
}

export interface BackupLink {
  channel: FrameChannel;
  heartbeats: HeartbeatPaths;
  /** host:port of the session. */
  peer: string;
}

export async function connectBackup(request: LinkRequest): Promise<BackupLink> {
  const { config, term } = request;
  const { host } = config.backup;
  const port = await prepare(config, term);
  const channel = await connectChannel({ host, port });
  try {
    await channel.sendMessage(
      'hello',
      'helloCheckpoints',
      {
        purpose: 'checkpoints',
        versions: [...PROTOCOL_VERSIONS],
        domain: config.domain,
        identity: request.identity,
        ...request.description,
        heartbeat: config.heartbeat,
        heartbeatPaths: config.heartbeatHosts.length,
      },
      { term },
    );
    expectWelcome(await channel.next(WELCOME_TIMEOUT_MS));
    const heartbeats = await connectHeartbeats(request, port);
    return { channel, heartbeats, peer: `${host}:${port}` };
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

async function prepare(config: PrimaryConfig, term: number): Promise<number> {
  const channel = await connectChannel(config.backup);
  try {
    await channel.sendMessage(
      'hello',
      'prepare',
      { purpose: 'prepare', versions: [...PROTOCOL_VERSIONS], domain: config.domain },
      { term },
    );
    const frame = await channel.next(PREPARE_TIMEOUT_MS);
    throwIfRefused(frame);
    if (frame.type !== 'welcome') throw unexpected(frame);
    return decodeMessage('prepared', frame.payload).port;
  } finally {
    channel.destroy();
  }
}

async function connectHeartbeats(request: LinkRequest, port: number): Promise<HeartbeatPaths> {
  const { config, term } = request;
  const paths = new HeartbeatPaths(config.heartbeat, config.heartbeatHosts.length, () => term, {
    onSilent: request.onSilent,
    onStall: request.onStall,
  });
  try {
    await Promise.all(
      config.heartbeatHosts.map(async (host, path) => {
        const channel = await connectChannel({ host, port });
        await channel.sendMessage(
          'hello',
          'helloHeartbeat',
          {
            purpose: 'heartbeat',
            versions: [...PROTOCOL_VERSIONS],
            domain: config.domain,
            path,
          },
          { term },
        );
        expectWelcome(await channel.next(HELLO_TIMEOUT_MS));
        paths.use(path, channel);
      }),
    );
    return paths;
  } catch (error) {
    paths.close();
    throw error;
  }
}

function expectWelcome(frame: Frame): void {
  throwIfRefused(frame);
  if (frame.type !== 'welcome') throw unexpected(frame);
  const { version } = decodeMessage('welcome', frame.payload);
  if (!PROTOCOL_VERSIONS.some((ours) => ours === version)) {
    throw wireError('WIRE_VERSION', `the backup chose protocol version ${version}`);
  }
}

function throwIfRefused(frame: Frame): void {
  if (frame.type === 'superseded') {
    throw wireError('WIRE_STALE_TERM', `the backup acted on term ${frame.term}`);
  }
  if (frame.type !== 'refuse') return;
  const { code, message, remedy } = decodeMessage('refuse', frame.payload);
  throw new UnderstudyError(code, `the backup refused: ${message}`, remedy);
}

function unexpected(frame: Frame): UnderstudyError {
  return wireError('WIRE_UNEXPECTED', `${frame.type} in place of an answer to HELLO`);
}
