import { describe, expect, it } from 'vitest';
import { HeartbeatMonitor } from '../../../src/failover/heartbeat.js';

const policy = { intervalMs: 50, missedMax: 5 };

/** Looks every 50 ms from `from` to `to`; returns the first moment of silence. */
function firstSilence(monitor: HeartbeatMonitor, from: number, to: number): number | undefined {
  for (let now = from; now <= to; now += 50) if (monitor.look(now).silent) return now;
  return undefined;
}

describe('the heartbeat monitor', () => {
  it('suspects after the time-out and not before', () => {
    const monitor = new HeartbeatMonitor(policy, 1, 0);
    expect(monitor.timeoutMs).toBe(250);
    expect(firstSilence(monitor, 50, 1_000)).toBe(250);
  });

  it('suspects only when every path is silent', () => {
    const monitor = new HeartbeatMonitor(policy, 2, 0);
    for (let now = 50; now <= 1_000; now += 50) {
      monitor.heard(1, now);
      expect(monitor.look(now).silent).toBe(false);
    }
    expect(firstSilence(monitor, 1_050, 2_000)).toBe(1_250);
  });

  it('takes a stall of its own for a stall, not for the peer’s death', () => {
    const monitor = new HeartbeatMonitor(policy, 1, 0);
    monitor.look(50);
    monitor.heard(0, 50);
    const verdict = monitor.look(1_050);
    expect(verdict).toMatchObject({ silent: false, stalled: true });
    expect(monitor.stalls).toBe(1);
    // What lay unread in the socket is heard now.
    monitor.heard(0, 1_060);
    expect(monitor.look(1_100).silent).toBe(false);
  });

  it('suspects after a stall as well when the peer stays silent', () => {
    const monitor = new HeartbeatMonitor(policy, 1, 0);
    monitor.look(50);
    expect(monitor.look(1_050).silent).toBe(false);
    expect(firstSilence(monitor, 1_100, 2_000)).toBe(1_150);
  });

  it('is patient when asked', () => {
    const monitor = new HeartbeatMonitor(policy, 1, 0);
    for (let now = 50; now < 1_000; now += 50) expect(monitor.look(now, 4).silent).toBe(false);
    expect(monitor.look(1_000, 4).silent).toBe(true);
  });

  it('ignores a path that does not exist', () => {
    const monitor = new HeartbeatMonitor(policy, 1, 0);
    monitor.heard(7, 200);
    expect(firstSilence(monitor, 50, 1_000)).toBe(250);
  });
});
