/**
 * The backup's side of an epoch: stage, verify, commit, apply.
 *
 * A checkpoint touches the replica only when all of it has arrived with the right digest; then
 * it is committed and applied in order. What is incomplete can be thrown away at any time.
 */
import { messageOf } from '../errors.js';
import type { NativeBackupLane, NativeHasher, NativeReplica } from '../native.js';
import { wireError } from '../wire/errors.js';
import { decodeAddresses, type Message } from '../wire/messages.js';
import { epochError } from './errors.js';
import { SYNC_APPLY_BYTES_MAX } from './limits.js';

export interface CommittedCheckpoint {
  readonly epoch: number;
  readonly deviceState: Buffer;
  readonly addresses: Message<'checkpoint'>['addresses'];
}

interface Incomplete {
  epoch: number;
  chunks: Buffer[];
  bytes: number;
  hasher: NativeHasher;
  deviceState: Buffer | undefined;
}

export interface ReplicaDependencies {
  replica: Pick<NativeReplica, 'apply' | 'validate'>;
  newHasher: () => NativeHasher;
  applyStateDelta: (base: Buffer, delta: Buffer) => Buffer;
  /** Throws unless the device state is whole: what the standby would choke on must never be committed. */
  checkDeviceState: (deviceState: Buffer) => void;
  /** Gets chunk buffers back once they are applied or thrown away. */
  recycle: (chunk: Buffer) => void;
  /** The replica can no longer be trusted. Once. */
  onApplyFailed: (error: Error) => void;
}

export class ReplicaReceiver {
  #committed: CommittedCheckpoint | undefined;
  #incomplete: Incomplete | undefined;
  #applying: Promise<void> = Promise.resolve();
  #applyFailure: Error | undefined;
  #syncBytesWaiting = 0;
  #lane: NativeBackupLane | undefined;
  syncBytes = 0;
  appliedEpoch = 0;

  /** `stagingBytesMax`: a checkpoint holds each page at most once, so the guest's RAM bounds it. */
  constructor(
    private readonly stagingBytesMax: number,
    private readonly dependencies: ReplicaDependencies,
  ) {}

  /** The last checkpoint that was committed, by the lane or here. @throws WIRE_BAD_MESSAGE */
  get committed(): CommittedCheckpoint | undefined {
    const byLane = this.#lane?.committedAfter(this.#committed?.epoch ?? 0);
    if (byLane !== undefined) {
      const { epoch, deviceState, addresses } = byLane;
      this.#committed = { epoch, deviceState, addresses: decodeAddresses(addresses) };
    }
    return this.#committed;
  }

  /** Small epochs come by it from now on. */
  useLane(lane: NativeBackupLane): void {
    this.#lane = lane;
  }

  /** The lane has committed and applied that epoch. */
  laneApplied(epoch: number): void {
    this.appliedEpoch = epoch;
  }

  /** The lane could not apply what it had committed. */
  laneApplyFailed(why: string): void {
    this.#applyFailure ??= epochError('EPOCH_APPLY_FAILED', why);
    this.dependencies.onApplyFailed(this.#applyFailure);
  }

  /** Sync writes straight into the replica: nothing can be promoted before the first commit. */
  onSyncChunk(chunk: Buffer): void | Promise<void> {
    if (this.committed !== undefined) {
      throw wireError('WIRE_UNEXPECTED', 'sync after the first commit');
    }
    this.#validate(0, chunk);
    this.syncBytes += chunk.length;
    this.#syncBytesWaiting += chunk.length;
    const before = this.#applying;
    // The replica's thread keeps the order; given the next chunk early, it need not wait for us.
    const applying = this.dependencies.replica.apply([chunk]);
    applying.catch(() => undefined);
    this.#enqueue(
      [chunk],
      () => applying,
      () => {
        this.#syncBytesWaiting -= chunk.length;
      },
    );
    // Waits for the chunks before this one, so that one is applied while the next is received.
    if (this.#syncBytesWaiting > SYNC_APPLY_BYTES_MAX) return before;
  }

  onChunk(epoch: number, chunk: Buffer): void {
    const incomplete = this.#incompleteOf(epoch);
    this.#validate(epoch, chunk);
    incomplete.bytes += chunk.length;
    if (incomplete.bytes > this.stagingBytesMax) {
      const message = `${incomplete.bytes} bytes staged; at most ${this.stagingBytesMax}`;
      throw epochError('EPOCH_STAGING_FULL', message, { epoch });
    }
    incomplete.hasher.update(chunk);
    incomplete.chunks.push(chunk);
  }

  onDeviceState(epoch: number, deviceState: Buffer): void {
    this.dependencies.checkDeviceState(deviceState);
    const incomplete = this.#incompleteOf(epoch);
    incomplete.hasher.update(deviceState);
    incomplete.deviceState = deviceState;
  }

  /** The device state as its difference to that of the committed checkpoint. */
  onDeviceStateDelta(epoch: number, delta: Buffer): void {
    const base = this.committed?.deviceState;
    if (base === undefined)
      throw epochError('EPOCH_NO_DEVICE_STATE', 'a difference to nothing', { epoch });
    let deviceState: Buffer;
    try {
      deviceState = this.dependencies.applyStateDelta(base, delta);
    } catch (cause) {
      throw epochError('EPOCH_CHUNK_MALFORMED', messageOf(cause), { epoch, cause });
    }
    this.onDeviceState(epoch, deviceState);
  }

  /** Verifies that all is there; from its return the checkpoint is committed and will be applied. */
  onCheckpoint(epoch: number, message: Message<'checkpoint'>): CommittedCheckpoint {
    const { chunks, hasher, deviceState } = this.#incompleteOf(epoch);
    if (deviceState === undefined || deviceState.length === 0) {
      throw epochError('EPOCH_NO_DEVICE_STATE', `epoch ${epoch} has no device state`, { epoch });
    }
    const digest = hasher.digest();
    if (chunks.length !== message.chunks || digest !== message.digest) {
      throw wireError(
        'WIRE_DIGEST_MISMATCH',
        `epoch ${epoch}: ${chunks.length} of ${message.chunks} chunks, digest ${digest}, sent as ${message.digest}`,
        { epoch },
      );
    }
    this.#incomplete = undefined;
    const { addresses } = message;
    this.#committed = { epoch, deviceState, addresses };
    this.#lane?.setCommitted({ epoch, deviceState, addresses: JSON.stringify(addresses) });
    // Now, so that it has its turn before whatever the lane commits next.
    const isTrusted = this.#applyFailure === undefined;
    const applying =
      isTrusted && chunks.length > 0 ? this.dependencies.replica.apply(chunks) : undefined;
    applying?.catch(() => undefined);
    this.#enqueue(
      chunks,
      async () => applying,
      () => {
        this.appliedEpoch = epoch;
      },
    );
    return this.#committed;
  }

  /** Resolves when the replica holds exactly the committed epoch; rejects if that failed. */
  async finishApplying(): Promise<void> {
    await this.#applying;
    if (this.#applyFailure !== undefined) throw this.#applyFailure;
  }

  /** Throws away what is staged of the next epoch; returns its bytes. */
  discardIncomplete(): number {
    const bytes = this.#incomplete?.bytes ?? 0;
    for (const chunk of this.#incomplete?.chunks ?? []) this.dependencies.recycle(chunk);
    this.#incomplete = undefined;
    return bytes;
  }

  #incompleteOf(epoch: number): Incomplete {
    const committed = this.committed?.epoch ?? 0;
    const staged = this.#incomplete?.epoch;
    // Numbers may be skipped (a pause that failed uses one up) but never come back.
    if (epoch <= committed || (staged !== undefined && epoch < staged)) {
      const also = staged === undefined ? '' : `, ${staged} is staged`;
      const message = `a part of epoch ${epoch} came; ${committed} is committed${also}`;
      throw epochError('EPOCH_OUT_OF_ORDER', message, { epoch });
    }
    // Its pause failed: all of its pages come again with this one.
    if (staged !== undefined && epoch > staged) this.discardIncomplete();
    this.#incomplete ??= {
      epoch,
      chunks: [],
      bytes: 0,
      hasher: this.dependencies.newHasher(),
      deviceState: undefined,
    };
    return this.#incomplete;
  }

  #validate(epoch: number, chunk: Buffer): void {
    try {
      this.dependencies.replica.validate(chunk);
    } catch (cause) {
      throw epochError('EPOCH_CHUNK_MALFORMED', messageOf(cause), { epoch, cause });
    }
  }

  /** Runs `apply` after what was enqueued before, unless that failed. */
  #enqueue(chunks: readonly Buffer[], apply: () => Promise<unknown>, applied: () => void): void {
    const { recycle, onApplyFailed } = this.dependencies;
    this.#applying = this.#applying.then(async () => {
      if (this.#applyFailure !== undefined) return;
      try {
        await apply();
        applied();
      } catch (cause) {
        this.#applyFailure = epochError('EPOCH_APPLY_FAILED', (cause as Error).message, { cause });
        onApplyFailed(this.#applyFailure);
      } finally {
        for (const chunk of chunks) recycle(chunk);
      }
    });
  }
}
