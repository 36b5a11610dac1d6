/** What the addon offers for the lane: the epochs' way between hosts that needs no JavaScript (native/lane). */

declare const outlet: unique symbol;
/** A lane's primary end, for captures. */
export interface NativeOutlet {
  readonly [outlet]: never;
}

declare const replicaReference: unique symbol;
/** A replica, for a lane. */
export interface NativeReplicaReference {
  readonly [replicaReference]: never;
}

/** A checkpoint as a lane keeps it. */
export interface NativeCommitted {
  epoch: number;
  deviceState: Buffer;
  /** JSON, as in the message `checkpoint`. */
  addresses: string;
}

export interface NativePrimaryLane {
  readonly outlet: NativeOutlet;
  /** The device state of a checkpoint that was committed by another way. */
  setBase(deviceState: Buffer): void;
  /** Until then (CLOCK_MONOTONIC) output that is committed by the lane leaves by itself; 0n: never. */
  leaseUntil(untilNs: bigint): void;
  /** When it returns nothing leaves by it any more. Again: nothing. */
  close(): void;
}

export interface NativeBackupLane {
  readonly port: number;
  /** A checkpoint that was committed by another way; before that is answered. */
  setCommitted(committed: NativeCommitted): void;
  /** The last checkpoint that was committed by any way, if it is later than `epoch`. */
  committedAfter(epoch: number): NativeCommitted | undefined;
  /** When it returns nothing will be committed by it any more, and what was is applied. Again: nothing. */
  stop(): void;
}

export interface NativeLane {
  /** Rejects with `LANE_ADDRESS`, `ETIMEDOUT`, `ECONNREFUSED`, …. */
  connect(options: {
    host: string;
    port: number;
    /** 64 bytes, made for this lane alone. */
    secret: Buffer;
    /** A capture's epoch is committed, and its output on its way if the lease lasts; `atNs`: CLOCK_MONOTONIC. */
    onCommitted: (epoch: number, atNs: bigint) => void;
    /** Once, unless it was closed. */
    onEnded: (why: string) => void;
  }): Promise<NativePrimaryLane>;
  /** Waits for one connection, on a free port of that address. Throws `LANE_ADDRESS` and errors of bind(2). */
  listen(options: {
    host: string;
    secret: Buffer;
    replica: NativeReplicaReference;
    /** Committed, answered and applied. */
    onCommitted: (epoch: number) => void;
    /** Once; not when it was stopped or the primary hung up. `APPLY_FAILED`: the replica is not to be trusted. */
    onFailed: (code: string, why: string) => void;
  }): NativeBackupLane;
}
