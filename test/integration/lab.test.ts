/** The laboratory itself: what everything else is tested and measured in. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../../src/lab/lab.js';
import {
  HOST_ADDRESSES,
  mountNamespacePath,
  netnsPath,
  PLACE_NAMES,
  runDirectory,
} from '../../src/lab/layout.js';
import { processesIn } from '../../src/lab/processes.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { nothingForgotten } from './lab-steps.js';

/** The promise of the laboratory, when image and probe results are there. */
const UP_AND_READY_MS_MAX = 5_000;
/** An emulated boot on cores that are shared with other work takes several times as long. */
const SLOW_MACHINE_FACTOR = 4;

const namespaceFiles = (prefix: string) => [
  ...PLACE_NAMES.map((place) => netnsPath(prefix, place)),
  mountNamespacePath(prefix, 'a'),
  mountNamespacePath(prefix, 'b'),
];

/** A killed process whose parent has not asked for its end yet is a zombie: nothing of it runs. */
function runs(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) Z /.test(readFileSync(path, 'utf8'));
}

async function expectNothingLeft(prefix: string, pids: readonly number[]): Promise<void> {
  for (const file of namespaceFiles(prefix)) expect(existsSync(file), file).toBe(false);
  expect(existsSync(runDirectory(prefix))).toBe(false);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(runDirectory(prefix));
  // A process is out of its namespaces a moment before it has ended.
  await expect.poll(() => pids.filter(runs)).toEqual([]);
}

describe('a laboratory', () => {
  const prefix = 'uslabt';
  let lab: Lab;
  let guest: GuestRecord;
  let witness: Witness;

  beforeAll(async () => {
    // Downloads, probes and caches are the first start's; the promise is about the next.
    lab = await Lab.up({ prefix });
    await lab.startGuest({ name: 'warm-up', run: [] });
    await lab.down();
  });
  afterAll(async () => {
    await witness?.close();
    await Lab.tearDown(prefix);
  });

  it('is up with a ready guest within seconds', async () => {
    const startedMs = performance.now();
    lab = await Lab.up({ prefix });
    guest = await lab.startGuest({ name: 'guest', options: { memstamp_mib: 32 } });
    const tookMs = performance.now() - startedMs;
    console.log(`lab up with a ready guest: ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(UP_AND_READY_MS_MAX * SLOW_MACHINE_FACTOR);
    expect(await lab.host('a').virsh('list', '--name')).toContain('guest');
    expect(await lab.host('b').virsh('list', '--name')).not.toContain('guest');
  });

  it('answers the client over IPv4 and IPv6', async () => {
    for (const address of [guest.ip, guest.ip6]) {
      const { stdout } = await lab.client.exec('busybox', ['nc', '-w', '5', address, '6379'], {
        input: 'PING\r\nQUIT\r\n',
      });
      expect(stdout).toContain('+PONG');
    }
  });

  it('lets a witness see beacon and memory', async () => {
    witness = await Witness.start(lab.client);
    const first = await witness.memstamp(guest.ip);
    await expect
      .poll(async () => (await witness.beacon()).packets, { timeout: 10_000 })
      .toBeGreaterThan(100);
    await expect
      .poll(async () => (await witness.memstamp(guest.ip6)).generation, { timeout: 10_000 })
      .toBeGreaterThan(first.generation);
    const { mismatches, checks } = await witness.memstamp(guest.ip);
    expect(mismatches).toBe(0n);
    expect(checks).toBeGreaterThan(0n);
    expect(await nothingForgotten(witness)).toMatchObject({ malformed: 0 });
  });

  it('connects the hosts directly, and a pulled cable cuts only that', async () => {
    // ARP asks again only after a second, so an answer may take that long.
    const ping = (address: string, patienceS = 3) =>
      lab.host('a').exec('busybox', ['ping', '-c', '1', '-W', String(patienceS), address]);
    await ping(HOST_ADDRESSES.b.repl);
    await ping(HOST_ADDRESSES.b.repl6);
    await lab.setLink('b', 'repl', false);
    const cut = { code: 'LAB_COMMAND_FAILED' };
    await expect(ping(HOST_ADDRESSES.b.repl, 1)).rejects.toMatchObject(cut);
    await ping(HOST_ADDRESSES.b.lan);
    await lab.setLink('b', 'repl', true);
    await ping(HOST_ADDRESSES.b.repl);
    await ping(HOST_ADDRESSES.b.repl6);
  });

  it('refuses a second owner', async () => {
    await expect(Lab.up({ prefix })).rejects.toMatchObject({ code: 'LAB_PREFIX_BUSY' });
  });

  it('can be gone on with by its prefix', async () => {
    const other = await Lab.open(prefix);
    expect(other.guests()).toEqual(lab.guests());
  });

  it('kills a host as a power cut does, and boots it again', async () => {
    const { killedPids } = await lab.killHost('a');
    // libvirtd and QEMU at least.
    expect(killedPids.length).toBeGreaterThanOrEqual(2);
    // A process is out of its namespaces a moment before it has ended.
    await expect.poll(() => killedPids.filter(runs)).toEqual([]);
    const { packets } = await witness.beacon();
    await lab.bootHost('a');
    expect(await lab.host('a').virsh('list', '--name')).not.toContain('guest');
    expect((await witness.beacon()).packets).toBe(packets);
  });

  it('leaves nothing behind, and tears down twice', async () => {
    await witness.close();
    const pids = await processesIn(namespaceFiles(prefix));
    expect(pids.length).toBeGreaterThan(0);
    await lab.down();
    await expectNothingLeft(prefix, pids);
    await lab.down();
  });
});

describe('a laboratory whose owner dies', () => {
  const prefix = 'uslabk';
  afterAll(() => Lab.tearDown(prefix));

  /** Starts a laboratory in a process of its own; resolves when it is up. */
  async function startOwner() {
    const module = fileURLToPath(new URL('../../dist/lab/lab.js', import.meta.url));
    const program = `
      const { Lab } = await import(${JSON.stringify(module)});
      await Lab.up({ prefix: ${JSON.stringify(prefix)} });
      console.log('up');
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(owner, 'exit');
    await Promise.race([once(owner.stdout, 'data'), ended]);
    expect(owner.exitCode).toBeNull();
    return { owner, ended };
  }

  it('is torn down by prefix after SIGKILL, and by the next start', async () => {
    const { owner, ended } = await startOwner();
    owner.kill('SIGKILL');
    await ended;
    const pids = await processesIn(namespaceFiles(prefix));
    expect(pids.length).toBeGreaterThan(0);
    const lab = await Lab.up({ prefix });
    // A process is out of its namespaces a moment before it has ended.
    await expect.poll(() => pids.filter(runs)).toEqual([]);
    await lab.down();
    await expectNothingLeft(prefix, pids);
  });

  it('tears itself down on SIGINT', async () => {
    const { owner, ended } = await startOwner();
    const pids = await processesIn(namespaceFiles(prefix));
    owner.kill('SIGINT');
    const [, signal] = (await ended) as [number | null, NodeJS.Signals | null];
    expect(signal).toBe('SIGINT');
    await expectNothingLeft(prefix, pids);
  });
});
