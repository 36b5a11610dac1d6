import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { monotonicMs } from '../../../src/clock.js';
import { type NativeGate, type NativeGuestMemory, native } from '../../../src/native.js';
import { Scribbler } from './scribbler.js';

const DEVICE_STATE_BYTES = 145_000;

describe.each(['pipe', 'fifo'] as const)('%s gate', (kind) => {
  let directory: string;
  let guest: Scribbler;
  let memory: NativeGuestMemory;
  let gate: NativeGate;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'understudy-gate-'));
    guest = await Scribbler.start('private', 4);
    memory = await guest.attach();
    gate = native.openGate(
      kind === 'fifo' ? { fifoPath: join(directory, 'gate'), ownerUid: 0 } : {},
    );
  });
  afterEach(async () => {
    await memory.detach();
    await guest.end();
    rmSync(directory, { recursive: true });
  });

  const capture = (override: Partial<Parameters<NativeGuestMemory['capture']>[0]> = {}) =>
    memory.capture({
      gateFd: gate.readFd,
      epoch: 1,
      copy: 'staged',
      boundaries: [],
      openTimeoutMs: 1000,
      drainTimeoutMs: 1000,
      deviceStateBytesMax: 1 << 20,
      ...override,
    });
  const writeState = (bytes: number) => guest.ask(`b ${bytes} ${gate.path}`);

  test('serves many epochs, and what came through is whole', async () => {
    for (let epoch = 1; epoch <= 20; epoch += 1) {
      const bytes = DEVICE_STATE_BYTES + epoch;
      const [captured, answer] = await Promise.all([capture({ epoch }), writeState(bytes)]);
      expect(answer).toBe('ok');
      expect(captured).toMatchObject({ status: 'complete', epoch });
      expect(captured.deviceState.length).toBe(bytes);
      expect(captured.deviceState.subarray(0, 6).toString()).toBe('0\n1\n2\n');
      expect(captured.pauseUs).toBeGreaterThan(captured.scanUs + captured.copyUs);
    }
    gate.close();
  });

  test('a writer that leaves without a byte is GATE_CLOSED at once, also after good epochs', async () => {
    await Promise.all([capture(), writeState(DEVICE_STATE_BYTES)]);
    const failed = expect(capture({ openTimeoutMs: 20_000 })).rejects.toMatchObject({
      code: 'GATE_CLOSED',
    });
    closeSync(openSync(gate.path, constants.O_WRONLY));
    await failed;
    gate.close();
  });

  test('nobody comes: GATE_TIMEOUT', async () => {
    await expect(capture({ openTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'GATE_TIMEOUT',
    });
    gate.close();
  });

  describe('with a sign to come', () => {
    // What it writes goes nowhere; only the sign counts.
    const aSign = () => native.prepareWrite(gate.readFd, 'x', () => undefined);

    test('waits for it without a bound, and counts the gate from it', async () => {
      const sign = aSign();
      const captured = capture({ openTimeoutMs: 20, begin: sign.trigger });
      const early = await Promise.race([captured, delay(200, 'waits')]);
      expect(early).toBe('waits');
      const firedAtMs = monotonicMs();
      sign.fire();
      await writeState(DEVICE_STATE_BYTES);
      const { gateUs, pausedAtNs, deviceState } = await captured;
      expect(deviceState.length).toBe(DEVICE_STATE_BYTES);
      expect(gateUs / 1000).toBeLessThanOrEqual(Number(pausedAtNs) / 1e6 - firedAtMs + 0.1);
      gate.close();
    });

    test('looks at what is dirty meanwhile', async () => {
      const waiting = watchForWait();
      const captured = capture({ begin: aSign().trigger });
      captured.catch(() => undefined);
      await waiting();
      expect(await memory.writtenPages()).toBeGreaterThan(0);
      gate.close();
      await expect(captured).rejects.toMatchObject({ code: 'GATE_CLOSED' });
    });

    test('given, and nobody comes: GATE_TIMEOUT', async () => {
      const sign = aSign();
      const captured = capture({ openTimeoutMs: 50, begin: sign.trigger });
      sign.fire();
      await expect(captured).rejects.toMatchObject({ code: 'GATE_TIMEOUT' });
      gate.close();
    });
  });

  test('a writer that stops writing: GATE_TIMEOUT, and the gate works again afterwards', async () => {
    const stuck = openSync(gate.path, constants.O_WRONLY);
    writeSync(stuck, 'x');
    await expect(capture({ drainTimeoutMs: 50 })).rejects.toMatchObject({ code: 'GATE_TIMEOUT' });
    closeSync(stuck);
    const [captured] = await Promise.all([capture(), writeState(DEVICE_STATE_BYTES)]);
    expect(captured.dirtyPages).toBe(1024);
    gate.close();
  });

  test('a writer that has finished before the pages are copied: GATE_PASSED, and nothing is lost', async () => {
    // Less than the pipe holds: nothing keeps it.
    expect(await writeState(1_000)).toBe('ok');
    await expect(capture()).rejects.toMatchObject({ code: 'GATE_PASSED' });
    gate.close();
    const again = await memory.captureStopped({ epoch: 2, copy: 'staged', boundaries: [] });
    expect(again.dirtyPages).toBe(1024);
  });

  test('too much device state: refused, and closing the gate frees the writer', async () => {
    const writing = writeState(8 << 20);
    await expect(capture({ deviceStateBytesMax: 100_000 })).rejects.toMatchObject({
      code: 'DEVICE_STATE_TOO_LARGE',
    });
    gate.close();
    // EPIPE
    expect(await writing).toBe('failed 32');
    // Nothing of the failed capture is lost.
    expect(await memory.captureStopped({ epoch: 2, copy: 'staged', boundaries: [] })).toMatchObject(
      {
        dirtyPages: 1024,
      },
    );
  });

  describe.each([
    ['that waits for it to open', true],
    ['that does not wait yet', false],
  ])('ends a capture %s:', (_, waits) => {
    const failing = async (code: string, end: () => unknown): Promise<void> => {
      const waiting = watchForWait();
      const failed = expect(capture({ openTimeoutMs: 20_000 })).rejects.toMatchObject({ code });
      if (waits) await waiting();
      await end();
      await failed;
    };

    test('closing the gate', () => failing('GATE_CLOSED', () => gate.close()));

    test('the end of the guest', () => failing('GUEST_ENDED', () => guest.end()));
  });

  test('the path ends with the gate', () => {
    const { path } = gate;
    if (kind === 'fifo') expect(statSync(path).mode & 0o777).toBe(0o600);
    gate.close();
    expect(existsSync(path)).toBe(false);
    expect(() => gate.readFd).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });
});

/**
 * Notes which threads wait for three descriptors; the answer resolves when there is one more: the
 * capture's thread has begun to wait.
 */
function watchForWait(): () => Promise<void> {
  const before = new Set(pollingThree());
  return async () => {
    const deadline = Date.now() + 5000;
    while (pollingThree().every((thread) => before.has(thread))) {
      if (Date.now() > deadline) throw new Error('the capture never began to wait');
      await nextTurn();
    }
  };
}

/** Threads that stand in poll(2) or ppoll(2), of x86-64 or arm64, with three descriptors. */
function pollingThree(): string[] {
  return readdirSync('/proc/self/task').filter((thread) => {
    try {
      const call = readFileSync(`/proc/self/task/${thread}/syscall`, 'utf8');
      return /^(?:7|271|73) 0x[0-9a-f]+ 0x3 /.test(call);
    } catch (error) {
      // Ended meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  });
}
