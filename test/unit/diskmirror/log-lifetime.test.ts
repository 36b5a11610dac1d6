/** Node may end at any moment, with the log being taken from or stored, and must end cleanly. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const addon =
  process.env.UNDERSTUDY_ADDON ??
  fileURLToPath(new URL('../../../native/build/Release/understudy.node', import.meta.url));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'us-mirror-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const MODES = {
  taking: 'void target.take(Buffer.alloc(1 << 20)).catch(() => undefined);',
  storing: 'target.complete(); target.remember();',
};

/** A program with a target in that mode, which then does `last`. */
function program(mode: keyof typeof MODES, last: string): string {
  return `
    const { createRequire } = require('node:module');
    const native = createRequire('/')(${JSON.stringify(addon)});
    (async () => {
      let target = await native.disks.openMirrorTarget({
        socketPath: ${JSON.stringify(join(directory, 'nbd.sock'))}, ownerUid: 0,
        disks: [{ name: 'vda', bytes: 1 << 20 }], memoryBytesMax: 1 << 24,
        spillDirectory: ${JSON.stringify(directory)}, spillBytesMax: 1 << 20,
        rememberBytesMax: 1 << 20, freezeMsMax: 2000, onTrouble: () => undefined,
      });
      target.ship(1);
      ${MODES[mode]}
      ${last}
    })();
  `;
}

async function runNode(source: string): Promise<{ code: number | null; errors: string }> {
  const child = spawn(process.execPath, ['--expose-gc', '-e', source], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, errors };
}

test.each([
  ['taking', 'process.exit', 'process.exit(7);', 7],
  ['storing', 'process.exit', 'process.exit(7);', 7],
  [
    'taking',
    'an uncaught exception',
    "process.on('exit', () => (process.exitCode = 8)); throw 1;",
    8,
  ],
  ['storing', 'nothing left to do', 'process.exitCode = 9;', 9],
] as const)('%s: %s ends the process', async (mode, _, last, code) => {
  expect((await runNode(program(mode, last))).code).toBe(code);
});

test.each(['taking', 'storing'] as const)('%s: a worker that is terminated ends', async (mode) => {
  const worker = program(mode, "require('node:worker_threads').parentPort.postMessage('ready');");
  const source = `
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(${JSON.stringify(worker)}, { eval: true });
    worker.on('message', async () => {
      await worker.terminate();
      process.exitCode = 7;
    });
  `;
  expect(await runNode(source)).toMatchObject({ code: 7 });
});

test('a target that is dropped without close() ends its server', async () => {
  const socket = JSON.stringify(join(directory, 'nbd.sock'));
  const last = `
    target = undefined;
    const { existsSync } = require('node:fs');
    for (let i = 0; i < 500 && existsSync(${socket}); i += 1) {
      globalThis.gc();
      await new Promise((done) => setTimeout(done, 10));
    }
    process.exitCode = existsSync(${socket}) ? 1 : 7;
  `;
  expect(await runNode(program('storing', last))).toMatchObject({ code: 7 });
  expect(existsSync(join(directory, 'nbd.sock'))).toBe(false);
});
