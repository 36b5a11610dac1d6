/** Two real libvirtds and a real guest: inspect, pause both ways, start a standby, promote it, and back. */
import { readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Hypervisor, openHypervisor } from '../../src/hypervisor/connection.js';
import { describeDomain } from '../../src/hypervisor/description.js';
import type { ProtectedDomain } from '../../src/hypervisor/domain.js';
import { saveDeviceState } from '../../src/hypervisor/gate.js';
import { GatePause } from '../../src/hypervisor/gate-pause.js';
import { selfCheckGate } from '../../src/hypervisor/gate-self-check.js';
import { compareIdentity, identityOf } from '../../src/hypervisor/identity.js';
import { inspectDomain } from '../../src/hypervisor/inspect.js';
import { choosePauseSource } from '../../src/hypervisor/pause.js';
import type { PauseHow, PauseSource } from '../../src/hypervisor/pause-source.js';
import { ramMap } from '../../src/hypervisor/ram-map.js';
import { runState } from '../../src/hypervisor/run-state.js';
import type { Standby } from '../../src/hypervisor/standby.js';
import { StoppedPause } from '../../src/hypervisor/stopped-pause.js';
import { checkDeviceState } from '../../src/hypervisor/whole-state.js';
import { Lab } from '../../src/lab/lab.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { type NativeGuestMemory, type NativeReplica, native } from '../../src/native.js';

const PREFIX = 'ushyp';
/** Less than a booted guest has touched: a first capture is shipped in parts, the guest held meanwhile. */
const STAGING_BYTES = 16 * 1024 * 1024;
const CHUNK_BYTES = 4 * 1024 * 1024;
/** What a takeover may take from the decision to the resumed guest, on an idle machine. */
const PROMOTE_MS_MAX = 100;
const SLOW_MACHINE_FACTOR = 3;

let lab: Lab;
let guest: GuestRecord;
let witness: Witness;
let a: Hypervisor;
let b: Hypervisor;

beforeAll(async () => {
  lab = await Lab.up({ prefix: PREFIX });
  guest = await lab.startGuest({
    name: 'guest',
    vcpus: 2,
    run: ['memstamp'],
    options: { memstamp_mib: 32 },
  });
  witness = await Witness.start(lab.client);
  a = await openHypervisor({ uri: lab.host('a').libvirtUri });
  b = await openHypervisor({ uri: lab.host('b').libvirtUri });
});

afterAll(async () => {
  await a?.close();
  await b?.close();
  await witness?.close();
  await Lab.tearDown(PREFIX);
});

async function openMemory(domain: ProtectedDomain): Promise<NativeGuestMemory> {
  const { pid, blocks } = await ramMap(domain);
  return native.memory.attach({ pid, ranges: blocks, stagingBytes: STAGING_BYTES, threads: 1 });
}

async function attach(domain: ProtectedDomain): Promise<NativeGuestMemory> {
  const memory = await openMemory(domain);
  onTestFinished(() => memory.detach());
  return memory;
}

function capture(memory: NativeGuestMemory, epoch: number, copy: 'staged' | 'live' = 'staged') {
  const options = { epoch, copy, boundaries: [] };
  return ({ gateFd }: PauseHow) =>
    gateFd === undefined
      ? memory.captureStopped(options)
      : memory.capture({
          ...options,
          gateFd,
          openTimeoutMs: 5_000,
          drainTimeoutMs: 5_000,
          deviceStateBytesMax: CHUNK_BYTES,
        });
}

/** Everything captured, into the replica, or nowhere. */
async function ship(memory: NativeGuestMemory, replica?: NativeReplica): Promise<void> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    const { bytes, done } = await memory.encodeInto(chunk);
    if (bytes > 0) await replica?.apply([chunk.subarray(0, bytes)]);
    if (done) return;
  }
}

async function startStandby(host: Hypervisor, domain: ProtectedDomain): Promise<Standby> {
  const standby = await host.startStandby(await describeDomain(domain));
  onTestFinished(() => standby.destroy());
  return standby;
}

describe('a running guest', () => {
  it('is inspected', async () => {
    const domain = await a.domain('guest');
    const facts = await inspectDomain(domain);
    expect(facts).toMatchObject({
      name: 'guest',
      uuid: guest.uuid,
      state: 'running',
      arch: 'x86_64',
      vcpus: 2,
      memoryBytes: 256 * 2 ** 20,
      nics: [{ mac: guest.mac, bridge: 'br0' }],
    });
    expect(facts.machine).toMatch(/^pc-q35-\d/);
    expect(readlinkSync(`/proc/${facts.pid}/exe`)).toContain('qemu');
  });

  it('has its main memory mapped in one piece', async () => {
    const { blocks, notCarried, ramBytes } = await ramMap(await a.domain('guest'));
    expect(blocks).toMatchObject([{ name: 'pc.ram', bytes: 256 * 2 ** 20, replicaOffset: 0 }]);
    expect(ramBytes).toBe(256 * 2 ** 20);
    expect(notCarried.map(({ name }) => name)).toContain('pc.bios');
  });

  it('can be protected', async () => {
    const report = await a.check('guest');
    expect(report).toMatchObject({ domain: 'guest', protectable: true, refusals: [] });
    expect(report.warnings.map(({ code }) => code)).toContain('CHECK_NOTE_UNHELD_OUTPUT');
  });

  it('is refused by name when there is none', async () => {
    await expect(a.check('nobody')).rejects.toMatchObject({ code: 'LIBVIRT_NO_DOMAIN' });
  });
});

/** All that a few timers and queues can add; a device's whole state is larger. */
const SUBSECTIONS_BYTES_MAX = 1024;

describe('a pause', () => {
  const sources: [string, (domain: ProtectedDomain) => Promise<PauseSource>][] = [
    ['gate', async (domain) => new GatePause(domain, { qemuUid: 0, fifoPath: '' })],
    ['stopped', (domain) => StoppedPause.open(domain)],
  ];

  it('needs no more than the gate, says the self-check', async () => {
    const domain = await a.domain('guest');
    const memory = await attach(domain);
    const check = await selfCheckGate(domain, memory);
    expect(check.pagesDirtiedBySave).toBe(0);
    const source = await choosePauseSource({ domain, memory, fifoPath: '' });
    onTestFinished(() => source.close());
    expect(source.mode).toBe('gate');
    expect(await runState(domain)).toBe('running');
  });

  it.each(sources)('(%s) holds the guest until all is captured, then it runs', async (_, open) => {
    const domain = await a.domain('guest');
    const memory = await attach(domain);
    const source = await open(domain);
    onTestFinished(() => source.close());
    const digests = new Set<string>();
    await source.pauseAndCapture(async (how) => {
      let captured = await capture(memory, 1)(how);
      expect(captured.status).toBe('partial');
      expect(await domain.state()).toBe('paused');
      for (let parts = 0; captured.status === 'partial'; parts += 1) {
        if (parts < 2) digests.add(await memory.digest());
        await ship(memory);
        captured = await memory.captureRest();
      }
      return captured;
    });
    // A guest that moved would have written: memstamp never rests.
    expect(digests.size).toBe(1);
    expect(await runState(domain)).toBe('running');
  });

  it.each(sources)('(%s) gives a whole device state each time', async (_, open) => {
    const domain = await a.domain('guest');
    const memory = await attach(domain);
    const source = await open(domain);
    onTestFinished(() => source.close());
    const bytes = new Set<number>();
    for (let epoch = 1; epoch <= 10; epoch += 1) {
      const { deviceState } = await source.pauseAndCapture(capture(memory, epoch, 'live'));
      checkDeviceState(deviceState);
      bytes.add(deviceState.length);
    }
    // The devices stay; optional parts of their state come and go (vmstate subsections, a timer that runs).
    expect(Math.max(...bytes) - Math.min(...bytes)).toBeLessThan(SUBSECTIONS_BYTES_MAX);
    expect(await runState(domain)).toBe('running');
  });

  it.each(
    sources,
  )('(%s) that fails leaves the guest running, and the next works', async (_, open) => {
    const domain = await a.domain('guest');
    const memory = await attach(domain);
    const source = await open(domain);
    onTestFinished(() => source.close());
    const failing = source.pauseAndCapture(() => Promise.reject(new Error('capture failed')));
    await expect(failing).rejects.toThrow('capture failed');
    expect(await runState(domain)).toBe('running');
    await source.pauseAndCapture(capture(memory, 1, 'live'));
    expect(await runState(domain)).toBe('running');
  });

  it.each(sources)('(%s) leaves a guest paused that an operator paused', async (_, open) => {
    const domain = await a.domain('guest');
    const memory = await attach(domain);
    const source = await open(domain);
    onTestFinished(() => source.close());
    await domain.suspend();
    onTestFinished(() => domain.resume());
    await source.pauseAndCapture(capture(memory, 1, 'live'));
    expect(await runState(domain)).toBe('paused');
    await expect(source.pauseAndCapture(() => Promise.reject(new Error('no')))).rejects.toThrow();
    expect(await runState(domain)).toBe('paused');
  });

  it('whose gate QEMU cannot open is typed', async () => {
    const domain = await a.domain('guest');
    await expect(saveDeviceState(domain, '/nowhere/x', 5_000)).rejects.toMatchObject({
      code: 'HYP_GATE_FAILED',
    });
    expect(await runState(domain)).toBe('running');
  });
});

describe('a standby', () => {
  it('waits, is told from its primary, and is the same machine', async () => {
    const domain = await a.domain('guest');
    const standby = await startStandby(b, domain);
    expect(await runState(standby.domain)).toBe('inmigrate');
    expect((await inspectDomain(standby.domain)).pid).not.toBe((await inspectDomain(domain)).pid);
    expect(compareIdentity(await identityOf(domain), await standby.identity())).toEqual([]);
    expect(await standby.memfds()).toMatchObject([{ name: 'pc.ram', bytes: 256 * 2 ** 20 }]);
  });

  it('survives a device state that is not whole', async () => {
    const domain = await a.domain('guest');
    const standby = await startStandby(b, domain);
    const memory = await attach(domain);
    const source = await StoppedPause.open(domain);
    onTestFinished(() => source.close());
    const { deviceState } = await source.pauseAndCapture(capture(memory, 1, 'live'));
    for (const bytes of [0, 8, 1000, deviceState.length - 1]) {
      await expect(standby.promote(deviceState.subarray(0, bytes))).rejects.toMatchObject({
        code: 'HYP_DEVICE_STATE_BAD',
      });
    }
    expect(await runState(standby.domain)).toBe('inmigrate');
  });

  it('takes the place of one that was left behind, never of a running guest', async () => {
    const domain = await a.domain('guest');
    const description = await describeDomain(domain);
    const leftPid = (await inspectDomain((await b.startStandby(description)).domain)).pid;
    const standby = await startStandby(b, domain);
    expect((await inspectDomain(standby.domain)).pid).not.toBe(leftPid);
    await expect(a.startStandby(description)).rejects.toMatchObject({
      code: 'HYP_STANDBY_CONFLICT',
    });
    expect(await runState(domain)).toBe('running');
  });

  it('is not started without its files', async () => {
    const { definition } = await describeDomain(await a.domain('guest'));
    const elsewhere = definition.replace(/<kernel>[^<]*</, '<kernel>/nowhere/vmlinuz<');
    await expect(b.startStandby({ definition: elsewhere })).rejects.toMatchObject({
      code: 'HYP_STANDBY_FILE_MISSING',
      context: { facts: { missing: ['/nowhere/vmlinuz'] } },
    });
    expect(await b.list()).toEqual([]);
  });

  it('tells when its QEMU dies', async () => {
    const description = await describeDomain(await a.domain('guest'));
    const died = new Promise<string>((onDied, reject) => {
      const start = async () => {
        const standby = await b.startStandby({ ...description, onDied });
        process.kill((await inspectDomain(standby.domain)).pid, 'SIGKILL');
      };
      start().catch(reject);
    });
    expect(await died).toContain('stopped');
    await expect.poll(() => b.list()).toEqual([]);
  });
});

describe('a promotion', () => {
  it('goes on with the guest where the checkpoint was taken, and back again', async () => {
    const domain = await a.domain('guest');
    const before = await witness.memstamp(guest.ip);
    const standby = await checkpointTo(b, domain);
    await domain.destroy();
    const startedAtMs = performance.now();
    const times = await standby.promoted();
    const tookMs = performance.now() - startedAtMs;
    console.log(`promoted in ${tookMs.toFixed(1)} ms`, times);
    expect(tookMs).toBeLessThan(PROMOTE_MS_MAX * SLOW_MACHINE_FACTOR);
    await expectAlive(standby.standby, before.checks);
    await expect(standby.promoted()).rejects.toMatchObject({ code: 'HYP_STANDBY_STATE' });

    const back = await checkpointTo(a, standby.standby.domain);
    await standby.standby.destroy();
    await back.promoted();
    await expectAlive(back.standby, before.checks);
    await back.standby.persist();
    expect(await back.standby.domain.isPersistent()).toBe(true);
    expect(await back.standby.domain.inactiveXml()).not.toContain('-incoming');
  });

  async function checkpointTo(host: Hypervisor, domain: ProtectedDomain) {
    const standby = await startStandby(host, domain);
    const memory = await openMemory(domain);
    const replica = native.memory.openReplica({ blocks: await standby.memfds() });
    const source = await choosePauseSource({ domain, memory, fifoPath: '' });
    await source.pauseAndCapture(capture(memory, 1, 'live'));
    await ship(memory, replica);
    const { deviceState } = await source.pauseAndCapture(capture(memory, 2));
    await ship(memory, replica);
    await memory.detach();
    await source.close();
    replica.close();
    return { standby, promoted: () => standby.promote(deviceState) };
  }

  async function expectAlive(standby: Standby, checksBefore: bigint): Promise<void> {
    expect(await runState(standby.domain)).toBe('running');
    expect(await standby.domain.state()).toBe('running');
    await expect
      .poll(async () => (await witness.memstamp(guest.ip)).checks, { timeout: 20_000 })
      .toBeGreaterThan(checksBefore);
    expect((await witness.memstamp(guest.ip)).mismatches).toBe(0n);
  }
});
