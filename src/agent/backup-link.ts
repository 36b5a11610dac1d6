/**
 * The primary's way to its backup: asks the backup's agent for a session, says HELLO there, opens
 * the heartbeat paths. What it returns is connected and agreed, or a typed error was thrown.
 */
import type { ReplicaAnswer } from '../diskmirror/resync-plan.js';
import { messageOf, type UnderstudyError } from '../errors.js';
import { HeartbeatPaths } from '../failover/heartbeat-paths.js';
import type { DomainDescription } from '../hypervisor/description.js';
import { connectChannel, type FrameChannel } from '../wire/channel.js';
import { wireError } from '../wire/errors.js';
import type { Frame } from '../wire/frames.js';
import { HELLO_TIMEOUT_MS, WELCOME_TIMEOUT_MS } from '../wire/limits.js';
import {
  type CarriedDisk,
  decodeMessage,
  type GuestIdentity,
  PROTOCOL_VERSIONS,
} from '../wire/messages.js';
import { settingsOf } from './domain-record.js';
import { PATIENCE, PREPARE_TIMEOUT_MS } from './limits.js';
import { refusalOf } from './refusal.js';
import type { PrimaryConfig } from './session-config.js';

export interface LinkRequest {
  config: PrimaryConfig;
  term: number;
  identity: GuestIdentity;
  description: DomainDescription;
  disks: readonly CarriedDisk[];
  /** Of this protection. */
  session: string;
  firstEpoch: number;
  onSilent: (silentMs: number) => void;
  onStall: (lateMs: number) => void;
  /** The backup has heard what was sent at `sentAtMs` (CLOCK_MONOTONIC). */
  onHeard: (sentAtMs: number) => void;
}

export interface BackupLink {
  channel: FrameChannel;
  heartbeats: HeartbeatPaths;
  /** What the backup's disks hold. */
  replica: ReplicaAnswer;
  /** host:port of the session. */
  peer: string;
  /** Heartbeat paths that could not be opened; the others carry on. */
  warnings: readonly string[];
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
        consistency: config.consistency,
        session: request.session,
        disks: [...request.disks],
        firstEpoch: request.firstEpoch,
        agentPort: config.agentPort,
      },
      { term },
    );
    const welcome = await channel.next(WELCOME_TIMEOUT_MS);
    expectWelcome(welcome);
    const replica = decodeMessage('welcomeReplica', welcome.payload);
    const { heartbeats, warnings } = await connectHeartbeats(request, port);
    return { channel, heartbeats, warnings, replica, peer: `${host}:${port}` };
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
    return decodeMessage('prepared', frame.payload).port;
  } finally {
    channel.destroy();
  }
}

/**
 * Opens every path, and resolves with the first: heartbeats must flow while a slow path still connects.
 * A path that cannot be opened becomes a warning; when none can, the first reason is thrown.
 */
async function connectHeartbeats(
  request: LinkRequest,
  port: number,
): Promise<{ heartbeats: HeartbeatPaths; warnings: string[] }> {
  const { config, term } = request;
  const hosts = config.heartbeatHosts;
  const warnings: string[] = [];
  const { heartbeat: policy } = config;
  const paths = { role: 'primary' as const, policy, paths: hosts.length, term: () => term };
  const heartbeats = new HeartbeatPaths(paths, {
    onSilent: request.onSilent,
    onStall: request.onStall,
    onHeard: request.onHeard,
    patience: () => PATIENCE,
  });
  const attempts = hosts.map(async (host, path) => {
    try {
      heartbeats.use(path, await openPath(request, host, port, path));
    } catch (error) {
      warnings.push(`heartbeat path ${host} is down: ${messageOf(error)}`);
      throw error;
    }
  });
  try {
    await Promise.any(attempts);
    return { heartbeats, warnings };
  } catch (error) {
    heartbeats.close();
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

async function openPath(
  { config, term }: LinkRequest,
  host: string,
  port: number,
  path: number,
): Promise<FrameChannel> {
  const channel = await connectChannel({ host, port });
  const { domain } = config;
  try {
    await channel.sendMessage(
      'hello',
      'helloHeartbeat',
      { purpose: 'heartbeat', versions: [...PROTOCOL_VERSIONS], domain, path },
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
