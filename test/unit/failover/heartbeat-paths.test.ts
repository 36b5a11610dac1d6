/** Heartbeats of both roles over real loopback connections. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { monotonicMs } from '../../../src/clock.js';
import { HeartbeatPaths } from '../../../src/failover/heartbeat-paths.js';
import type { Role } from '../../../src/failover/states.js';
import type { FrameChannel } from '../../../src/wire/channel.js';
import { closePairs, connectedPair } from '../wire/loopback.js';

const INTERVAL_MS = 50;
const policy = { intervalMs: INTERVAL_MS, missedMax: 5 };
const ends: HeartbeatPaths[] = [];

function end(role: Role, count: number) {
  const listener = {
    ...{ onSilent: vi.fn(), onStall: vi.fn(), onHeard: vi.fn(), onPath: vi.fn() },
    patience: () => 1,
  };
  const paths = Array.from({ length: count }, () => undefined);
  const heartbeats = new HeartbeatPaths({ role, policy, paths, term: () => 1 }, listener);
  ends.push(heartbeats);
  return { heartbeats, ...listener };
}

afterEach(() => {
  for (const one of ends.splice(0)) one.close();
  closePairs();
});

describe('heartbeats', () => {
  it('are heard by both, and the primary is told which of its own was heard', async () => {
    const [primary, backup] = [end('primary', 2), end('backup', 2)];
    for (const path of [0, 1]) {
      const [here, there] = await connectedPair();
      primary.heartbeats.use(path, here);
      backup.heartbeats.use(path, there);
    }
    await vi.waitFor(() => expect(primary.onHeard.mock.calls.length).toBeGreaterThan(10), 5_000);
    const ageMs = monotonicMs() - primary.onHeard.mock.lastCall?.[0];
    expect(ageMs).toBeGreaterThan(0);
    expect(ageMs).toBeLessThan(policy.intervalMs * policy.missedMax);
    expect(primary.onSilent).not.toHaveBeenCalled();
    expect(backup.onSilent).not.toHaveBeenCalled();
  });

  it('have one answer on each path, however many come together', async () => {
    const backup = end('backup', 2);
    const onFrame = vi.fn();
    const heres: FrameChannel[] = [];
    for (const path of [0, 1]) {
      const [here, there] = await connectedPair();
      here.receive({ onFrame, onClosed: () => undefined });
      backup.heartbeats.use(path, there);
      heres.push(here);
    }
    const ROUNDS = 6;
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const here of heres) {
        await here.send({ type: 'heartbeat', epoch: 0, term: 1 }, Buffer.alloc(16));
      }
      await delay(INTERVAL_MS);
    }
    for (const here of heres) here.destroy();
    const answers = onFrame.mock.calls.length;
    expect(answers).toBeGreaterThanOrEqual(2 * ROUNDS);
    // A timer that is late may let one more look come in between.
    expect(answers).toBeLessThanOrEqual(3 * ROUNDS);
  });

  it.each([
    { name: 'take turns on paths that are heard', answering: [0, 1], least: 0.3, most: 0.75 },
    { name: 'use every path while one is not heard', answering: [0], least: 0.75, most: 1.1 },
  ])('$name', async ({ answering, least, most }) => {
    const primary = end('primary', 2);
    const onFrame = vi.fn();
    for (const path of [0, 1]) {
      const [here, there] = await connectedPair();
      primary.heartbeats.use(path, here);
      there.receive({
        onFrame: ({ payload }) => {
          if (path === 0) onFrame();
          if (answering.includes(path))
            void there.send({ type: 'heartbeat', epoch: 0, term: 1 }, payload);
        },
        onClosed: () => undefined,
      });
    }
    await delay(6 * INTERVAL_MS);
    onFrame.mockClear();
    const INTERVALS = 20;
    const fromMs = monotonicMs();
    await delay(INTERVALS * INTERVAL_MS);
    const share = onFrame.mock.calls.length / ((monotonicMs() - fromMs) / INTERVAL_MS);
    expect(share).toBeGreaterThan(least);
    expect(share).toBeLessThan(most);
  });

  it('that stop are noticed by the backup at the time-out, once', async () => {
    const [primary, backup] = [end('primary', 1), end('backup', 1)];
    const [here, there] = await connectedPair();
    primary.heartbeats.use(0, here);
    backup.heartbeats.use(0, there);
    await vi.waitFor(() => expect(primary.onHeard).toHaveBeenCalled(), 5_000);
    primary.heartbeats.close();
    await vi.waitFor(() => expect(backup.onSilent).toHaveBeenCalled(), 5_000);
    const silentMs = backup.onSilent.mock.lastCall?.[0];
    expect(silentMs).toBeGreaterThanOrEqual(policy.intervalMs * policy.missedMax);
    expect(monotonicMs() - backup.heartbeats.lastHeardAtMs).toBeGreaterThanOrEqual(silentMs);
    await delay(2 * INTERVAL_MS);
    expect(backup.onSilent).toHaveBeenCalledOnce();
  });

  it.each([
    'primary',
    'backup',
  ] as const)('are not missed by the %s while the first path is still being opened', async (role) => {
    const { heartbeats, onSilent } = end(role, 1);
    await delay(2 * policy.intervalMs * policy.missedMax);
    expect(onSilent).not.toHaveBeenCalled();
    const [here, there] = await connectedPair();
    there.receive({ onFrame: () => undefined, onClosed: () => undefined });
    heartbeats.use(0, here);
    await vi.waitFor(() => expect(onSilent).toHaveBeenCalled(), 5_000);
  });

  it('that stop are noticed by the primary as well', async () => {
    const [primary, backup] = [end('primary', 1), end('backup', 1)];
    const [here, there] = await connectedPair();
    primary.heartbeats.use(0, here);
    backup.heartbeats.use(0, there);
    await vi.waitFor(() => expect(primary.onHeard).toHaveBeenCalled(), 5_000);
    backup.heartbeats.close();
    await vi.waitFor(() => expect(primary.onSilent).toHaveBeenCalledOnce(), 5_000);
  });

  it('tell which path is down, on both ends, and that one opened in its place is up', async () => {
    const [primary, backup] = [end('primary', 2), end('backup', 2)];
    const channels = await Promise.all([connectedPair(), connectedPair(), connectedPair()]);
    for (const path of [0, 1]) {
      primary.heartbeats.use(path, channels[path]?.[0] as FrameChannel);
      backup.heartbeats.use(path, channels[path]?.[1] as FrameChannel);
    }
    await vi.waitFor(() => expect(primary.onHeard).toHaveBeenCalled(), 5_000);
    channels[1]?.[1].destroy();
    const down = { address: '127.0.0.1', up: false };
    for (const { heartbeats, onPath } of [primary, backup]) {
      await vi.waitFor(() => expect(onPath).toHaveBeenCalled(), 5_000);
      expect(onPath.mock.lastCall).toEqual([expect.objectContaining(down), 1]);
      expect(heartbeats.isDown(1)).toBe(true);
      expect(heartbeats.summary.paths).toMatchObject([{ up: true }, down]);
    }
    primary.heartbeats.use(1, channels[2]?.[0] as FrameChannel);
    backup.heartbeats.use(1, channels[2]?.[1] as FrameChannel);
    for (const { heartbeats, onPath } of [primary, backup]) {
      await vi.waitFor(() => expect(onPath).toHaveBeenCalledTimes(2), 5_000);
      expect(heartbeats.summary.paths).toMatchObject([{ up: true }, { up: true }]);
    }
    expect(primary.onSilent).not.toHaveBeenCalled();
    expect(backup.onSilent).not.toHaveBeenCalled();
  });
});
