/**
 * Whatever order of writes, captures, failures and abandoned epochs: once an epoch is applied,
 * the replica is the guest.
 */
import { afterEach, expect, test } from 'vitest';
import { native } from '../../../src/native.js';
import { encodeAll, randomFrom, Scribbler, type ScribblerKind, stopped } from './scribbler.js';

const running: Scribbler[] = [];
afterEach(async () => {
  for (const scribbler of running.splice(0)) await scribbler.end();
});

async function start(kind: ScribblerKind, mib: number): Promise<Scribbler> {
  const scribbler = await Scribbler.start(kind, mib);
  running.push(scribbler);
  return scribbler;
}

test.each([
  ['private', 1],
  ['huge', 2],
  ['shared', 3],
  ['memfd', 4],
] as const)(
  '%s memory, random schedule %i',
  async (kind, seed) => {
    const random = randomFrom(seed);
    const guest = await start(kind, 16);
    const standby = await start('memfd', 16);
    await standby.ask('w 99 200');
    const memory = await guest.attach({ stagingBytes: 2 << 20 });
    let replica = openReplica(standby);

    for (let epoch = 1; epoch <= 60; epoch += 1) {
      for (let i = random(3); i > 0; i -= 1) await guest.ask(`w ${epoch * 10 + i} ${random(1500)}`);
      if (random(4) === 0) await guest.ask(`z ${random(3000)} ${random(100)}`);
      const copy = random(3) === 0 ? 'live' : 'staged';
      const capture = await memory.captureStopped(stopped(epoch, copy));
      const fate = random(6);
      if (fate === 0) {
        memory.abandon();
      } else if (fate === 1) {
        // Encoded in part, then given up; or simply followed by the next capture.
        await memory.encodeInto(Buffer.alloc(64 << 10));
        if (random(2) === 0) memory.abandon();
      } else if (fate === 2) {
        await encodeAll(memory, capture);
        memory.abandon();
      } else {
        const { chunks } = await encodeAll(memory, capture, (64 << 10) + random(1 << 20));
        await replica.apply(chunks);
        expect(await replica.digest(), `epoch ${epoch}`).toBe(await memory.digest());
      }
      if (random(15) === 0) {
        memory.forgetReplica();
        await standby.ask(`w ${epoch} 500`);
        replica.close();
        replica = openReplica(standby);
      }
    }
    const { chunks } = await encodeAll(memory, await memory.captureStopped(stopped(100)));
    await replica.apply(chunks);
    expect(await replica.digest()).toBe(await memory.digest());
    await memory.detach();
    replica.close();
  },
  30_000,
);

test('a live epoch is exact although pages change between capture and encoding', async () => {
  const guest = await start('private', 16);
  const standby = await start('memfd', 16);
  await guest.ask('w 1 4000');
  const memory = await guest.attach();
  const replica = openReplica(standby);
  for (let epoch = 1; epoch <= 10; epoch += 1) {
    const capture = await memory.captureStopped(stopped(epoch, 'live'));
    await guest.ask(`w ${epoch} 500`);
    await replica.apply((await encodeAll(memory, capture)).chunks);
  }
  await replica.apply((await encodeAll(memory, await memory.captureStopped(stopped(11)))).chunks);
  expect(await replica.digest()).toBe(await memory.digest());
  await memory.detach();
  replica.close();
});

test('pages of which little changed travel as their difference, while epochs are small', async () => {
  const guest = await start('private', 16);
  const standby = await start('memfd', 16);
  const memory = await guest.attach();
  const replica = openReplica(standby);
  const epoch = async (number: number, command: string): Promise<number> => {
    await guest.ask(command);
    const { chunks, dataPages } = await encodeAll(
      memory,
      await memory.captureStopped(stopped(number)),
    );
    await replica.apply(chunks);
    expect(await replica.digest()).toBe(await memory.digest());
    return chunks.reduce((bytes, chunk) => bytes + chunk.length, 0) / dataPages;
  };
  await epoch(1, 'p 0 1');
  expect(await epoch(2, 'r 100 1')).toBeGreaterThan(4096);
  // One line of each, its bitmap, and a run.
  for (let number = 3; number < 10; number += 1) {
    expect(await epoch(number, 'r 100 1')).toBeLessThan(64 + 8 + 16 + 1);
  }
  // More than half of the page.
  expect(await epoch(10, 'p 0 2')).toBeGreaterThan(4096);
  // Too many to be compared, and afterwards not known any more.
  expect(await epoch(11, 'r 100 20')).toBeGreaterThan(4096);
  expect(await epoch(12, 'r 100 1')).toBeGreaterThan(4096);
  expect(await epoch(13, 'r 100 1')).toBeLessThan(100);
  await memory.detach();
  replica.close();
});

function openReplica(standby: Scribbler) {
  return native.memory.openReplica({
    blocks: [{ path: standby.memfdPath, bytes: standby.bytes, replicaOffset: 0 }],
  });
}
