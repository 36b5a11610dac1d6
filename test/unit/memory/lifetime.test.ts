/** Node may end at any moment, with captures in flight, and must end cleanly. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Scribbler } from './scribbler.js';

const addon = fileURLToPath(
  new URL('../../../native/build/Release/understudy.node', import.meta.url),
);

let guest: Scribbler;
beforeEach(async () => {
  guest = await Scribbler.start('private', 4);
});
afterEach(() => guest.end());

/** A program that waits at a gate for 20 s, as far as it is concerned, and then does `last`. */
function waitingCapture(last: string): string {
  return `
    const { createRequire } = require('node:module');
    const native = createRequire('/')(${JSON.stringify(addon)});
    (async () => {
      const memory = await native.memory.attach({
        pid: ${guest.pid}, stagingBytes: 1 << 20, threads: 2,
        ranges: [{ hva: ${guest.hva}n, bytes: ${guest.bytes}, replicaOffset: 0 }],
      });
      const gate = native.openGate({});
      const capture = (epoch) => memory.capture({
        gateFd: gate.readFd, epoch, copy: 'staged', boundaries: [],
        openTimeoutMs: 20_000, drainTimeoutMs: 20_000, deviceStateBytesMax: 1 << 20,
      });
      capture(1); capture(2); memory.digest();
      ${last}
    })();
  `;
}

async function runNode(program: string): Promise<{ code: number | null; ms: number }> {
  const start = performance.now();
  const child = spawn(process.execPath, ['--expose-gc', '-e', program], { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, ms: performance.now() - start };
}

test.each([
  ['process.exit', 'process.exit(7);', 7],
  ['an uncaught exception', "process.on('exit', () => (process.exitCode = 8)); throw 1;", 8],
])('%s ends a process whose capture waits', async (_, last, code) => {
  const ended = await runNode(waitingCapture(last));
  expect(ended.code).toBe(code);
  expect(ended.ms).toBeLessThan(10_000);
  // And its tracking is gone.
  await (await guest.attach()).detach();
});

test('a worker that is terminated in a capture ends, and the process lives on', async () => {
  const worker = JSON.stringify(
    waitingCapture("require('node:worker_threads').parentPort.postMessage('waiting');"),
  );
  const ended = await runNode(`
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(${worker}, { eval: true });
    worker.on('message', async () => { await worker.terminate(); process.exitCode = 9; });
  `);
  expect(ended.code).toBe(9);
  expect(ended.ms).toBeLessThan(10_000);
  await (await guest.attach()).detach();
});

test('what is forgotten is collected: the range can be attached again', async () => {
  const ended = await runNode(`
    const native = require(${JSON.stringify(addon)});
    const attach = () => native.memory.attach({
      pid: ${guest.pid}, stagingBytes: 1 << 20, threads: 2,
      ranges: [{ hva: ${guest.hva}n, bytes: ${guest.bytes}, replicaOffset: 0 }],
    });
    (async () => {
      await attach();
      for (let round = 0; round < 100; round += 1) {
        gc();
        await new Promise(setImmediate);
        const again = await attach().catch(() => undefined);
        if (again) { process.exitCode = 10; return; }
      }
    })();
  `);
  expect(ended.code).toBe(10);
});
