/**
 * How fast the backup makes a checkpoint’s writes durable: sequential ones beside a plain copy of the same bytes into a
 * file that is there already, with as many flushes; scattered ones beside the same writes straight in place, which
 * is what this disk takes for such places before anybody makes them atomic. The three take turns.
 */
import { randomFillSync } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { SESSION_NICENESS } from '../../src/agent/limits.js';
import { runCommand } from '../../src/lab/command.js';
import type { BenchRun, Row } from '../harness.js';
import { REAL_DISK_DIRECTORY } from '../limits.js';
import { applyFigures, type ShapeTimes, WAYS, type WayName } from './apply-figures.js';
import { applied, copied, inPlace, type Transaction, type Way } from './apply-ways.js';
import { randomOffsets } from './chunks.js';
import { inTurns } from './turns.js';

const MIB = 1024 * 1024;
const DISK_BYTES = 256 * MIB;
const TRANSACTION_BYTES = 8 * MIB;
const TRANSACTIONS = DISK_BYTES / TRANSACTION_BYTES;
const TRANSACTIONS_QUICK = 6;
/** Both slots of the journal get their blocks in the first two; not measured. */
const WARM_TRANSACTIONS = 3;
const SMALL_BYTES = 4096;

interface Shape {
  name: string;
  writeBytes: number;
  offsets: (transaction: number) => number[];
}

const SHAPES = {
  random: {
    name: '4 KiB random',
    writeBytes: SMALL_BYTES,
    offsets: () =>
      randomOffsets({
        ...{ diskBytes: DISK_BYTES, blockBytes: SMALL_BYTES },
        count: TRANSACTION_BYTES / SMALL_BYTES,
      }),
  },
  sequential: {
    name: '1 MiB sequential',
    writeBytes: MIB,
    offsets: (transaction: number) => {
      const first = (transaction * TRANSACTION_BYTES) % DISK_BYTES;
      return Array.from({ length: TRANSACTION_BYTES / MIB }, (_, index) => first + index * MIB);
    },
  },
} satisfies Record<string, Shape>;

export async function applyRows(run: BenchRun): Promise<Row[]> {
  const directory = await mkdtemp(`${REAL_DISK_DIRECTORY}/understudy-bench-`);
  try {
    const fileSystem = await fileSystemOf(directory);
    const timesOf = async (shape: Shape, own: string): Promise<ShapeTimes> => {
      run.say(`apply: ${shape.name}, on ${fileSystem}`);
      await mkdir(own);
      return { shape: shape.name, timesMs: await measure(own, shape, run.quick) };
    };
    const random = await timesOf(SHAPES.random, `${directory}/random`);
    const sequential = await timesOf(SHAPES.sequential, `${directory}/sequential`);
    const { table, rows } = applyFigures({ random, sequential }, TRANSACTION_BYTES);
    run.table(table);
    return rows;
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function measure(
  directory: string,
  { writeBytes, offsets }: Shape,
  quick: boolean,
): Promise<ShapeTimes['timesMs']> {
  // As the backup’s session; threads inherit the priority of the thread that makes them.
  setPriority(SESSION_NICENESS);
  const place = { directory, diskBytes: DISK_BYTES };
  const ways: Record<WayName, Way> = {
    apply: await applied(place),
    copy: await copied(place),
    inPlace: await inPlace(place),
  };
  const timesMs: ShapeTimes['timesMs'] = { apply: [], copy: [], inPlace: [] };
  const last = WARM_TRANSACTIONS + (quick ? TRANSACTIONS_QUICK : TRANSACTIONS);
  try {
    for (let number = 1; number <= last; number += 1) {
      const content = randomFillSync(Buffer.allocUnsafe(TRANSACTION_BYTES));
      const transaction: Transaction = { number, writeBytes, offsets: offsets(number), content };
      for (const way of inTurns(WAYS, number)) {
        const tookMs = await ways[way].write(transaction);
        if (number > WARM_TRANSACTIONS) timesMs[way].push(tookMs);
      }
    }
  } finally {
    for (const way of Object.values(ways)) await way.close();
    setPriority(constants.priority.PRIORITY_NORMAL);
  }
  return timesMs;
}

async function fileSystemOf(directory: string): Promise<string> {
  const { stdout } = await runCommand('findmnt', ['-n', '-o', 'FSTYPE,SOURCE', '-T', directory]);
  return stdout.trim().replace(/\s+/g, ' on ');
}
