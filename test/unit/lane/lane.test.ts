/**
 * Both ends of the lane, with a process's real memory behind one and a memfd behind the other: whatever is
 * committed, by whichever way, is what the guest had; nothing is committed that the primary did not say.
 */
import { randomBytes } from 'node:crypto';
import { connect as dial } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomFrom } from '../memory/scribbler.js';
import { Between, deviceState, TwoHosts } from './two-hosts.js';

let hosts: TwoHosts;
beforeEach(async () => {
  hosts = await TwoHosts.start();
});
afterEach(() => hosts.end());

const STATE_BYTES = 150_000;
/** More than the first chunk has room for. */
const MANY_PAGES = 400;

/** Differs from the one before in a few places, like a guest's. */
function stateAfter(before: Buffer, random: (bound: number) => number): Buffer {
  const state = Buffer.from(before);
  for (let i = 0; i < 20; i += 1) state[100 + random(STATE_BYTES - 200)] = random(256);
  return state;
}

async function replicaIsGuest(epoch: number): Promise<void> {
  expect(await hosts.replica.digest(), `epoch ${epoch}`).toBe(await hosts.memory.digest());
}

test.each([1, 2, 3])('random epochs, by the lane and beside it, schedule %i', async (seed) => {
  const random = randomFrom(seed);
  hosts.lane = await hosts.connect();
  let state = deviceState(randomBytes(STATE_BYTES));
  const ways = { lane: 0, channel: 0, failed: 0 };
  for (let epoch = 1; epoch <= 60; epoch += 1) {
    if (random(5) > 0)
      await hosts.guest.ask(`w ${epoch} ${random(random(4) === 0 ? MANY_PAGES : 40)}`);
    // Another size now and then: no difference can be sent then.
    state =
      random(10) === 0 ? deviceState(randomBytes(STATE_BYTES + epoch)) : stateAfter(state, random);
    if (random(6) === 0) {
      ways.failed += 1;
      const cut = hosts.epoch(epoch, state.subarray(0, -1));
      await cut.then(
        ({ chunks }) => expect(chunks).not.toEqual([]),
        () => undefined,
      );
      hosts.memory.abandon();
      continue;
    }
    const addresses = JSON.stringify([{ mac: `${epoch}`, address: 'a' }]);
    const { capture, chunks } = await hosts.epoch(epoch, state, addresses);
    if (capture.sent === undefined) {
      ways.channel += 1;
      await hosts.byChannel(epoch, state, chunks);
    } else {
      ways.lane += 1;
      await hosts.until(() => hosts.applied.at(-1) === epoch && hosts.committed.at(-1) === epoch);
      const kept = hosts.backup.committedAfter(epoch - 1);
      expect(kept).toMatchObject({ epoch, addresses });
      expect(kept?.deviceState.equals(state), `device state of epoch ${epoch}`).toBe(true);
      expect(hosts.backup.committedAfter(epoch)).toBeUndefined();
    }
    await replicaIsGuest(epoch);
  }
  expect(Math.min(...Object.values(ways)), JSON.stringify(ways)).toBeGreaterThan(0);
  expect(hosts.failures).toEqual([]);
  expect(hosts.ends).toEqual([]);
});

test('a checkpoint of the channel that is still being applied comes before the lane’s next one', async () => {
  hosts.lane = await hosts.connect();
  const state = deviceState(randomBytes(STATE_BYTES));
  for (let epoch = 1; epoch <= 20; epoch += 2) {
    await hosts.guest.ask(`w ${epoch} 3000`);
    const { chunks } = await hosts.epoch(epoch, state);
    // Not awaited: the same pages change again at once.
    const applied = hosts.byChannel(epoch, state, chunks);
    await hosts.guest.ask(`w ${epoch + 1} 30`);
    await hosts.epoch(epoch + 1, state);
    await hosts.until(() => hosts.applied.at(-1) === epoch + 1);
    await applied;
    await replicaIsGuest(epoch);
  }
});

test('where nobody listens there is none', async () => {
  const { port } = hosts.backup;
  hosts.backup.stop();
  await expect(hosts.connect({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('after `stop` nothing is committed', async () => {
  hosts.lane = await hosts.connect();
  const state = deviceState(randomBytes(STATE_BYTES));
  await hosts.guest.ask('w 1 10');
  await hosts.commit(1, state);
  hosts.backup.stop();
  await hosts.until(() => hosts.ends.length === 1);
  await hosts.guest.ask('w 2 10');
  const { capture } = await hosts.epoch(2, state);
  expect(capture.sent).toBeUndefined();
  expect(hosts.backup.committedAfter(1)).toBeUndefined();
  expect(hosts.failures).toEqual([]);
});

test('a device state that is not whole is not sent', async () => {
  hosts.lane = await hosts.connect();
  const state = deviceState(randomBytes(STATE_BYTES));
  await hosts.commit(1, state);
  await hosts.guest.ask('w 2 10');
  await expect(hosts.epoch(2, state.subarray(0, -3))).rejects.toMatchObject({
    code: 'DEVICE_STATE_BAD',
  });
  await hosts.epoch(3, state);
  await hosts.until(() => hosts.committed.at(-1) === 3);
  await replicaIsGuest(3);
});

describe('somebody else', () => {
  test.each([
    ['says nothing that makes sense', Buffer.alloc(100, 7)],
    ['says that much is to come', Buffer.from([0xff, 0xff, 0xff, 0x7f])],
  ])('who %s is not let in, and the primary is', async (_, words) => {
    const stranger = dial(hosts.backup.port, '127.0.0.1');
    const gone = new Promise((resolve) => stranger.once('close', resolve));
    stranger.on('error', () => undefined);
    stranger.resume();
    stranger.write(words);
    await gone;
    await worksByLane();
  });

  test('with another secret is not let in, and the primary is', async () => {
    const stranger = await hosts.connect({ secret: randomBytes(64) });
    await hosts.until(() => hosts.ends.length === 1);
    expect(stranger.isOpen).toBe(false);
    await worksByLane();
  });

  async function worksByLane(): Promise<void> {
    hosts.lane = await hosts.connect();
    const state = deviceState(randomBytes(STATE_BYTES));
    await hosts.commit(1, state);
    await hosts.guest.ask('w 2 10');
    await hosts.epoch(2, state);
    await hosts.until(() => hosts.committed.at(-1) === 2);
    await replicaIsGuest(2);
  }
});

describe('somebody in between', () => {
  let between: Between;
  beforeEach(async () => {
    between = await Between.start(hosts.backup.port);
    hosts.lane = await hosts.connect({ port: between.port });
  });
  afterEach(() => between.close());

  test.each([
    [
      'changes a byte',
      (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === 9 ? byte ^ 1 : byte))),
    ],
    ['says it twice', (bytes: Buffer) => Buffer.concat([bytes, bytes])],
    ['leaves a part out', (bytes: Buffer) => bytes.subarray(bytes.length / 2)],
  ])('who %s ends it, and nothing of that is committed', async (_, change) => {
    const state = deviceState(randomBytes(STATE_BYTES));
    await hosts.commit(1, state);
    await hosts.guest.ask('w 2 10');
    await hosts.epoch(2, state);
    await hosts.until(() => hosts.applied.at(-1) === 2);
    const before = await hosts.replica.digest();
    between.change = change;
    await hosts.guest.ask('w 3 10');
    await hosts.epoch(3, stateAfter(state, randomFrom(7))).catch(() => undefined);
    await hosts.until(() => hosts.failures.length === 1);
    expect(hosts.failures).toEqual(['LANE_TAMPERED']);
    // The same record twice may let the first of them count: that is what the primary said.
    const last = hosts.backup.committedAfter(0)?.epoch;
    expect(last).toBe(hosts.applied.at(-1));
    if (last === 2) expect(await hosts.replica.digest()).toBe(before);
  });
});
