/**
 * What a case of the output hold's contract plays on: the network with its listeners, made once for many
 * cases, and for each case a scene that keeps what the hold has told and puts everything back.
 */
import assert from 'node:assert/strict';
import {
  committedEpoch,
  type HoldBackend,
  type HoldOptions,
  type HoldTrouble,
  type OutputHold,
} from '../../src/netbuffer/output-hold.js';
import { readLink } from '../../src/netbuffer/tap-state.js';
import {
  bridge,
  client,
  type GuestHost,
  GuestNetwork,
  guest,
  secondGuest,
  until,
} from './netbuffer-net.js';
import { type Seen, Wire } from './netbuffer-peer.js';

/** Above every number that a case gives its frames. */
const firstMark = 3_000_000_000;
const markMac = '52:54:00:77:ff:ff';

/** The network and one listener in each of its ends. */
export class Stage {
  #marks = firstMark;
  #second: Wire | undefined;
  private constructor(
    readonly network: GuestNetwork,
    readonly guestWire: Wire,
    readonly clientWire: Wire,
    /** Outside the client's cable: what is sent here comes to the client alone. */
    private readonly cable: Wire,
  ) {}

  static async make(): Promise<Stage> {
    const network = await GuestNetwork.make();
    return new Stage(
      network,
      await Wire.start(guest.space, 'eth0'),
      await Wire.start(client.space, 'eth0'),
      await Wire.start(undefined, client.cable),
    );
  }

  async secondWire(): Promise<Wire> {
    await this.network.second();
    this.#second ??= await Wire.start(secondGuest.space, 'eth0');
    return this.#second;
  }

  /**
   * What has come to the client. A mark comes behind every frame that has reached its cable by now,
   * so what is missing has not been let out.
   */
  async seen(): Promise<Seen> {
    const mark = this.#marks++;
    await this.cable.burst({ from: mark, through: mark, to: client.mac, mac: markMac });
    let seen: Seen | undefined;
    await until('the mark is there', async () => {
      seen = await this.clientWire.seen();
      return seen.numbers.includes(mark);
    });
    const { numbers, ...rest } = seen ?? { numbers: [], frames: [], lastNs: 0n };
    return { ...rest, numbers: numbers.filter((number) => number < firstMark) };
  }

  async close(): Promise<void> {
    for (const wire of [this.guestWire, this.clientWire, this.cable, this.#second]) wire?.kill();
    await this.network.close();
  }
}

/** One hold and what it has told. */
export interface Held {
  readonly hold: OutputHold;
  readonly told: { waiting: number; filling: number; troubles: HoldTrouble[] };
}

export type Limits = Pick<HoldOptions, 'limitPackets' | 'limitBytes'>;

/** One case's view: the hold of the first guest and shorthands for its frames. */
export class Scene {
  readonly #open = new Set<OutputHold>();
  constructor(
    readonly backend: HoldBackend,
    readonly stage: Stage,
  ) {}

  get network(): GuestNetwork {
    return this.stage.network;
  }

  /** Holds a guest's output from epoch 1 on. */
  async begin(limits: Limits = {}, { tap }: GuestHost = guest): Promise<Held> {
    const told: Held['told'] = { waiting: 0, filling: 0, troubles: [] };
    const hold = await this.backend.holdOutput({
      tap,
      bridge,
      epoch: 1,
      ...limits,
      onWaiting: () => {
        told.waiting += 1;
      },
      onFilling: () => {
        told.filling += 1;
      },
      onTrouble: (trouble) => told.troubles.push(trouble),
    });
    this.#open.add(hold);
    return { hold, told };
  }

  async end(hold: OutputHold, release = false): Promise<void> {
    await hold.close({ release });
    this.#open.delete(hold);
  }

  /** The guest sends numbered frames to the client. */
  burst(from: number, through: number, bytes = 60): Promise<void> {
    return this.stage.guestWire.burst({ from, through, bytes, to: client.mac, mac: guest.mac });
  }

  stream(from: number): Promise<void> {
    return this.stage.guestWire.stream({ from, to: client.mac, mac: guest.mac });
  }

  async seen(): Promise<number[]> {
    return (await this.stage.seen()).numbers;
  }

  async untilSeen(from: number, through: number): Promise<void> {
    const wanted = numbers(from, through);
    await until(
      `${wanted.length} frames are seen`,
      async () => (await this.seen()).length >= wanted.length,
    );
    assert.deepEqual(await this.seen(), wanted);
  }

  held(hold: OutputHold, count: number): Promise<void> {
    return until(
      () => `${count} packets are held, not ${hold.stats().heldPackets}`,
      () => hold.stats().heldPackets === count,
    );
  }

  /** The case is over: nothing is held any more, and the tap is what it was. */
  async leave(): Promise<void> {
    for (const hold of this.#open) await this.end(hold);
    await this.stage.guestWire.stop();
    const { master, up, alias } = await readLink(guest.tap);
    assert.deepEqual({ master, up, alias }, { master: bridge, up: true, alias: '' });
    await this.stage.seen();
    await this.stage.clientWire.forget();
    await this.stage.guestWire.forget();
  }

  /** After a failure, when the stage is not used again. */
  async abandon(): Promise<void> {
    for (const hold of this.#open) await this.end(hold);
  }
}

export const numbers = (from: number, through: number): number[] =>
  Array.from({ length: through - from + 1 }, (_, index) => from + index);

/** Closes and releases epochs from `from` on until nothing is held, with a bound. */
export async function releaseAll(hold: OutputHold, from: number): Promise<number> {
  let epoch = from;
  let left = 0;
  await until('everything has left', async () => {
    hold.closeEpoch(epoch);
    left += await hold.release(committedEpoch(epoch));
    epoch += 1;
    return hold.stats().heldPackets === 0;
  });
  return left;
}
