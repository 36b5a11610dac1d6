/** Capture, encode and apply against real QEMU guests (TCG) through the real pause gate. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type NativeCapture,
  type NativeGate,
  type NativeGuestMemory,
  type NativeReplica,
  native,
} from '../../src/native.js';
import { encodeAll, stopped } from '../unit/memory/scribbler.js';
import { GUEST_RAM_BYTES, RawGuest } from './memory-guest.js';

const EPOCHS = 50;

let primary: RawGuest;
let standby: RawGuest;

beforeAll(async () => {
  [primary, standby] = await Promise.all([RawGuest.start('primary'), RawGuest.start('standby')]);
  await primary.waitForProgress(0, 1000);
});
afterAll(async () => {
  await primary.end();
  await standby.end();
});

/** By default staging holds all that the guest can dirty, however slow the machine: no capture is partial. */
async function attach(stagingBytes = GUEST_RAM_BYTES): Promise<NativeGuestMemory> {
  const hva = await primary.ramAddress();
  return native.memory.attach({
    pid: primary.pid,
    ranges: [{ hva, bytes: GUEST_RAM_BYTES, replicaOffset: 0 }],
    stagingBytes,
    threads: 2,
  });
}

describe('one guest, captured epoch by epoch', () => {
  let memory: NativeGuestMemory;
  let replica: NativeReplica;
  let gate: NativeGate;

  beforeEach(async () => {
    memory = await attach();
    gate = native.openGate({});
    replica = native.memory.openReplica({
      blocks: [{ path: standby.memfdPath(), bytes: GUEST_RAM_BYTES, replicaOffset: 0 }],
    });
  });
  afterEach(async () => {
    replica.close();
    gate.close();
    await memory.detach();
  });

  async function capture(epoch: number, copy: 'staged' | 'live'): Promise<NativeCapture> {
    const [captured] = await Promise.all([
      memory.capture({
        gateFd: gate.readFd,
        epoch,
        copy,
        boundaries: [],
        openTimeoutMs: 5000,
        drainTimeoutMs: 5000,
        deviceStateBytesMax: 8 << 20,
      }),
      primary.saveDeviceState(gate.path),
    ]);
    return captured;
  }

  async function ship(captured: NativeCapture): Promise<void> {
    await replica.apply((await encodeAll(memory, captured, 4 << 20)).chunks);
  }

  /** Stops the guest, captures what is left, and compares all of both RAMs. */
  async function expectEqualAtStop(epoch: number): Promise<void> {
    await primary.qmp('stop');
    await ship(await memory.captureStopped(stopped(epoch)));
    expect(await replica.digest()).toBe(await memory.digest());
    await primary.qmp('cont');
  }

  test(`${EPOCHS} epochs under load: the replica is the guest, page for page`, async () => {
    await ship(await capture(1, 'live'));
    await ship(await capture(2, 'live'));
    const epochs: NativeCapture[] = [];
    for (let epoch = 3; epoch < 3 + EPOCHS; epoch += 1) {
      const before = await primary.counter();
      const captured = await capture(epoch, 'staged');
      expect(captured.status).toBe('complete');
      // "QEVM", the magic of QEMU's migration stream.
      expect(captured.deviceState.subarray(0, 4).toString()).toBe('QEVM');
      await ship(captured);
      epochs.push(captured);
      await primary.waitForProgress(before, 500);
      if (epoch % 10 === 0) await expectEqualAtStop(epoch);
    }
    await expectEqualAtStop(1000);
    const dirtied = epochs.reduce((total, { dirtyPages }) => total + dirtyPages, 0);
    expect(dirtied, 'the guest was busy').toBeGreaterThan(5_000);
    report(epochs);
  });

  test('saving device state dirties no page of a stopped guest', async () => {
    await ship(await capture(1, 'live'));
    await primary.qmp('stop');
    await ship(await memory.captureStopped(stopped(2)));
    expect(await capture(3, 'staged')).toMatchObject({ status: 'complete', dirtyPages: 0 });
    expect(await memory.captureStopped(stopped(4))).toMatchObject({ dirtyPages: 0 });
    await primary.qmp('cont');
  });

  test('a gate that is closed in mid-pause lets the guest run, and loses nothing', async () => {
    await ship(await capture(1, 'live'));
    await memory.detach();
    memory = await attach(1 << 20);
    const saving = primary.saveDeviceState(gate.path).catch((error: Error) => error.message);
    const held = await memory.capture({
      gateFd: gate.readFd,
      epoch: 2,
      copy: 'staged',
      boundaries: [],
      openTimeoutMs: 5000,
      drainTimeoutMs: 5000,
      deviceStateBytesMax: 8 << 20,
    });
    expect(held.status).toBe('partial');
    gate.close();
    expect(await saving).toMatch(/IO error/);
    const resumed = await primary.counter();
    await primary.waitForProgress(resumed, 100);
    gate = native.openGate({});
    memory.abandon();
    await expectEqualAtStop(3);
  });

  test('QEMU that cannot open the gate fails its command and runs on', async () => {
    const { path } = gate;
    gate.close();
    await expect(primary.saveDeviceState(path)).rejects.toThrow(/Could not open|No such file/);
    await primary.waitForProgress(await primary.counter(), 100);
    gate = native.openGate({});
  });
});

test('the guest runs on when our process is killed in mid-pause', async () => {
  const addon = fileURLToPath(
    new URL('../../native/build/Release/understudy.node', import.meta.url),
  );
  const script = `
    import { createRequire } from 'node:module';
    const native = createRequire('/')(${JSON.stringify(addon)});
    const gate = native.openGate({});
    const memory = await native.memory.attach({
      pid: ${primary.pid}, stagingBytes: 1 << 20, threads: 1,
      ranges: [{ hva: ${await primary.ramAddress()}n, bytes: ${GUEST_RAM_BYTES}, replicaOffset: 0 }],
    });
    console.log(gate.path);
    const capture = await memory.capture({
      gateFd: gate.readFd, epoch: 1, copy: 'staged', boundaries: [],
      openTimeoutMs: 5000, drainTimeoutMs: 5000, deviceStateBytesMax: 8 << 20,
    });
    console.log(capture.status);
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const path = (await lines.next()).value ?? '';
  const saving = primary.saveDeviceState(path).catch((error: Error) => error.message);
  expect((await lines.next()).value).toBe('partial');
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  expect(await saving).toMatch(/IO error/);
  await primary.waitForProgress(await primary.counter(), 100);
  // The dead process's tracking went with it.
  const memory = await attach();
  await memory.detach();
});

test('attach and detach leave no descriptor and no tracer behind', async () => {
  const before = openFiles(primary.pid);
  const memory = await attach();
  await expect(attach()).rejects.toMatchObject({ code: 'EBUSY' });
  expect(openFiles(primary.pid)).toEqual(before);
  await memory.detach();
  for (let round = 0; round < 20; round += 1) await (await attach()).detach();
  expect(openFiles(primary.pid)).toEqual(before);
  await primary.waitForProgress(await primary.counter(), 100);
});

function openFiles(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

/** Medians of what an epoch cost, for whoever reads the test's output. */
function report(epochs: readonly NativeCapture[]): void {
  const median = (pick: (captured: NativeCapture) => number) =>
    epochs
      .map(pick)
      .sort((a, b) => a - b)
      [epochs.length >> 1]?.toFixed(0);
  console.log(
    `dirty ${median((c) => c.dirtyPages)} pages in ${median((c) => c.dirtyRanges)} ranges,`,
    `µs: scan ${median((c) => c.scanUs)}, copy ${median((c) => c.copyUs)},`,
    `drain ${median((c) => c.drainUs)}, pause ${median((c) => c.pauseUs)}`,
  );
}
