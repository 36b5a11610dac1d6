/**
 * The addon's disk part, as types: the NBD target with its write log on the primary, the replica's
 * journal on the backup. Part of native.ts, which is what others import.
 */
import type { NativeBoundary } from './native-boundary.js';

/** One disk of a domain. Its place in the list is its number in the log and in every call below. */
export interface NativeDisk {
  /** Its target, "vda"; also the name of its NBD export. */
  name: string;
  bytes: number;
}

export interface NativeMirrorTrouble {
  /**
   * `disconnected`: a mirror job's connection ended. `overflow`: memory, spill file and patience are
   * used up, so we closed the connections. `frozen`: this process stood still for too long and the guard closed
   * them. `guard`: the guard is gone, so we closed them. `forgotten`: remembered writes outgrew their
   * limit and were dropped. `storage`: the spill file or the remembered writes could not be stored.
   * `protocol`: a client broke the protocol and was cut off.
   */
  kind: 'disconnected' | 'overflow' | 'frozen' | 'guard' | 'forgotten' | 'storage' | 'protocol';
  disk?: string;
  reason: string;
}

/** A part of the write log: whole records of one epoch. */
export interface NativeLogPart {
  epoch: number;
  /** Bytes of a disk chunk (native/disk/disk_chunk.h) in the caller's buffer; 0 when it only ends an epoch. */
  bytes: number;
  /** Nothing more of this epoch will come. */
  endsEpoch: boolean;
  /** With `endsEpoch`: up to that boundary every connection was unbroken since `complete()`. */
  intact: boolean;
}

export interface NativeMirrorStats {
  /**
   * `forgetting`: answers and keeps nothing. `shipping`: everything goes into the log. `remembering`: there is no
   * backup; what was written since its last committed epoch is kept here.
   */
  mode: 'forgetting' | 'shipping' | 'remembering';
  disks: {
    connected: boolean;
    /** Connected without a break since `complete()`. */
    unbroken: boolean;
    requests: number;
    writtenBytes: number;
  }[];
  /** Put into the log so far. */
  loggedBytes: number;
  /** Left out because the replica was known to hold the same. */
  knownBytes: number;
  /** Of the log: in memory and in the spill file now. */
  memoryBytes: number;
  spilledBytes: number;
  /** How often, and how long in all, the guest's writes had to wait for room in the log. */
  backPressureCount: number;
  backPressureMs: number;
  rememberedBytes: number;
  /** How often the guard had to act. */
  interventions: number;
}

export interface NativeMirrorTarget {
  /** Give this to `capture`: moves the write tag inside the pause. */
  readonly boundary: NativeBoundary;
  /**
   * What the replica of a disk is known to hold, to be said before `ship()`; default: nothing is known.
   * Until `complete()` whole blocks that are known to be the same are left out of the log.
   */
  setKnown(
    disk: number,
    known:
      | { content: 'unknown' }
      | { content: 'zeroes' }
      | { content: 'digests'; blockBytes: number; seed: bigint },
  ): void;
  /** XXH3-128 (canonical, 16 bytes each) of the replica's blocks from `firstBlock` on. */
  addDigests(disk: number, firstBlock: number, digests: Buffer): void;
  /** From now on writes are logged, tagged with `epoch` until a boundary moves the tag. */
  ship(epoch: number): void;
  /**
   * Every mirror job is ready: zeroes that were put off go into the log, what was known is forgotten, every write
   * is logged from here on, and from here on a connection must stay unbroken. Parts are kept until `committed`.
   */
  complete(): void;
  /**
   * The next part of the log, in order; waits until there is one (a little, for more to come with it).
   * `into` has room for one part at least (266,240 bytes). One call at a time. Rejects with code STOPPED
   * when nothing is shipped.
   */
  take(into: Buffer): Promise<NativeLogPart>;
  /** Closes `epoch` outside a capture (guest must stand still, or exactness does not matter). */
  closeEpoch(epoch: number): void;
  /** The backup holds all epochs up to this one, durably: what came until then may be forgotten here. */
  committed(epoch: number): void;
  /** No backup: keep everything that is not committed, and everything to come, on this host. */
  remember(): void;
  /**
   * The backup is back with the last committed epoch: what was remembered is logged first, then all that
   * follows, as of the open epoch `epoch`.
   */
  replay(epoch: number): void;
  /** Drop the log and what was remembered; answer and keep nothing. */
  forget(): void;
  /**
   * The reading end of the pause gate: drained by the guard if this process stands still while QEMU is held in
   * it. -1, before it is closed: a duplicate that stays would keep QEMU from being told.
   */
  guardGate(gateFd: number): void;
  stats(): NativeMirrorStats;
  /** Ends every connection at once, the server and the guard. */
  close(): Promise<void>;
}

export interface NativeDiskPosition {
  /** Which protection (32 hex digits): epochs of two sessions cannot be compared. */
  session: string;
  term: number;
  epoch: number;
}

/**
 * `none`: no record. `copying`: a first copy is under way or was cut off: no boundary. `consistent`: exactly at
 * `position`. `live`: a guest has run on these disks since `position`; never replayed.
 */
export type NativeStoreState = 'none' | 'copying' | 'consistent' | 'live';

export interface NativeStoreRecord {
  state: NativeStoreState;
  position: NativeDiskPosition | undefined;
}

export interface NativeCommitTimes {
  journalBytes: number;
  appliedBytes: number;
  journalUs: number;
  journalFlushUs: number;
  applyUs: number;
  applyFlushUs: number;
}

/** The replica's disks with their journal. Calls are done one after the other, in order, on a thread of its own. */
export interface NativeDiskStore {
  /** As found, after recovery. */
  readonly record: NativeStoreRecord;
  /** True when opening replayed a committed transaction that had not been applied wholly. */
  readonly replayed: boolean;
  /** Throws unless every record of the chunk lies inside its disk and lengths add up; touches nothing. */
  validate(chunk: Buffer): { records: number; dataBytes: number };
  /** Durably: from now on the disks hold no boundary (state `copying`). */
  beginCopy(): Promise<void>;
  /** Straight in place, in state `copying` only. */
  writeThrough(chunks: readonly Buffer[]): Promise<void>;
  /** Parts of the next transaction, written to the journal early so that they need not stay in memory. Not committed. */
  stage(chunks: readonly Buffer[]): Promise<void>;
  discardStaged(): Promise<void>;
  /**
   * What was staged, then `chunks`, become `position`, crash-atomically: journal, flush, in place, flush. In state
   * `copying` what is there is in place already: only flushed and recorded. In state `none` or `live` this is the
   * repair of disks that hold something else. Durable when it resolves.
   */
  commit(chunks: readonly Buffer[], position: NativeDiskPosition): Promise<NativeCommitTimes>;
  /** XXH3-128 (canonical, 16 bytes each) of the blocks from `firstBlock` on, the last may be short. */
  digests(options: {
    disk: number;
    blockBytes: number;
    seed: bigint;
    firstBlock: number;
    count: number;
  }): Promise<Buffer>;
  /** Durably: a guest runs on these disks from now on (state `live`). */
  goLive(position: NativeDiskPosition): Promise<void>;
  close(): Promise<void>;
}

export interface NativeDisks {
  /** The NBD server that mirror jobs write to, one export per disk, listening when this resolves. */
  openMirrorTarget(options: {
    socketPath: string;
    /** Who may connect: QEMU's user. */
    ownerUid: number;
    disks: readonly NativeDisk[];
    /** The log beyond this goes to an unnamed file in `spillDirectory`. */
    memoryBytesMax: number;
    spillDirectory: string;
    spillBytesMax: number;
    /** Remembered writes, stored sparsely in `spillDirectory`. */
    rememberBytesMax: number;
    /** Longest time a guest's write may wait for us before its connection is closed. */
    freezeMsMax: number;
    onTrouble: (trouble: NativeMirrorTrouble) => void;
  }): Promise<NativeMirrorTarget>;
  /**
   * Opens (recovering) or makes the journal in `journalDirectory` and opens the disks, raw files or block devices
   * that must exist with exactly these sizes. `ESIZE`, `EBUSY` (locked), `JOURNAL_DAMAGED`, or what a system call said.
   */
  openStore(options: {
    journalDirectory: string;
    disks: readonly { path: string; bytes: number }[];
  }): Promise<NativeDiskStore>;
  /** What the journal says, without opening the disks or changing anything. */
  readRecord(journalDirectory: string): NativeStoreRecord;
}
