/**
 * The guard process against real stops and kills of a session: a child Node process with a target of
 * its own, whose client is this process.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RawClient } from './nbd-raw.js';

const FREEZE_MS_MAX = 1000;
/** The guard acts after 15 of 20 parts of the bound; a beat may have come up to an eighth before the stop. */
const ACTS_MS_MIN = FREEZE_MS_MAX * 0.5;
const addon =
  process.env.UNDERSTUDY_ADDON ??
  fileURLToPath(new URL('../../../native/build/Release/understudy.node', import.meta.url));

/** Opens a target and a FIFO as its gate; tells troubles and, for each line it reads, what the guard did. */
const SESSION = `
  const { constants, openSync } = require('node:fs');
  const [directory] = process.argv.slice(1);
  const native = require(${JSON.stringify(addon)});
  const tell = (told) => process.stdout.write(JSON.stringify(told) + '\\n');
  native.disks.openMirrorTarget({
    socketPath: directory + '/nbd.sock', ownerUid: 0, disks: [{ name: 'vda', bytes: 1 << 20 }],
    memoryBytesMax: 4 << 20, spillDirectory: directory, spillBytesMax: 1 << 20,
    rememberBytesMax: 1 << 20, freezeMsMax: ${FREEZE_MS_MAX}, onTrouble: ({ kind }) => tell({ kind }),
  }).then((target) => {
    target.guardGate(openSync(directory + '/gate', constants.O_RDONLY | constants.O_NONBLOCK));
    process.stdin.on('data', async (word) => {
      if (String(word) === 'close') await target.close();
      tell({ done: String(word), ...(String(word) === 'stats' ? target.stats() : {}) });
    });
    tell({ done: 'open' });
  });
`;

interface Told {
  kind?: string;
  done?: string;
  interventions?: number;
}

let directory: string;
let session: ChildProcess;
let told: Told[];
let guardPid: number;
let client: RawClient;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-guard-'));
  execFileSync('mkfifo', [join(directory, 'gate')]);
  told = [];
  const child = spawn(process.execPath, ['-e', SESSION, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  session = child;
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line)));
  await toldOf(({ done }) => done === 'open');
  guardPid = childrenOf(child.pid ?? -1)[0] ?? -1;
  client = await RawClient.at(join(directory, 'nbd.sock'), 'vda');
});
afterEach(async () => {
  await RawClient.hangUpAll();
  if (session.exitCode === null && session.signalCode === null) {
    session.kill('SIGKILL');
    await once(session, 'exit');
  }
  await gone(guardPid);
  rmSync(directory, { recursive: true });
});

function toldOf(match: (told: Told) => boolean): Promise<Told> {
  return vi.waitFor(() => {
    const found = told.find(match);
    if (!found) throw new Error(`not told: ${JSON.stringify(told)}`);
    return found;
  }, 5000);
}

async function ask(word: string): Promise<Told> {
  told = told.filter(({ done }) => done !== word);
  session.stdin?.write(word);
  return await toldOf(({ done }) => done === word);
}

/** The fields of /proc/PID/stat after the name: state, parent, …; undefined when there is no such process. */
function statOf(pid: number | string): string[] | undefined {
  const path = `/proc/${pid}/stat`;
  if (!existsSync(path)) return undefined;
  return readFileSync(path, 'latin1').split(') ')[1]?.split(' ');
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => statOf(pid)?.[1] === String(parent)).map(Number);
}

/** Gone, or at most a zombie that nobody has reaped yet. */
async function gone(pid: number): Promise<void> {
  await vi.waitFor(() => expect(statOf(pid)?.[0] ?? 'Z').toBe('Z'), 3000);
}

/** A QEMU in the pause: it blocks in the gate until somebody takes all it writes. */
function writeIntoGate(): ChildProcess {
  return spawn('dd', ['if=/dev/zero', `of=${join(directory, 'gate')}`, 'bs=4096', 'count=100'], {
    stdio: 'ignore',
  });
}

async function stop(): Promise<void> {
  session.kill('SIGSTOP');
  await vi.waitFor(() => expect(statOf(session.pid ?? -1)?.[0]).toBe('T'), 1000);
}

test('a session that stands still loses its connections within the bound, and is told', async () => {
  await stop();
  const started = performance.now();
  await client.ended();
  const ms = performance.now() - started;
  expect(ms).toBeGreaterThan(ACTS_MS_MIN);
  expect(ms).toBeLessThan(FREEZE_MS_MAX);
  session.kill('SIGCONT');
  await toldOf(({ kind }) => kind === 'frozen');
  expect((await ask('stats')).interventions).toBe(1);
  // It goes on, and is watched as before.
  client = await RawClient.at(join(directory, 'nbd.sock'), 'vda');
  await stop();
  await client.ended();
  session.kill('SIGCONT');
  expect((await ask('stats')).interventions).toBe(2);
});

test('a guest that is held in the gate goes on', async () => {
  const qemu = writeIntoGate();
  await stop();
  const started = performance.now();
  const [code] = (await once(qemu, 'exit')) as [number];
  expect(code).toBe(0);
  expect(performance.now() - started).toBeLessThan(FREEZE_MS_MAX * 1.2);
  session.kill('SIGCONT');
  expect((await ask('stats')).interventions).toBe(1);
});

test('a guest that comes to the gate of a session that stands still already goes on as well', async () => {
  await stop();
  await client.ended();
  const [code] = (await once(writeIntoGate(), 'exit')) as [number];
  expect(code).toBe(0);
  session.kill('SIGCONT');
  expect((await ask('stats')).interventions).toBe(1);
});

test('short stops are nobody’s business', async () => {
  for (let i = 0; i < 4; i += 1) {
    await stop();
    await sleep(FREEZE_MS_MAX * 0.3);
    session.kill('SIGCONT');
    expect((await ask('stats')).interventions).toBe(0);
  }
  expect(client.open).toBe(true);
});

test('a session that is killed ends its connections and its guard at once', async () => {
  const started = performance.now();
  session.kill('SIGKILL');
  await client.ended();
  expect(performance.now() - started).toBeLessThan(FREEZE_MS_MAX / 2);
  await gone(guardPid);
});

test('a guard that is killed is reported, and the connections end', async () => {
  process.kill(guardPid, 'SIGKILL');
  await toldOf(({ kind }) => kind === 'guard');
  await client.ended();
});

test('a signal for the session’s group does not reach the guard', async () => {
  // Field 6 of stat: the process's session.
  expect(statOf(guardPid)?.[3]).toBe(String(guardPid));
  expect((await ask('stats')).interventions).toBe(0);
});

test('closing the target ends the guard and removes the socket', async () => {
  await ask('close');
  await client.ended();
  await gone(guardPid);
  expect(existsSync(join(directory, 'nbd.sock'))).toBe(false);
});
