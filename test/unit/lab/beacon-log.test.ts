import { describe, expect, it } from 'vitest';
import { BeaconLog } from '../../../src/lab/beacon-log.js';

const packet = (counter: bigint, uptimeNs = 0n) => {
  const payload = Buffer.alloc(16);
  payload.writeBigUInt64LE(counter, 0);
  payload.writeBigUInt64LE(uptimeNs, 8);
  return payload;
};

const logOf = (...counters: bigint[]) => {
  const log = new BeaconLog();
  counters.forEach((counter, index) => {
    log.receive(packet(counter), BigInt(index) * 1_000_000n);
  });
  return log.report();
};

describe('BeaconLog', () => {
  it.each([
    { name: 'nothing', counters: [], packets: 0, last: 0n, missing: 0n, forgotten: 0 },
    {
      name: 'in sequence',
      counters: [5n, 6n, 7n],
      packets: 3,
      last: 7n,
      missing: 0n,
      forgotten: 0,
    },
    { name: 'a gap', counters: [5n, 9n], packets: 2, last: 9n, missing: 3n, forgotten: 0 },
    {
      name: 'a repeat',
      counters: [5n, 6n, 6n, 7n],
      packets: 4,
      last: 7n,
      missing: 0n,
      forgotten: 1,
    },
    {
      name: 'a step back',
      counters: [5n, 6n, 7n, 8n, 6n, 7n, 8n, 9n],
      packets: 8,
      last: 9n,
      missing: 0n,
      forgotten: 3,
    },
    {
      name: 'a step back to before a gap',
      counters: [5n, 8n, 6n, 7n, 8n, 9n],
      packets: 6,
      last: 9n,
      missing: 0n,
      forgotten: 1,
    },
    {
      name: 'the first one, overtaken by the second',
      counters: [2n, 1n, 3n],
      packets: 3,
      last: 3n,
      missing: 0n,
      forgotten: 0,
    },
    {
      name: 'the first one twice',
      counters: [1n, 1n, 2n],
      packets: 3,
      last: 2n,
      missing: 0n,
      forgotten: 1,
    },
    {
      name: 'two that were swapped on the way',
      counters: [5n, 7n, 6n, 8n],
      packets: 4,
      last: 8n,
      missing: 0n,
      forgotten: 0,
    },
    {
      name: 'a late one that comes again',
      counters: [5n, 7n, 6n, 6n, 8n],
      packets: 5,
      last: 8n,
      missing: 0n,
      forgotten: 1,
    },
  ])('$name', ({ counters, packets, last, missing, forgotten }) => {
    expect(logOf(...counters)).toMatchObject({ packets, lastCounter: last, missing, forgotten });
  });

  it('counts as forgotten what fills a gap too late', () => {
    const log = new BeaconLog();
    log.receive(packet(5n), 0n);
    log.receive(packet(9n), 1_000_000n);
    log.receive(packet(8n), 101_000_000n);
    log.receive(packet(7n), 101_000_001n);
    expect(log.report()).toMatchObject({ late: 1, forgotten: 1, missing: 2n });
    expect(log.report().firstForgotten).toEqual({
      counter: 7n,
      greatest: 9n,
      sinceNs: 100_000_001n,
    });
  });

  it('remembers the last ones of a long gap', () => {
    const log = new BeaconLog();
    log.receive(packet(1n), 0n);
    log.receive(packet(10_000n), 1n);
    log.receive(packet(9_999n), 2n);
    log.receive(packet(9_000n), 3n);
    expect(log.report()).toMatchObject({ late: 1, forgotten: 1 });
  });

  it('knows the longest silence and when it began', () => {
    const log = new BeaconLog();
    for (const [counter, atNs] of [
      [1n, 100n],
      [2n, 200n],
      [3n, 900n],
      [4n, 1000n],
    ] as const) {
      log.receive(packet(counter), atNs);
    }
    expect(log.report()).toMatchObject({ longestSilenceNs: 700n, longestSilenceBeganNs: 200n });
  });

  it('counts what is no beacon and goes on', () => {
    const log = new BeaconLog();
    log.receive(Buffer.alloc(15), 1n);
    log.receive(packet(1n, 42n), 2n);
    expect(log.report()).toMatchObject({ malformed: 1, packets: 1, lastUptimeNs: 42n });
  });
});
