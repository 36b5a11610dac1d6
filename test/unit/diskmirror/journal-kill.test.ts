/** A process that is killed while it commits, over and over: the disks are always exactly one epoch. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ADDON } from './journal-trace.js';
import {
  applyToModel,
  at,
  chunkOf,
  type DiskRecord,
  Replica,
  randomFrom,
  recordsOf,
} from './store-builders.js';

const SIZES = [512 * 1024, 256 * 1024 + 512];
const KILLS = 25;
const EPOCHS = 3000;
const KILL_WITHIN_MS = 60;

let replica: Replica;
beforeEach(() => {
  replica = Replica.make(SIZES);
});
afterEach(() => replica.remove());

const partsOf = (epoch: number): DiskRecord[][] => [
  recordsOf(2 * epoch, SIZES, 4),
  recordsOf(2 * epoch + 1, SIZES, 4),
];

/** Commits what comes after the record, and says so, epoch by epoch. */
const COMMITTER = `
  const [addon, file, options, position] = process.argv.slice(1);
  const { readFileSync, writeSync } = require('node:fs');
  const epochs = readFileSync(file, 'latin1').split('\\n').map((line) =>
    line.split(' ').map((chunk) => Buffer.from(chunk, 'base64')));
  (async () => {
    const store = await require(addon).disks.openStore(JSON.parse(options));
    writeSync(1, 'opened\\n');
    for (let epoch = store.record.position.epoch + 1; epoch < epochs.length; epoch += 1) {
      const [first, second] = epochs[epoch];
      if (epoch % 3 === 0) await store.stage([first]);
      const chunks = epoch % 3 === 0 ? [second] : [first, second];
      await store.commit(chunks, { ...JSON.parse(position), epoch });
      writeSync(1, epoch + '\\n');
    }
  })();
`;

/** Runs the committer until it is killed; returns the last epoch that it saw committed. */
async function commitUntilKilled(file: string, killAfterMs: number): Promise<number | undefined> {
  const options = JSON.stringify({ journalDirectory: replica.journal, disks: replica.disks });
  const args = ['-e', COMMITTER, ADDON, file, options, JSON.stringify(at(0))];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    said += text;
  });
  await once(child.stdout, 'data');
  await delay(killAfterMs);
  child.kill('SIGKILL');
  await once(child, 'close');
  const epochs = said.trim().split('\n').slice(1);
  return epochs.length > 0 ? Number(epochs.at(-1)) : undefined;
}

it(`${KILLS} times`, async () => {
  await (await replica.openAtEpoch0()).close();
  const file = join(replica.directory, 'epochs');
  const lines = Array.from({ length: EPOCHS }, (_, epoch) =>
    partsOf(epoch)
      .map((records) => chunkOf(...records).toString('base64'))
      .join(' '),
  );
  writeFileSync(file, lines.join('\n'));

  const random = randomFrom(Date.now());
  const model = SIZES.map((bytes) => Buffer.alloc(bytes));
  let reached = 0;
  let replays = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const promised = (await commitUntilKilled(file, random(KILL_WITHIN_MS))) ?? reached;
    const store = await replica.open();
    const epoch = store.record.position?.epoch ?? -1;
    replays += store.replayed ? 1 : 0;
    await store.close();
    expect([promised, promised + 1]).toContain(epoch);
    for (; reached < epoch; reached += 1) applyToModel(model, partsOf(reached + 1).flat());
    const right = replica.contents().map((disk, i) => disk.equals(model[i] ?? disk));
    expect(right, `epoch ${epoch}`).toEqual([true, true]);
  }
  expect(reached).toBeGreaterThan(KILLS);
  expect(reached).toBeLessThan(EPOCHS);
  // Otherwise no kill hit a moment that matters.
  expect(replays).toBeGreaterThan(0);
}, 60_000);
