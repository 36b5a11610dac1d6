/**
 * What a plug qdisc is told (native/net/plug_rule.h), by table and by random schedules against a model of
 * sch_plug that counts as the kernel does.
 */
import { describe, expect, it } from 'vitest';
import { type NativePlugCommand, type NativePlugRule, native } from '../../../src/native.js';

type Step = ['close' | 'release', number, NativePlugCommand[]] | ['left'];

const scenarios: [string, Step[]][] = [
  [
    'one epoch at a time: close, release',
    [
      ['close', 1, ['buffer']],
      ['release', 1, ['releaseOne']],
      ['left'],
      ['close', 2, ['buffer']],
      ['release', 2, ['releaseOne']],
    ],
  ],
  [
    'a boundary that finds released packets on their way out is merged',
    [
      ['close', 1, ['buffer']],
      ['release', 1, ['releaseOne']],
      ['close', 2, []],
      ['left'],
      ['release', 2, []],
      ['close', 3, ['buffer']],
      ['release', 3, ['releaseOne']],
    ],
  ],
  [
    'a boundary that finds an epoch outstanding is merged; the first one after its release closes both',
    [
      ['close', 1, ['buffer']],
      ['close', 2, []],
      ['release', 1, ['releaseOne']],
      ['release', 2, []],
      ['left'],
      ['close', 3, ['buffer']],
      ['release', 2, []],
      ['release', 3, ['releaseOne']],
    ],
  ],
  [
    'nothing is told to the qdisc at a release but the release: the guest runs',
    [
      ['close', 1, ['buffer']],
      ['close', 2, []],
      ['close', 3, []],
      ['release', 3, ['releaseOne']],
    ],
  ],
  [
    'an epoch told twice moves nothing',
    [
      ['close', 1, ['buffer']],
      ['close', 1, []],
      ['release', 1, ['releaseOne']],
      ['close', 1, []],
      ['release', 1, []],
    ],
  ],
  [
    'epochs may be skipped: a later one stands for those before',
    [
      ['close', 4, ['buffer']],
      ['release', 2, []],
      ['release', 4, ['releaseOne']],
    ],
  ],
];

/** net/sched/sch_plug.c: its four counts and its queue. */
class SchPlug<Packet> {
  #queue: Packet[] = [];
  #current = 0;
  #last = 0;
  #toRelease = 0;
  readonly left: Packet[] = [];

  enqueue(packet: Packet): void {
    this.#queue.push(packet);
    this.#current += 1;
  }

  command(command: NativePlugCommand): void {
    if (command === 'buffer') {
      this.#last = this.#current;
      this.#current = 0;
    } else {
      this.#toRelease += this.#last;
      this.#last = 0;
    }
  }

  dequeue(packets: number): void {
    const leaving = this.#queue.splice(0, Math.min(packets, this.#toRelease));
    this.#toRelease -= leaving.length;
    this.left.push(...leaving);
  }

  get leaving(): number {
    return Math.min(this.#toRelease, this.#queue.length);
  }

  get held(): number {
    return this.#queue.length;
  }
}

/** Park-Miller: the same schedule for the same seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

interface Packet {
  readonly epoch: number;
  readonly number: number;
}

/** Runs one random schedule, in which the rule is `makeRule`'s; how many packets have left. */
function runSchedule(seed: number, makeRule: () => NativePlugRule): number {
  const random = randomFrom(seed);
  const rule = makeRule();
  const plug = new SchPlug<Packet>();
  const obey = (commands: readonly NativePlugCommand[]) => {
    for (const command of commands) plug.command(command);
  };
  const dequeue = (packets: number) => {
    plug.dequeue(packets);
    if (plug.leaving === 0) rule.left();
  };
  let open = 1;
  let committed = 0;
  let sent = 0;
  let checked = 0;
  const check = () => {
    for (; checked < plug.left.length; checked++) {
      const packet = plug.left[checked];
      if (packet?.number !== checked) throw new Error(`seed ${seed}: out of order at ${checked}`);
      if (packet.epoch > committed)
        throw new Error(`seed ${seed}: epoch ${packet.epoch} left at ${committed}`);
    }
  };
  for (let step = 0; step < 200; step++) {
    const dice = random(10);
    dequeue(random(4));
    if (dice < 5) {
      plug.enqueue({ epoch: open, number: sent++ });
    } else if (dice < 7) {
      obey(rule.close(open));
      open += 1;
    } else if (dice < 8 && open > 1) {
      // A capture that is tried again tells its boundary again.
      obey(rule.close(open - 1));
    } else if (committed < open - 1) {
      committed += 1 + random(open - 1 - committed);
      obey(rule.release(committed));
    }
    check();
  }
  // One more epoch at a time: at the latest the second finds nothing outstanding, and everything goes.
  for (let more = 0; more < 2; more++) {
    dequeue(plug.held);
    obey(rule.close(open));
    committed = open;
    open += 1;
    obey(rule.release(committed));
    check();
  }
  dequeue(plug.held);
  check();
  if (plug.held > 0) throw new Error(`seed ${seed}: ${plug.held} packets never left`);
  if (rule.openEpoch !== open) throw new Error(`seed ${seed}: the open epoch is ${rule.openEpoch}`);
  return checked;
}

describe('the plug rule', () => {
  it.each(scenarios)('%s', (_, steps) => {
    const rule = native.net.plugRule({ epoch: 1 });
    for (const [what, epoch, commands] of steps) {
      if (what === 'left') rule.left();
      else expect(rule[what](epoch)).toEqual(commands);
    }
  });

  it('refuses to release an epoch that is open, and stays as it was', () => {
    const rule = native.net.plugRule({ epoch: 7 });
    expect(() => rule.release(7)).toThrow(expect.objectContaining({ code: 'HOLD_EPOCH_OPEN' }));
    expect(rule.release(6)).toEqual([]);
    expect(rule.close(7)).toEqual(['buffer']);
    expect(() => rule.release(8)).toThrow(expect.objectContaining({ code: 'HOLD_EPOCH_OPEN' }));
    expect(rule.release(7)).toEqual(['releaseOne']);
    expect(rule.openEpoch).toBe(8);
  });

  it.each([-1, 1.5, Number.NaN])('refuses %d as an epoch', (epoch) => {
    expect(() => native.net.plugRule({ epoch })).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  });

  const theRule = () => native.net.plugRule({ epoch: 1 });

  it('lets packets go in order, none before its epoch is committed, and all in the end', () => {
    let left = 0;
    for (let seed = 1; seed <= 500; seed++) left += runSchedule(seed, theRule);
    expect(left).toBeGreaterThan(10_000);
  });

  it('is what keeps them: with a BUFFER at every boundary some leave too early', () => {
    const careless = (): NativePlugRule => {
      const rule = theRule();
      return {
        get openEpoch() {
          return rule.openEpoch;
        },
        close: (epoch) => {
          rule.close(epoch);
          return ['buffer'];
        },
        release: (epoch) => rule.release(epoch),
        left: () => rule.left(),
      };
    };
    const outcomes = Array.from({ length: 100 }, (_, seed) => {
      try {
        runSchedule(seed + 1, careless);
        return 'kept';
      } catch (failure) {
        return String(failure);
      }
    });
    expect(outcomes).toContainEqual(expect.stringMatching(/epoch \d+ left at \d+/));
  });
});
