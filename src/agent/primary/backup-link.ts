/**
 * The primary's way to its backup: asks the backup's agent for a session, says HELLO there, opens
 * the heartbeat paths. What it returns is connected and agreed, or a typed error was thrown.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ReplicaAnswer } from '../../diskmirror/resync-plan.js';
import { messageOf, type UnderstudyError } from '../../errors.js';
import { HeartbeatPaths } from '../../failover/heartbeat-paths.js';
import type { DomainDescription } from '../../hypervisor/description.js';
import { connectChannel, type FrameChannel } from '../../wire/channel.js';
import { wireError } from '../../wire/errors.js';
import type { Frame } from '../../wire/frames.js';
import { HELLO_TIMEOUT_MS, WELCOME_TIMEOUT_MS } from '../../wire/limits.js';
import {
  type CarriedDisk,
  decodeMessage,
  type GuestIdentity,
  type Message,
  PROTOCOL_VERSIONS,
} from '../../wire/messages.js';
import { connectSecure } from '../../wire/secure-connect.js';
import type { PeerTrust } from '../../wire/trust.js';
import { settingsOf } from '../domain/domain-record.js';
import { PATH_REOPEN_DELAY_MS, PREPARE_TIMEOUT_MS } from '../limits.js';
import { LOG_EVENTS, type Log } from '../log.js';
import { notePath } from '../session/heartbeat-notes.js';
import { refusalOf } from '../session/refusal.js';
import type { PrimaryConfig } from '../session/session-config.js';

export interface LinkRequest {
  config: PrimaryConfig;
  trust: PeerTrust;
  log: Log;
  term: number;
  identity: GuestIdentity;
  description: DomainDescription;
  disks: readonly CarriedDisk[];
  /** Of this protection. */
  session: string;
  firstEpoch: number;
  onSilent: (silentMs: number) => void;
  /** The backup has heard what was sent at `sentAtMs` (CLOCK_MONOTONIC). */
  onHeard: (sentAtMs: number) => void;
  /** How many times longer than the policy says the backup may be silent now. */
  patience: () => number;
}

export interface BackupLink {
  channel: FrameChannel;
  heartbeats: HeartbeatPaths;
  /** What the backup's disks hold. */
  replica: ReplicaAnswer;
  /** What it offers for small epochs. */
  lane?: { host: string; port: number; secret: Buffer };
  /** host:port of the session. */
  peer: string;
}

export async function connectBackup(request: LinkRequest): Promise<BackupLink> {
  const { config, term } = request;
  const { host } = config.backup;
  const prepared = await prepare(request);
  const { port, token } = prepared;
  const channel = await connectSession(request, prepared, host);
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
        consistency: config.consistency,
        session: request.session,
        disks: [...request.disks],
        firstEpoch: request.firstEpoch,
        agentPort: config.agentPort,
        token,
      },
      { term },
    );
    const welcome = await channel.next(WELCOME_TIMEOUT_MS);
    expectWelcome(welcome);
    const { lane, ...replica } = decodeMessage('welcomeReplica', welcome.payload);
    const heartbeats = await connectHeartbeats(request, prepared);
    return {
      ...{ channel, heartbeats, replica, peer: `${host}:${port}` },
      ...(lane === undefined
        ? {}
        : { lane: { host, port: lane.port, secret: Buffer.from(lane.secret, 'hex') } }),
    };
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

/**
 * A connection to the backup's session. It is plain only on the replication link, and only when both hosts'
 * configurations say so; heartbeats of other paths are on networks that others are on as well.
 */
function connectSession(
  { config, trust }: LinkRequest,
  { port, plainPort }: Message<'prepared'>,
  host: string,
): Promise<FrameChannel> {
  if (!config.peers.encrypt && plainPort !== undefined && host === config.backup.host) {
    return connectChannel({ host, port: plainPort });
  }
  return connectSecure({ host, port }, trust);
}

async function prepare({ config, trust, term }: LinkRequest): Promise<Message<'prepared'>> {
  const channel = await connectSecure(config.backup, trust);
  try {
    await channel.sendMessage(
      'hello',
      'prepare',
      {
        purpose: 'prepare',
        versions: [...PROTOCOL_VERSIONS],
        domain: config.domain,
        settings: settingsOf(config),
        agentPort: config.agentPort,
        ...(config.ownAddresses === undefined ? {} : { addresses: config.ownAddresses }),
        backupAddresses: config.heartbeatHosts,
      },
      { term },
    );
    const frame = await channel.next(PREPARE_TIMEOUT_MS);
    throwIfRefused(frame);
    if (frame.type !== 'welcome') throw unexpected(frame);
    return decodeMessage('prepared', frame.payload);
  } finally {
    channel.destroy();
  }
}

/**
 * Opens every path, and resolves with the first: heartbeats must flow while a slow path still connects. One that
 * goes down later, or cannot be opened, is tried again as long as the others carry on; when none can be opened, the
 * first reason is thrown.
 */
async function connectHeartbeats(
  request: LinkRequest,
  prepared: Message<'prepared'>,
): Promise<HeartbeatPaths> {
  const { config, log, term } = request;
  const { heartbeat: policy, heartbeatHosts: hosts } = config;
  const reopening = new Set<number>();
  const heartbeats = new HeartbeatPaths(
    { role: 'primary', policy, paths: hosts, term: () => term },
    {
      onSilent: request.onSilent,
      onStall: (lateMs) => log.warn(LOG_EVENTS.stall, { lateMs }),
      onHeard: request.onHeard,
      patience: request.patience,
      onPath: (path, number) => {
        notePath(log, path);
        if (path.up || reopening.has(number)) return;
        reopening.add(number);
        void reopen(request, heartbeats, number).finally(() => reopening.delete(number));
      },
    },
  );
  const attempts = hosts.map(async (host, path) =>
    heartbeats.use(path, await openPath(request, prepared, host, path)),
  );
  try {
    await Promise.any(attempts);
    return heartbeats;
  } catch (error) {
    heartbeats.close();
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

/** Resolves when the path is heard again, or the connection has ended. */
async function reopen(
  request: LinkRequest,
  heartbeats: HeartbeatPaths,
  path: number,
): Promise<void> {
  const { ended: signal } = heartbeats;
  const host = request.config.heartbeatHosts[path] ?? request.config.backup.host;
  while (!signal.aborted && heartbeats.isDown(path)) {
    try {
      // A token opens each path once.
      heartbeats.use(path, await openPath(request, await prepare(request), host, path));
    } catch (error) {
      request.log.debug(LOG_EVENTS.pathClosed, { address: host, error: messageOf(error) });
    }
    await delay(PATH_REOPEN_DELAY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function openPath(
  request: LinkRequest,
  prepared: Message<'prepared'>,
  host: string,
  path: number,
): Promise<FrameChannel> {
  const channel = await connectSession(request, prepared, host);
  const { term } = request;
  const { domain } = request.config;
  const { token } = prepared;
  try {
    await channel.sendMessage(
      'hello',
      'helloHeartbeat',
      { purpose: 'heartbeat', versions: [...PROTOCOL_VERSIONS], domain, path, token },
      { term },
    );
    expectWelcome(await channel.next(HELLO_TIMEOUT_MS));
    return channel;
  } catch (error) {
    channel.destroy();
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
    const facts = { term: frame.term };
    throw wireError('WIRE_STALE_TERM', `the backup acted on term ${frame.term}`, { facts });
  }
  if (frame.type === 'refuse') throw refusalOf(frame, 'the backup refused');
}

function unexpected(frame: Frame): UnderstudyError {
  return wireError('WIRE_UNEXPECTED', `${frame.type} in place of an answer to HELLO`);
}
