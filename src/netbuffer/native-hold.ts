/** What both backends do alike: the checks before a hold begins, and a native hold behind `OutputHold`. */
import { notBeforeNs } from '../clock.js';
import type { NativeBoundary, NativePlugHold, NativeTrigger } from '../native.js';
import { type HoldErrorCode, holdError, holdErrorFrom } from './errors.js';
import { readTapOf } from './interface-names.js';
import { HELD_BYTES_MAX, HELD_PACKETS_MAX } from './limits.js';
import type {
  CommittedEpoch,
  HoldBackendName,
  HoldOptions,
  HoldStats,
  LearnedAddress,
  OutputHold,
} from './output-hold.js';
import { decodePortRecord, type PortRecord } from './port-record.js';
import { findLink, type LinkState, readLink } from './tap-state.js';

/**
 * The tap as it stands, and what a dead `holder` wrote down about it.
 * @throws HOLD_NO_INTERFACE, HOLD_TAP_DOWN, HOLD_NOT_ON_BRIDGE, HOLD_STILL_HELD
 */
export async function tapToHold(
  tap: string,
  bridge: string,
): Promise<{ guest: LinkState; left: PortRecord | undefined }> {
  const guest = await readLink(tap);
  if (!guest.up) throw holdError('HOLD_TAP_DOWN', `${tap} is down`);
  const left = decodePortRecord(guest.alias);
  if (left === undefined && guest.master !== bridge) {
    throw holdError('HOLD_NOT_ON_BRIDGE', `${tap} is not a port of ${bridge}`);
  }
  await requireNoLiveHolder(tap);
  return { guest, left };
}

/** The taps of a `holder` vanish with its process. @throws HOLD_STILL_HELD */
export async function requireNoLiveHolder(tap: string): Promise<void> {
  const readTap = readTapOf(tap);
  if ((await findLink(readTap)) === undefined) return;
  throw holdError('HOLD_STILL_HELD', `${tap} is held: ${readTap} exists`);
}

/** What every native hold is opened with. */
export function nativeOptions(options: HoldOptions) {
  return {
    tap: options.tap,
    epoch: options.epoch,
    limitPackets: options.limitPackets ?? HELD_PACKETS_MAX,
    limitBytes: options.limitBytes ?? HELD_BYTES_MAX,
    onWaiting: options.onWaiting,
    onFilling: options.onFilling,
    onTrouble: options.onTrouble,
  };
}

/** The calls that both native holds have. */
type NativeHold = Pick<
  NativePlugHold,
  | 'boundary'
  | 'closeEpoch'
  | 'release'
  | 'dropAll'
  | 'setPassing'
  | 'fireAtWaiting'
  | 'stats'
  | 'addresses'
>;

export abstract class HeldOutput implements OutputHold {
  readonly boundary: NativeBoundary;
  #closing: Promise<void> | undefined;

  constructor(
    readonly backend: HoldBackendName,
    readonly tap: string,
    readonly bridge: string,
    private readonly native: NativeHold,
    /** For failures that have no code of ours. */
    private readonly fallback: HoldErrorCode,
  ) {
    this.boundary = native.boundary;
  }

  abstract passUntil(deadlineMs: number): void;
  /** Once, until it fails. */
  protected abstract end(release: boolean): Promise<void>;

  closeEpoch(epoch: number): void {
    this.call('close epoch', () => this.native.closeEpoch(epoch));
  }

  async release(committed: CommittedEpoch): Promise<number> {
    try {
      return await this.released(this.native.release(committed));
    } catch (thrown) {
      throw holdErrorFrom(thrown, 'HOLD_CLOSED', 'release');
    }
  }

  dropAll(): number {
    return this.call('drop', () => this.native.dropAll());
  }

  setPassing(passing: boolean): void {
    this.call('pass', () => this.native.setPassing(passing));
  }

  fireAtWaiting(trigger: NativeTrigger, notBeforeMs: number, quietly = false): void {
    this.call('fire', () => this.native.fireAtWaiting(trigger, notBeforeNs(notBeforeMs), quietly));
  }

  stats(): HoldStats {
    return this.call('stats', () => this.native.stats());
  }

  addresses(): LearnedAddress[] {
    return this.call('addresses', () => this.native.addresses());
  }

  close({ release }: { release: boolean }): Promise<void> {
    this.#closing ??= this.end(release).catch((failure: unknown) => {
      this.#closing = undefined;
      throw failure;
    });
    return this.#closing;
  }

  /** What a release settles as. */
  protected released(release: Promise<number>): Promise<number> {
    return release;
  }

  protected call<T>(operation: string, call: () => T): T {
    try {
      return call();
    } catch (thrown) {
      throw holdErrorFrom(thrown, this.fallback, operation);
    }
  }
}
