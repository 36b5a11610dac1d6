import { describe, expect, it } from 'vitest';
import { Witness } from '../../../src/lab/demo/witness.js';

function beacon(counter: number, uptimeMs: number): Buffer {
  const datagram = Buffer.alloc(16);
  datagram.writeBigUInt64LE(BigInt(counter), 0);
  datagram.writeBigUInt64LE(BigInt(uptimeMs) * 1_000_000n, 8);
  return datagram;
}

describe('the witness', () => {
  it('finds nothing in a guest that goes on, lost packets included', () => {
    const witness = new Witness();
    for (const counter of [1, 2, 3, 40, 41]) witness.beacon(beacon(counter, counter));
    expect(witness.report()).toMatchObject({ repeatedBeacons: 0, uptimeContinued: true });
  });

  it('counts every beacon that left before its epoch was committed', () => {
    const witness = new Witness();
    for (const counter of [1, 2, 3, 4, 5]) witness.beacon(beacon(counter, counter));
    // The promoted guest goes on from a checkpoint in which it had counted to 3.
    for (const counter of [4, 5, 6]) witness.beacon(beacon(counter, counter));
    expect(witness.report().repeatedBeacons).toBe(2);
  });

  it('notices a restarted guest', () => {
    const witness = new Witness();
    witness.beacon(beacon(1, 60_000));
    witness.beacon(beacon(2, 500));
    expect(witness.report().uptimeContinued).toBe(false);
  });

  it('measures the longest wait since the mark', () => {
    const witness = new Witness();
    for (const at of [0, 500, 510]) witness.answered(at);
    witness.mark();
    for (const at of [520, 820, 830]) witness.answered(at);
    expect(witness.report()).toMatchObject({
      ackedWrites: 6,
      gapMs: 300,
      gapFromMs: 520,
      gapToMs: 820,
    });
  });
});
