/**
 * The kernel passes frames by itself where it can, ends that at the deadline whatever has become of the process,
 * and the copying hold stands in where it cannot. Where this kernel cannot (before Linux 6.6), only the last is left.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { holderBackend } from '../../src/netbuffer/holder.js';
import type { HoldBackend } from '../../src/netbuffer/output-hold.js';
import { kernelCases } from './netbuffer-cases-kernel.js';
import { passingCases } from './netbuffer-cases-passing.js';
import { streamCases } from './netbuffer-cases-streams.js';
import { Contract, type HoldCase } from './netbuffer-contract.js';
import { bridge, guest, until } from './netbuffer-net.js';
import { type Peer, startHolding } from './netbuffer-peer.js';
import type { Scene } from './netbuffer-stage.js';

const { tap } = guest;
const LEASE_MS = 400;
/** The last frame was let out before the deadline; it may be heard so much later. */
const HEARD_LATE_MS = 20;
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;

const contract = new Contract();
afterAll(() => contract.close());

const copying: HoldBackend = {
  ...holderBackend,
  holdOutput: (options) => holderBackend.holdOutput({ ...options, kernelPasses: false }),
};

const tcx = await kernelHasTcx();

describe.skipIf(!tcx)('output that the kernel passes', () => {
  it.each(kernelCases)('$name', (one) => contract.run(one, holderBackend));

  it('ends at the deadline while the process is stopped, and goes on in order when it continues', () =>
    contract.run(stopped, holderBackend));

  it('ends with the process', () => contract.run(killed, holderBackend));
});

describe('output that this process copies', () => {
  it.each(
    [...passingCases, ...streamCases].filter(({ only }) => only?.(copying) ?? true),
  )('$name', (one) => contract.run(one, copying));

  it('is what is left to a process that may not use BPF, which says so', () =>
    contract.run(refused, holderBackend));
});

const stopped: HoldCase = {
  name: 'stopped',
  run: (scene) =>
    withHolding([], scene, async (holding) => {
      await holding.ask(`lease ${LEASE_MS}`);
      await scene.stream(1);
      await until('the kernel passes', async () => (await statsOf(holding)).kernelPackets > 0);
      process.kill(holding.pid, 'SIGSTOP');
      try {
        await until('it is stopped', async () => (await stateOf(holding.pid)) === 'T');
        // It has not renewed since.
        const deadlineMs = monotonicMs() + LEASE_MS;
        const before = (await scene.seen()).length;
        await until('the lease is over', () => monotonicMs() > deadlineMs + HEARD_LATE_MS);
        const seen = await scene.stage.clientWire.seen();
        expect(seen.numbers.length, 'the kernel went on').toBeGreaterThan(before);
        expect(Number(seen.lastNs) / 1e6).toBeLessThan(deadlineMs + HEARD_LATE_MS);
        const passed = await scene.seen();
        const sent = await scene.stage.guestWire.stop();
        expect(sent).toBeGreaterThan(passed.length);
        await scene.burst(sent + 1, sent + 1_000);
        expect(await scene.seen()).toEqual(passed);
        process.kill(holding.pid, 'SIGCONT');
        await scene.untilSeen(1, sent + 1_000);
      } finally {
        process.kill(holding.pid, 'SIGCONT');
      }
    }),
};

const killed: HoldCase = {
  name: 'killed',
  run: (scene) =>
    withHolding([], scene, async (holding) => {
      await holding.ask('lease 60000');
      await scene.stream(1);
      await until('the kernel passes', async () => (await statsOf(holding)).kernelPackets > 0);
      await holding.killed();
      const sent = await scene.stage.guestWire.stop();
      const passed = await scene.seen();
      await scene.burst(sent + 1, sent + 1_000);
      expect(await scene.seen()).toEqual(passed);
    }),
};

const refused: HoldCase = {
  name: 'refused',
  run: (scene) => {
    const without = ['setpriv', '--bounding-set', '-sys_admin,-bpf,-perfmon'];
    return withHolding(without, scene, async (holding) => {
      await holding.ask('lease 60000');
      await scene.burst(1, 100);
      await scene.untilSeen(1, 100);
      const { kernelPackets, releasedPackets, kernelRefusal } = await statsOf(holding);
      expect({ kernelPackets, releasedPackets }).toEqual({
        kernelPackets: 0,
        releasedPackets: 100,
      });
      expect(kernelRefusal).toMatch(/^bpf: Operation not permitted/);
    });
  },
};

/** Afterwards the process is dead and the tap plain again. */
async function withHolding(
  prefix: readonly string[],
  { backend }: Scene,
  use: (holding: Peer) => Promise<void>,
): Promise<void> {
  const holding = await startHolding({ tap, bridge }, prefix);
  try {
    await use(holding);
  } finally {
    await holding.killed();
    // The kernel removes a dead process's interfaces in the background: only then does nobody hold.
    await until('nobody holds', () =>
      backend.restoreTap({ tap, bridge }).then(
        () => true,
        (failure: { code?: string }) => {
          if (failure.code === 'HOLD_STILL_HELD') return false;
          throw failure;
        },
      ),
    );
  }
}

const statsOf = (holding: Peer) =>
  holding.ask<{ kernelPackets: number; releasedPackets: number; kernelRefusal: string }>('stats');

/** Its letter in proc(5), `T` when it is stopped. */
async function stateOf(pid: number): Promise<string | undefined> {
  return /\) (\S)/.exec(await readFile(`/proc/${pid}/stat`, 'utf8'))?.[1];
}

/** Since Linux 6.6. */
async function kernelHasTcx(): Promise<boolean> {
  const release = await readFile('/proc/sys/kernel/osrelease', 'utf8');
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 6);
}
