/** Whether a listener would see two instances. */
import { describe, expect, it } from 'vitest';
import { Voices } from '../../../src/chaos/voices.js';
import type { HostName } from '../../../src/lab/layout.js';
import type { Stamp } from '../../../src/lab/stamp-log.js';

const said = (host: HostName, counter: number, more: Partial<Stamp> = {}): Stamp => ({
  host,
  side: 'outside',
  kind: 'arp',
  counter,
  boot: 'x',
  atUs: counter,
  ...more,
});

function heard(...stamps: Stamp[]) {
  const voices = new Voices();
  for (const stamp of stamps) voices.receive(stamp);
  return voices.report();
}

describe('the voices outside', () => {
  it('are one guest that moved to the other host and back', () => {
    expect(heard(said('a', 1), said('a', 2), said('b', 3), said('b', 4), said('a', 5))).toEqual({
      heard: 5,
      changes: 2,
      heardOfBoth: 0,
      forgotten: 0,
      boots: 1,
    });
  });

  it('are two when both say the same', () => {
    const report = heard(said('a', 1), said('a', 2), said('b', 3), said('a', 3), said('b', 4));
    expect(report).toMatchObject({ heardOfBoth: 1, forgotten: 1, changes: 3 });
  });

  it('are two when one host goes on after the other', () => {
    // Its counter ran on while it was not heard: only the number of changes gives it away.
    const report = heard(said('a', 1), said('b', 2), said('a', 30), said('b', 31));
    expect(report).toMatchObject({ changes: 3, forgotten: 0 });
  });

  it('forget when the outside was ahead of the checkpoint', () => {
    const report = heard(said('a', 10), said('b', 9), said('b', 10), said('b', 11));
    expect(report).toMatchObject({ forgotten: 2, heardOfBoth: 1, changes: 1 });
    expect(report.firstForgotten).toEqual({ host: 'b', counter: 9, highestOfOther: 10 });
  });

  it('do not count what a guest may say late, nor what only its tap heard', () => {
    const report = heard(
      said('a', 5),
      said('b', 6),
      said('a', 4, { kind: 'tcp' }),
      said('a', 5, { kind: 'udp4' }),
      said('a', 7, { side: 'inside' }),
    );
    expect(report).toMatchObject({ heard: 2, changes: 1, forgotten: 0 });
  });

  it('notice a guest that was started anew', () => {
    expect(heard(said('a', 5), said('b', 1, { boot: 'y' })).boots).toBe(2);
  });
});
