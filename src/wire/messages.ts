/** The JSON messages of the protocol: their shapes are checked on arrival, never assumed. */
import { z } from 'zod';
import { CONSISTENCIES, type Consistency } from './consistency.js';
import { wireError } from './errors.js';
import {
  DISKS_MAX,
  EPOCHS_PER_CHECKPOINT_MAX,
  HEARTBEAT_PATHS_MAX,
  LANE_SECRET_BYTES,
  TOKEN_BYTES,
} from './limits.js';

/**
 * Protocol versions this build speaks, newest first, with what each brought.
 * 6: a page may come as its difference; a backup may offer a lane.
 * 5: TLS 1.3 with certificates of both hosts, and a token for each session; a host of version 4 would talk to
 *    anyone, so it is not spoken any more. A primary says with `prepare` how the domain is protected and where it is
 *    reached itself, so that after a takeover the other host protects it likewise; agents ask each other whether a
 *    domain may be started.
 * 4: the device state may come as a difference, and a later epoch may overtake one that was never completed, which
 *    a host of version 3 refuses.
 * 3: heartbeats say what was heard of the other side; the HELLO says what is promised (consistency).
 * 2: disks: the write log, what a checkpoint says of it, digests for repair, reports. A host of version 1
 *    would commit checkpoints without their disks, so it is not spoken any more;
 *    nor is version 2, whose heartbeats confirm nothing.
 * 1: memory, device state, heartbeats.
 */
export const PROTOCOL_VERSIONS = [6] as const;

const nonNegative = z.number().int().nonnegative();
const port = z.number().int().min(1).max(65_535);
/** What the agent's answer to `prepare` gave. */
const token = z
  .string()
  .length(2 * TOKEN_BYTES)
  .regex(/^[0-9a-f]+$/);

/** What both hosts must agree on before a byte of memory travels. */
export const guestIdentitySchema = z.object({
  uuid: z.string().max(36),
  qemuVersion: z.string().max(200),
  machine: z.string().max(100),
  arch: z.string().max(50),
  /** kvm or qemu */
  virtType: z.string().max(50),
  vcpus: z.number().int().positive(),
  cpuXml: z.string().max(200_000),
  pageBytes: z.number().int().positive(),
  ramBlocks: z
    .array(
      z.object({
        name: z.string().max(200),
        bytes: z.number().int().positive(),
        replicaOffset: nonNegative,
      }),
    )
    .min(1)
    .max(64),
  nics: z.array(z.object({ mac: z.string().max(17), model: z.string().max(100) })).max(64),
});

export type { Consistency };

export const consistencySchema = z.enum(
  Object.keys(CONSISTENCIES) as [Consistency, ...Consistency[]],
);

/** A disk that is carried: its target ("vda") and what the guest sees of it. */
export const carriedDiskSchema = z.object({
  name: z.string().min(1).max(32),
  bytes: z.number().int().positive(),
});

/** What a host must have to be the backup of a domain. */
const standbyNeeds = z.object({
  memoryBytes: nonNegative,
  qemuVersion: z.string().max(40),
  /** Files that QEMU opens there under the same path. */
  files: z.array(z.string().min(1).max(4_096)).max(64),
  bridges: z.array(z.string().regex(/^[^/\s]{1,15}$/)).max(64),
});
export type StandbyNeeds = z.infer<typeof standbyNeeds>;

const carriedDisks = z.array(carriedDiskSchema).max(DISKS_MAX);

/** Which epoch disks hold. Epochs of two sessions cannot be compared. */
export const diskPositionSchema = z.object({
  session: z.string().length(32),
  term: nonNegative,
  epoch: nonNegative,
});

/** What a host's durable record says of its copy of a domain's disks. */
export const diskRecordSchema = z.object({
  state: z.enum(['none', 'copying', 'consistent', 'live']),
  position: diskPositionSchema.optional(),
});

const hostAddresses = z.array(z.string().min(1).max(255)).min(1).max(HEARTBEAT_PATHS_MAX);

const heartbeatPolicySchema = z.object({
  intervalMs: z.number().int().min(10).max(10_000),
  missedMax: z.number().int().min(2).max(100),
});

const refusal = z.object({
  code: z.string().max(100),
  message: z.string().max(10_000),
  remedy: z.string().max(10_000),
});

/** Addresses the guest was seen to use, for the announcement at promotion. */
const seenAddresses = z
  .array(z.object({ mac: z.string().max(17), address: z.string().max(45) }))
  .max(64);

export const messageSchemas = {
  /** What every HELLO says first: what the connection is for. */
  purpose: z.object({
    purpose: z.enum(['prepare', 'checkpoints', 'heartbeat', 'report', 'claim', 'switchover']),
  }),
  /** To an agent: make a backup session ready for the domain and say where it listens. */
  prepare: z.object({
    purpose: z.literal('prepare'),
    versions: z.array(nonNegative).max(32),
    domain: z.string().min(1).max(255),
    /** How it is protected; the agent knows the shape. */
    settings: z.record(z.string(), z.unknown()),
    /** Where the primary's agent answers, on the address that this connection comes from. */
    agentPort: z.number().int().min(1).max(65_535),
    /** Where heartbeats would reach the primary, if the roles were changed; else that same address. */
    addresses: hostAddresses.optional(),
    /** Where heartbeats reach the backup. */
    backupAddresses: hostAddresses,
  }),
  prepared: z.object({
    port,
    /** For a link that is not encrypted, where that host allows it. */
    plainPort: port.optional(),
    token,
  }),
  /** To a backup session: the connection that carries checkpoints. */
  helloCheckpoints: z.object({
    purpose: z.literal('checkpoints'),
    versions: z.array(nonNegative).max(32),
    domain: z.string().min(1).max(255),
    identity: guestIdentitySchema,
    definition: z.string().max(400_000),
    persistentXml: z.string().max(400_000).optional(),
    heartbeat: heartbeatPolicySchema,
    heartbeatPaths: z.number().int().min(1).max(HEARTBEAT_PATHS_MAX),
    consistency: consistencySchema,
    /** Of this protection, chosen at random; 32 hex digits. */
    session: z.string().length(32),
    disks: carriedDisks,
    /** Number of the first epoch to come. */
    firstEpoch: nonNegative,
    /** Where the primary's agent answers, on the address that this connection comes from. */
    agentPort: port,
    token,
  }),
  /** To a backup session: one heartbeat path. */
  helloHeartbeat: z.object({
    purpose: z.literal('heartbeat'),
    versions: z.array(nonNegative).max(32),
    domain: z.string().min(1).max(255),
    path: z.number().int().min(0).max(7),
    token,
  }),
  welcome: z.object({ version: nonNegative }),
  /** The answer to `helloCheckpoints`: what the replica's disks hold, in the order of the HELLO. */
  welcomeReplica: z.object({
    version: nonNegative,
    record: diskRecordSchema,
    /** Made for this protection: reads as zeroes throughout. */
    fresh: z.array(z.boolean()).max(DISKS_MAX),
    /** A way for small epochs beside this connection (docs/protocol.md, "The lane"); the primary may do without. */
    lane: z
      .object({
        port,
        secret: z
          .string()
          .length(2 * LANE_SECRET_BYTES)
          .regex(/^[0-9a-f]+$/),
      })
      .optional(),
  }),
  /** To a backup session: digests of these disks' blocks, please. */
  compareDisks: z.object({
    seed: z.string().max(20).regex(/^\d+$/),
    disks: z
      .array(z.object({ disk: nonNegative, blockBytes: z.number().int().min(4096) }))
      .min(1)
      .max(DISKS_MAX),
  }),
  /** To an agent: what do you have of this domain, and could you hold these disks? */
  report: z.object({
    purpose: z.literal('report'),
    versions: z.array(nonNegative).max(32),
    domain: z.string().min(1).max(255),
    disks: carriedDisks,
    /** What its standby would need there; an older agent does not ask. */
    needs: standbyNeeds.optional(),
  }),
  reported: z.object({
    term: nonNegative,
    /** That term is this host's to run the domain under. */
    ours: z.boolean(),
    record: diskRecordSchema,
    /** A standby there has a committed checkpoint, or is being promoted. */
    mayTakeOver: z.boolean(),
    /** It took its term to promote its standby, and whether the domain came to run there is not known yet. */
    undecided: z.boolean().default(false),
    /** No session of the domain lives there. */
    free: z.boolean(),
    /** Why replicas of the disks that were asked for could not be kept there. */
    refusals: z.array(refusal).max(100),
  }),
  /** To an agent: this host wants to start the domain, which runs nowhere, under the term of this frame. */
  claim: z.object({
    purpose: z.literal('claim'),
    versions: z.array(nonNegative).max(32),
    domain: z.string().min(1).max(255),
  }),
  /** It may: the answering host has written the term down, and will refuse every older one. */
  claimed: z.object({ term: nonNegative }),
  /** To the primary's agent: its backup wants the domain, planned. */
  switchover: z.object({
    purpose: z.literal('switchover'),
    versions: z.array(nonNegative).max(32),
    domain: z.string().min(1).max(255),
  }),
  switchedOver: z.object({ state: z.string().max(100) }),
  refuse: refusal,
  checkpoint: z.object({
    /** XXH3-128 over the chunks in order, then the device state. */
    digest: z.string().length(32),
    chunks: nonNegative,
    /** The disk log of every epoch since the last checkpoint, in order: none may be missing. */
    disks: z
      .array(
        z.object({
          epoch: nonNegative,
          chunks: nonNegative,
          /** XXH3-128 over the epoch's disk chunks in order. */
          digest: z.string().length(32),
        }),
      )
      .max(EPOCHS_PER_CHECKPOINT_MAX),
    addresses: seenAddresses,
  }),
  /** `planned`: the guest stands still, and goes on here if the backup refuses. */
  yield: z.object({ reason: z.string().max(1_000), planned: z.boolean().optional() }),
  goodbye: z.object({ reason: z.string().max(1_000) }),
} as const;

export type MessageName = keyof typeof messageSchemas;
export type Message<N extends MessageName> = z.infer<(typeof messageSchemas)[N]>;
export type CarriedDisk = z.infer<typeof carriedDiskSchema>;
export type DiskRecord = z.infer<typeof diskRecordSchema>;
export type DiskPosition = z.infer<typeof diskPositionSchema>;
/** What a checkpoint says of one epoch's disk log. */
export type EpochLog = Message<'checkpoint'>['disks'][number];
export type GuestIdentity = z.infer<typeof guestIdentitySchema>;
export type HeartbeatPolicy = z.infer<typeof heartbeatPolicySchema>;

export function encodeMessage<N extends MessageName>(_name: N, message: Message<N>): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** Parses and checks one message; `WIRE_BAD_MESSAGE` names the first field that is wrong. */
export function decodeMessage<N extends MessageName>(name: N, payload: Buffer): Message<N> {
  return decode(messageSchemas[name], name, payload.toString('utf8')) as Message<N>;
}

/** What a lane carries of a checkpoint. @throws WIRE_BAD_MESSAGE */
export function decodeAddresses(json: string): Message<'checkpoint'>['addresses'] {
  return decode(seenAddresses, 'addresses', json) as Message<'checkpoint'>['addresses'];
}

function decode(schema: z.ZodType, name: string, json: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw wireError('WIRE_BAD_MESSAGE', `${name} is not JSON`, { cause });
  }
  const checked = schema.safeParse(value);
  if (!checked.success) {
    const issue = checked.error.issues[0];
    throw wireError(
      'WIRE_BAD_MESSAGE',
      `${name}.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong shape'}`,
    );
  }
  return checked.data;
}

/** The newest version both sides speak, or undefined. */
export function commonVersion(
  theirs: readonly number[],
  ours: readonly number[] = PROTOCOL_VERSIONS,
): number | undefined {
  return ours.filter((version) => theirs.includes(version)).sort((a, b) => b - a)[0];
}
