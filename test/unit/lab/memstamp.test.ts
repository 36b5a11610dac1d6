/**
 * The memory verifier must see one stale page: it runs here as a plain process, and an older
 * content of one of its pages is put back from outside, as a lost page of a checkpoint would.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MemstampReport, parseMemstamp } from '../../../src/lab/guest-reports.js';

const PAGE_BYTES = 4096;
const PORT = 47001;
/** All of it takes a fraction of a second on an idle machine. */
const PATIENCE = { timeout: 5_000 };
const directory = mkdtempSync(`${tmpdir()}/understudy-memstamp-`);
let memstamp: ChildProcess;
let printed = '';

beforeAll(async () => {
  const source = fileURLToPath(new URL('../../../native/guest/memstamp.c', import.meta.url));
  const program = `${directory}/memstamp`;
  execFileSync('gcc', ['-std=gnu11', '-O2', '-pthread', '-o', program, source]);
  const options = ['--mib', '1', '--threads', '2', '--tick-ms', '1', '--port', String(PORT)];
  memstamp = spawn(program, options, { stdio: ['ignore', 'pipe', 'inherit'] });
  memstamp.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await once(memstamp, 'spawn');
});

afterAll(async () => {
  const ended = once(memstamp, 'exit');
  memstamp.kill('SIGKILL');
  await ended;
  rmSync(directory, { recursive: true });
});

async function report(): Promise<MemstampReport> {
  const socket = createSocket('udp4');
  try {
    socket.send('?', PORT, '127.0.0.1');
    const [line] = (await once(socket, 'message', { signal: AbortSignal.timeout(2_000) })) as [
      Buffer,
    ];
    const parsed = parseMemstamp(line.toString());
    if (parsed === undefined) throw new Error(`not a report: ${line.toString()}`);
    return parsed;
  } finally {
    socket.close();
  }
}

/** Address of page 0: the one whose first words count 0, 1, 2 from page to page. */
function findPages(memory: number): number {
  for (const line of readFileSync(`/proc/${memstamp.pid}/maps`, 'utf8').split('\n')) {
    const [range = '', mode = ''] = line.split(' ');
    const [start = 0, end = 0] = range.split('-').map((address) => Number.parseInt(address, 16));
    if (!mode.startsWith('rw') || end - start < 256 * PAGE_BYTES) continue;
    for (let at = start; at + 4 * PAGE_BYTES <= end; at += PAGE_BYTES) {
      const indexes = [1, 2, 3].map((page) =>
        readPage(memory, at + page * PAGE_BYTES).readBigUInt64LE(0),
      );
      if (indexes.join() === '1,2,3') return at;
    }
  }
  throw new Error('the pages are not in any mapping');
}

function readPage(memory: number, address: number): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  readSync(memory, page, 0, PAGE_BYTES, address);
  return page;
}

it('counts a stale page once, and says which', async () => {
  await expect.poll(() => printed, PATIENCE).toContain('256 pages, 2 threads');
  const memory = openSync(`/proc/${memstamp.pid}/mem`, 'r+');
  try {
    const address = findPages(memory) + 7 * PAGE_BYTES;
    memstamp.kill('SIGSTOP');
    const old = readPage(memory, address);
    memstamp.kill('SIGCONT');
    await expect
      .poll(() => readPage(memory, address).readBigUInt64LE(8), PATIENCE)
      .toBeGreaterThan(old.readBigUInt64LE(8));
    expect((await report()).mismatches).toBe(0n);

    memstamp.kill('SIGSTOP');
    writeSync(memory, old, 0, PAGE_BYTES, address);
    memstamp.kill('SIGCONT');
    await expect.poll(async () => (await report()).mismatches, PATIENCE).toBe(1n);
    const { checks } = await report();
    await expect
      .poll(async () => (await report()).checks, PATIENCE)
      .toBeGreaterThan(checks + 1_000n);
    expect((await report()).mismatches).toBe(1n);
    expect(printed).toMatch(
      /mismatch 1: page 7 head holds page 7 generation \d+, expected generation \d+/,
    );
  } finally {
    closeSync(memory);
  }
});
