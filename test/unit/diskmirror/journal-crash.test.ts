/** Whatever a power failure leaves of the files, opening makes exactly one epoch of it, and no older one than was promised. */
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CrashModel, type FileOperation, type Image, trace } from './journal-trace.js';
import {
  applyToModel,
  at,
  chunkOf,
  type DiskRecord,
  Replica,
  recordsOf,
} from './store-builders.js';

const SIZES = [8192, 4096];
const EPOCHS = 6;
/** Of each crash point; all that there are when they are fewer. */
const IMAGES_MAX = 120;

let replica: Replica;
beforeEach(() => {
  replica = Replica.make(SIZES, '/dev/shm');
});
afterEach(() => replica.remove());

const recordsAt = (epoch: number): DiskRecord[] => recordsOf(epoch, SIZES, 5);

/** The disks at every epoch. */
function statesUpTo(epochs: number): Buffer[][] {
  const states = [SIZES.map((bytes) => Buffer.alloc(bytes))];
  for (let epoch = 1; epoch <= epochs; epoch += 1) {
    const state = (states.at(-1) ?? []).map((disk) => Buffer.from(disk));
    applyToModel(state, recordsAt(epoch));
    states.push(state);
  }
  return states;
}

/** A program that commits some epochs on the replica. */
function committing(first: number, last: number): string {
  const epochs = Array.from({ length: last - first + 1 }, (_, i) => {
    const chunk = chunkOf(...recordsAt(first + i)).toString('base64');
    return `await store.commit([Buffer.from('${chunk}', 'base64')], ${JSON.stringify(at(first + i))});`;
  });
  return `const store = await disks.openStore(${JSON.stringify({
    journalDirectory: replica.journal,
    disks: replica.disks,
  })}); ${epochs.join(' ')}`;
}

const isSlot = (path: string) => basename(path).startsWith('slot-');

/** Opens what a crash left; returns the epoch that the disks then hold, exactly. */
async function recovered(image: Image, states: readonly Buffer[][]): Promise<number> {
  replica.restore(image);
  const store = await replica.open();
  const { state, position } = store.record;
  await store.close();
  const epoch = position?.epoch ?? -1;
  expect(state).toBe('consistent');
  const right = replica.contents().map((disk, i) => disk.equals(states[epoch]?.[i] ?? disk));
  expect(right, `epoch ${epoch}`).toEqual([true, true]);
  return epoch;
}

/**
 * Crashes before every flush (which covers every moment since the one before) and at the end.
 * `promised` epochs so far: one more with each flush of a slot.
 */
async function crashEverywhere(
  operations: readonly FileOperation[],
  model: CrashModel,
  firstPromised: number,
  visit: (image: Image, promised: number) => Promise<void>,
): Promise<number> {
  let promised = firstPromised;
  let images = 0;
  for (const [i, operation] of [...operations, undefined].entries()) {
    if (operation === undefined || operation.kind === 'flush') {
      for (const image of model.images(IMAGES_MAX, i)) {
        await visit(image, promised);
        images += 1;
      }
    }
    if (operation !== undefined) model.perform(operation);
    if (operation?.kind === 'flush' && isSlot(operation.path)) promised += 1;
  }
  return images;
}

describe('a crash', () => {
  it('during commits leaves the last promised epoch or the one under way', async () => {
    await (await replica.openAtEpoch0()).close();
    const before = replica.image();
    const operations = trace(replica.directory, committing(1, EPOCHS));
    const states = statesUpTo(EPOCHS);
    const seen = new Set<string>();
    const images = await crashEverywhere(
      operations,
      new CrashModel(before),
      0,
      async (image, promised) => {
        const epoch = await recovered(image, states);
        expect([promised, promised + 1]).toContain(epoch);
        seen.add(epoch === promised ? 'promised' : 'under way');
      },
    );
    // A slot and both disks are flushed in each epoch.
    expect(operations.filter(({ kind }) => kind === 'flush').length).toBeGreaterThan(2 * EPOCHS);
    expect(images).toBeGreaterThan(1000);
    expect(seen).toEqual(new Set(['promised', 'under way']));
  }, 120_000);

  it('during recovery leaves the epoch that was being recovered', async () => {
    await (await replica.openAtEpoch0()).close();
    const before = replica.image();
    const operations = trace(replica.directory, committing(1, 2));
    const states = statesUpTo(2);
    // Where epoch 2 is durable and not in place: after its slot's flush, with the disks half written.
    const flushes = operations.flatMap((operation, i) =>
      operation.kind === 'flush' && isSlot(operation.path) ? [i] : [],
    );
    const model = new CrashModel(before);
    for (const operation of operations.slice(0, (flushes[1] ?? 0) + 4)) model.perform(operation);
    for (const image of model.images(3, 1)) {
      replica.restore(image);
      const recovery = trace(replica.directory, committing(1, 0));
      await crashEverywhere(recovery, new CrashModel(image), 2, async (again) => {
        expect(await recovered(again, states)).toBe(2);
      });
    }
  }, 120_000);

  it('after a killed process, whose record only the page cache holds, leaves either epoch', async () => {
    await (await replica.openAtEpoch0()).close();
    const model = new CrashModel(replica.image());
    const operations = trace(replica.directory, committing(1, 1));
    const flush = operations.findIndex(({ kind, path }) => kind === 'flush' && isSlot(path));
    for (const operation of operations.slice(0, flush)) model.perform(operation);

    replica.restore(model.cached());
    const recovery = trace(replica.directory, committing(2, 1));
    const states = statesUpTo(1);
    const seen = new Set<number>();
    await crashEverywhere(recovery, model, 0, async (image, promised) => {
      const epoch = await recovered(image, states);
      expect(epoch).toBeGreaterThanOrEqual(Math.min(promised, 1));
      seen.add(epoch);
    });
    expect(seen).toEqual(new Set([0, 1]));
  }, 120_000);

  it('in a first copy never leaves a boundary that is not there', async () => {
    await (await replica.open()).close();
    const before = replica.image();
    const chunk = chunkOf(...recordsAt(1)).toString('base64');
    const operations = trace(
      replica.directory,
      `const store = await disks.openStore(${JSON.stringify({
        journalDirectory: replica.journal,
        disks: replica.disks,
      })});
      await store.beginCopy();
      await store.writeThrough([Buffer.from('${chunk}', 'base64')]);
      await store.commit([], ${JSON.stringify(at(1))});
      await store.goLive(${JSON.stringify(at(1))});`,
    );
    const [, state] = statesUpTo(1);
    const order = ['none', 'copying', 'consistent', 'live'];
    await crashEverywhere(operations, new CrashModel(before), 0, async (image, promised) => {
      replica.restore(image);
      const store = await replica.open();
      await store.close();
      expect([promised, promised + 1]).toContain(order.indexOf(store.record.state));
      if (store.record.position !== undefined) expect(replica.contents()).toEqual(state);
    });
  }, 120_000);
});

describe('a journal that is being made', () => {
  it.each<[string, string[]]>([
    ['the directory', []],
    ['the second file', ['slot-1']],
    ['the first record under its first name', ['slot-1', 'slot-0.new']],
    ['everything', ['slot-0', 'slot-1']],
  ])('is none when the crash left %s', async (_, left) => {
    await (await replica.open()).close();
    copyFileSync(replica.slot(0), join(replica.journal, 'slot-0.new'));
    for (const name of readdirSync(replica.journal)) {
      if (!left.includes(name)) rmSync(join(replica.journal, name));
    }
    const store = await replica.open();
    expect(store.record.state).toBe('none');
    await store.close();
    expect(readdirSync(replica.journal).sort()).toEqual(['slot-0', 'slot-1']);
  });
});
