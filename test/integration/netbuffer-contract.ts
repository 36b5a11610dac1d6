/**
 * What every backend of the output hold must do, on a real network: the same cases for each backend and
 * on each kernel. They are data, so that they run under a test runner and in a machine that has none.
 */
import assert from 'node:assert/strict';
import type { HoldBackend } from '../../src/netbuffer/output-hold.js';
import { crashCases } from './netbuffer-cases-crash.js';
import { epochCases } from './netbuffer-cases-epochs.js';
import { guestCases } from './netbuffer-cases-guests.js';
import { inboundCases } from './netbuffer-cases-inbound.js';
import { kindCases } from './netbuffer-cases-kinds.js';
import { limitCases } from './netbuffer-cases-limits.js';
import { passingCases } from './netbuffer-cases-passing.js';
import { streamCases } from './netbuffer-cases-streams.js';
import { unheldCases } from './netbuffer-cases-unheld.js';
import { sh } from './netbuffer-net.js';
import { Scene, Stage } from './netbuffer-stage.js';

export interface HoldCase {
  readonly name: string;
  /** Absent: every backend. */
  readonly only?: (backend: Pick<HoldBackend, 'name' | 'canLease'>) => boolean;
  run(scene: Scene): Promise<void>;
}

export const holdCases: readonly HoldCase[] = [
  {
    name: 'is available here, and the probe leaves nothing behind',
    run: async ({ backend }) => {
      assert.deepEqual(await backend.probe(), { available: true, backend: backend.name });
      // Scratch interfaces carry the number of their process.
      assert.doesNotMatch(
        await sh('ip -br link'),
        new RegExp(`^usp\\w*${process.pid}[a-z]*\\s`, 'm'),
      );
    },
  },
  ...epochCases,
  ...kindCases,
  ...limitCases,
  ...passingCases,
  ...streamCases,
  ...guestCases,
  ...inboundCases,
  ...unheldCases,
  ...crashCases,
];

export const casesOf = (backend: Pick<HoldBackend, 'name' | 'canLease'>): HoldCase[] =>
  holdCases.filter(({ only }) => only?.(backend) ?? true);

/** Runs cases on one stage; a case that failed leaves a new one to the next. */
export class Contract {
  #stage: Stage | undefined;

  /** @throws what the case found */
  async run(one: HoldCase, backend: HoldBackend): Promise<void> {
    this.#stage ??= await Stage.make();
    const scene = new Scene(backend, this.#stage);
    try {
      await one.run(scene);
      await scene.leave();
    } catch (failure) {
      // The case's own failure is what matters; what it left goes with the stage.
      await scene.abandon().catch(() => undefined);
      await this.close();
      throw failure;
    }
  }

  async close(): Promise<void> {
    const stage = this.#stage;
    this.#stage = undefined;
    await stage?.close();
  }
}
