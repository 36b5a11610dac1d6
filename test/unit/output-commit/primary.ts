/**
 * The primary's session: the real epoch loop, pacer, policy, capture, shipper, commits and channel, with
 * the modelled guest and hold put where QEMU and the kernel would be. The only file that knows how the
 * loop is wired, as `Protection` is in the product.
 */
import { Commits } from '../../../src/epoch/commits.js';
import type { Fault } from '../../../src/epoch/faults.js';
import { EpochLoop } from '../../../src/epoch/loop.js';
import { type PolicyOptions, policyOf } from '../../../src/epoch/policy.js';
import { EpochRecords } from '../../../src/epoch/records.js';
import { Shipper } from '../../../src/epoch/shipper.js';
import { native } from '../../../src/native.js';
import { FrameChannel } from '../../../src/wire/channel.js';
import { asNative, type GuestMemory } from './guest-memory.js';
import { Ear } from './heartbeats.js';
import type { Hold } from './holds.js';
import type { SocketEnd } from './link.js';
import { Md5 } from './md5.js';
import { type Loop, OverlappingLoop } from './overlapping-loop.js';
import type { World } from './world.js';

export interface PrimaryOptions {
  term: number;
  /** `overlapping`: not the real loop, see overlapping-loop.ts. */
  policy: PolicyOptions | { name: 'overlapping'; intervalMs: number };
  /** Passing ends so long after the pause of the last committed epoch; undefined: output is held. */
  leaseMs: number | undefined;
  faults: ReadonlySet<Fault>;
  /** Planted: what was sent counts as committed. */
  sentIsCommitted: boolean;
}

/** Longest until a boundary's signal is in the event loop, and until the disks have proved an epoch. */
const SIGNAL_MS = 1;
const PROOF_MS = 2;

/** Of a guest that is never larger than staging: the loop does not look at its dirty set. */
const STAGING_BYTES = 1024 ** 2;

export class Primary {
  readonly #loop: Loop;
  readonly #channel: FrameChannel;
  readonly #ear: Ear;
  #over = false;

  constructor(
    private readonly world: World,
    socket: SocketEnd,
    private readonly memory: GuestMemory,
    private readonly hold: Hold,
    private readonly options: PrimaryOptions,
  ) {
    this.#channel = new FrameChannel(socket.asSocket());
    this.#loop = this.#makeLoop();
    this.#ear = new Ear(world, 'session', () => this.#fail(new Error('the backup is silent')));
    hold.onWaiting = (openEpoch) => this.#loop.outputWaits(openEpoch);
    this.#channel.receive({
      onFrame: ({ type, epoch }) => {
        if (type !== 'committed') throw new Error(`${type} from the backup`);
        world.moment('acknowledged');
        this.#loop.acknowledge(epoch);
      },
      onClosed: (error) => this.#fail(error ?? new Error('the backup hung up')),
    });
  }

  start(): void {
    this.#loop.run().then(
      () => this.#fail(new Error('stopped')),
      (error: Error) => this.#fail(error),
    );
  }

  /** It sends heartbeats until then. */
  get hasGivenUp(): boolean {
    return this.#over;
  }

  hearHeartbeat(): void {
    this.#ear.heard();
  }

  /** Whatever the reason: the backup is not told, output stays as it is. */
  #fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.world.note(`the session gives up: ${error.message}`);
    this.#loop.fail(error);
    this.#loop.stop();
    this.#ear.close();
    this.#channel.destroy(error);
  }

  #makeLoop(): Loop {
    const { world, memory } = this;
    const { term, policy, faults, leaseMs, sentIsCommitted } = this.options;
    const shipper = new Shipper(this.memory, this.#channel, term);
    const boundaries = [asNative(this.hold)];
    const channel = this.#channel;
    if (policy.name === 'overlapping') {
      const parts = { world, memory, shipper, channel, hold: this.hold, boundaries };
      return new OverlappingLoop({ term, intervalMs: policy.intervalMs }, parts);
    }
    const commits = sentIsCommitted ? new SentIsCommitted() : new Commits();
    const loop = new EpochLoop(
      { term, policy: policyOf(policy), stagingBytes: STAGING_BYTES, lastEpoch: 0, faults },
      {
        memory,
        pause: memory,
        shipper,
        channel,
        commits,
        records: new EpochRecords(),
        newHasher: () => new Md5(),
        checkDeviceState: () => undefined,
        stateDelta: (base, state) => native.memory.stateDelta(base, state),
        boundaries,
        signal: (onClosed) =>
          asNative({
            onEpochClosed: (epoch) =>
              void world.sleep('session', SIGNAL_MS).then(() => onClosed(epoch)),
          }),
        disks: { proveEpoch: () => world.sleep('session', PROOF_MS).then(() => []) },
        guestLoad: () => 1,
        fireAtWaiting: () => undefined,
        // Under a lease nothing leaves but by it: an acknowledgement may be late.
        release: (epoch) => (leaseMs === undefined ? this.hold.release(epoch) : Promise.resolve(0)),
        addresses: () => [],
        onEpoch: ({ pausedAtMs }) => {
          if (leaseMs !== undefined) this.hold.passUntil(pausedAtMs + leaseMs);
        },
        onPauseFailed: () => undefined,
      },
    );
    return {
      run: () => loop.run(),
      stop: () => loop.stop(),
      outputWaits: (openEpoch) => loop.outputWaits(openEpoch),
      acknowledge: (epoch) => commits.acknowledge(epoch),
      fail: (error) => commits.fail(error),
    };
  }
}

class SentIsCommitted extends Commits {
  override wait(): Promise<void> {
    return Promise.resolve();
  }

  override acknowledge(): void {
    // Nobody waits for it.
  }
}
