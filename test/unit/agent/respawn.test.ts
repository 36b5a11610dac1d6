import { describe, expect, it } from 'vitest';
import {
  RESPAWN_DELAY_MS_MAX,
  RESPAWN_DELAY_MS_MIN,
  RESPAWN_STEADY_MS,
} from '../../../src/agent/limits.js';
import { respawnDelayMs } from '../../../src/agent/respawn.js';

describe('the wait before an agent is started again', () => {
  it('is short at first, doubles while it keeps dying, and has an end', () => {
    const waits: number[] = [];
    for (let last = 0; waits.length < 10; waits.push(last)) last = respawnDelayMs(last, 10);
    expect(waits[0]).toBe(RESPAWN_DELAY_MS_MIN);
    expect(waits[1]).toBe(2 * RESPAWN_DELAY_MS_MIN);
    expect(waits.at(-1)).toBe(RESPAWN_DELAY_MS_MAX);
  });

  it('is short again for one that lived for a while', () => {
    expect(respawnDelayMs(RESPAWN_DELAY_MS_MAX, RESPAWN_STEADY_MS)).toBe(RESPAWN_DELAY_MS_MIN);
  });
});
