/**
 * The filters that move every packet from one interface to another in the kernel. Which
 * classifier this kernel has is found out by the first use: u32 is everywhere, matchall is the
 * alternative.
 */
import { UnderstudyError } from '../errors.js';
import { runBatch } from './net-commands.js';
import type { HoldPreference } from './tap-state.js';

export interface Redirect {
  readonly from: string;
  /** ingress: what comes in at `from`; egress: what would go out there. */
  readonly side: 'ingress' | 'egress';
  readonly to: string;
  readonly preference: HoldPreference;
}

// Offset -12 lies inside the Ethernet header: 0 would miss frames with less than four bytes of
// payload, because the kernel does not match what it cannot read.
const classifiers = ['u32 match u32 0 0 at -12', 'matchall'] as const;

/** Needs a clsact (or, for ingress, an ingress) qdisc on `from`. */
export async function addRedirect(redirect: Redirect): Promise<void> {
  const refusals: unknown[] = [];
  for (const classifier of classifiers) {
    try {
      await runBatch('tc', [redirectLine(redirect, classifier)]);
      return;
    } catch (refusal) {
      if (!lacksClassifier(refusal)) throw refusal;
      refusals.push(refusal);
    }
  }
  throw refusals[0];
}

/** tc's lines that remove what `addRedirect` put on the tap's ingress. */
export function dropHoldLines(tap: string, preferences: readonly HoldPreference[]): string[] {
  return preferences.map((preference) => `filter del dev ${tap} ingress pref ${preference}`);
}

function redirectLine({ from, side, to, preference }: Redirect, classifier: string): string {
  return `filter add dev ${from} ${side} protocol all pref ${preference} ${classifier} action mirred egress redirect dev ${to}`;
}

function lacksClassifier(refusal: unknown): boolean {
  return refusal instanceof UnderstudyError && /classifier not found/i.test(refusal.message);
}
