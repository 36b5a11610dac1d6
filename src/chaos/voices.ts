/**
 * Judges by the stamps of the talker in the guest (native/guest/talker.c), as they come out of both hosts’ cables,
 * whether ever two instances reached the network. Pure.
 *
 * One guest counts up: outside, a counter is heard once, and the host that is heard changes only when the domain was
 * promoted. A second instance either says what was said before, or makes the voice change more often.
 */
import type { HostName } from '../lab/layout.js';
import type { Stamp, StampKind } from '../lab/stamp-log.js';

/** Kinds that a guest may send late or again by itself (see stamp-log.ts): they prove nothing. */
const INDIRECT: ReadonlySet<StampKind> = new Set<StampKind>(['tcp', 'udp4', 'udp6', 'icmp']);

export interface VoiceReport {
  /** Packets heard outside. */
  heard: number;
  /** Times that another host than before was heard. */
  changes: number;
  /** Packets that one host let out and the other one too: must be 0. */
  heardOfBoth: number;
  /** Packets of a host that the outside had heard beyond already, from the other one: must be 0. */
  forgotten: number;
  firstForgotten?: { host: HostName; counter: number; highestOfOther: number };
  /** Talkers that were started: 1, else the guest began anew. */
  boots: number;
}

/** Counters of the other host that are compared one by one; older ones lie below its highest. */
const REMEMBERED_MAX = 200_000;

interface Side {
  highest: number;
  counters: Set<number>;
}

export class Voices {
  readonly #sides: Record<HostName, Side> = {
    a: { highest: 0, counters: new Set() },
    b: { highest: 0, counters: new Set() },
  };
  readonly #boots = new Set<string>();
  #speaker: HostName | undefined;
  #report = { heard: 0, changes: 0, heardOfBoth: 0, forgotten: 0 };
  #first: VoiceReport['firstForgotten'];

  receive({ host, side, kind, counter, boot }: Stamp): void {
    if (side !== 'outside' || INDIRECT.has(kind)) return;
    this.#boots.add(boot);
    this.#report.heard += 1;
    const [own, other] = host === 'a' ? (['a', 'b'] as const) : (['b', 'a'] as const);
    const highestOfOther = this.#sides[other].highest;
    if (this.#speaker !== host) {
      if (this.#speaker !== undefined) this.#report.changes += 1;
      this.#speaker = host;
    }
    if (this.#sides[other].counters.has(counter)) this.#report.heardOfBoth += 1;
    if (counter <= highestOfOther) {
      this.#report.forgotten += 1;
      this.#first ??= { host, counter, highestOfOther };
    }
    this.#remember(this.#sides[own], counter);
  }

  report(): VoiceReport {
    const first = this.#first === undefined ? {} : { firstForgotten: this.#first };
    return { ...this.#report, ...first, boots: this.#boots.size };
  }

  #remember(side: Side, counter: number): void {
    side.highest = Math.max(side.highest, counter);
    side.counters.add(counter);
    for (const oldest of side.counters) {
      if (side.counters.size <= REMEMBERED_MAX) break;
      side.counters.delete(oldest);
    }
  }
}
