/**
 * Judges output commit by the stamps of the talker (native/guest/talker.c) that were seen inside, as
 * a guest handed them to its tap, and outside, as they came out of a host's cable. Pure.
 *
 * The counter of the resumed guest is the checkpoint's: everything below it was said before the
 * checkpoint, and nothing from it on may ever have been heard outside of the host that failed.
 */
import { z } from 'zod';
import { labError } from './errors.js';
import { HOST_NAMES, type HostName } from './layout.js';
import { STAMPS_MAX } from './limits.js';

/** As native/guest/talk.h names them. */
export const STAMP_KINDS = [
  'broadcast4',
  'udp4',
  'arp',
  'udp6',
  'multicast4',
  'icmp',
  'ethertype',
  'tcp',
  'neighbour',
  'vlan',
  'llc',
] as const;
export type StampKind = (typeof STAMP_KINDS)[number];
export type StampCounts = Readonly<Record<StampKind, number>>;

/** One line of native/guest/listener.c. */
export const stampSchema = z.object({
  host: z.enum(HOST_NAMES),
  side: z.enum(['inside', 'outside']),
  kind: z.enum(STAMP_KINDS),
  counter: z.int().positive(),
  boot: z.string(),
  /** When the kernel took the frame, CLOCK_REALTIME. */
  atUs: z.int(),
});
export type Stamp = z.infer<typeof stampSchema>;

/**
 * Kinds that the guest sends at once. The others may wait in the guest for a neighbour's address or
 * be sent again, and so say nothing about how far it had come. Every second packet is one of these.
 */
const DIRECT: ReadonlySet<StampKind> = new Set<StampKind>([
  'broadcast4',
  'arp',
  'multicast4',
  'ethertype',
  'neighbour',
  'vlan',
  'llc',
]);

export interface TakeoverVerdict {
  from: HostName;
  to: HostName;
  /** The first counter that the resumed guest said: exact, or one too high. */
  resumedAt: number;
  /** The greatest one that the failed host ever let out, and its kind. */
  highestOutside: number;
  highestKind: StampKind;
  /** The greatest one that the failed host's guest said, heard or not. */
  highestInside: number;
  /** Packets that the outside heard and the guest has forgotten: must be 0. */
  forgotten: number;
  /** Packets that the failed host let out after the first of the new one: must be 0. */
  spokeAfter: number;
  /** Packets of the failed host's guest that nobody outside ever heard. */
  heldBack: number;
  /** Heard outside of each host since the takeover before, by kind. */
  before: StampCounts;
  after: StampCounts;
}

interface Heard {
  counter: number;
  kind: StampKind;
  atUs: number;
}

/** What a host said since it was last expected to take over. */
interface Side {
  outside: Heard[];
  /** Of all but streams. */
  outsideHighest: number;
  insideHighest: number;
  /** Lowest counter of a direct kind. */
  insideFirst: number | undefined;
  /** Different counters inside, and among them those that went out: streams repeat theirs. */
  inside: Set<number>;
  seenOutside: Set<number>;
}

export class StampLog {
  readonly #sides: Record<HostName, Side> = { a: newSide(), b: newSide() };
  readonly #boots = new Set<string>();
  #kept = 0;
  #repeated = 0;
  #disordered = 0;

  /** @throws LAB_LISTENER_FULL when one host has said more than is kept */
  receive(stamp: Stamp): void {
    this.#boots.add(stamp.boot);
    const side = this.#sides[stamp.host];
    if (stamp.side === 'inside') noteInside(side, stamp);
    else this.#noteOutside(side, stamp);
    this.#kept += 1;
    if (this.#kept > STAMPS_MAX) {
      throw labError('LAB_LISTENER_FULL', `over ${STAMPS_MAX} packets since the last takeover`);
    }
  }

  /** From now on `to` may resume the guest; what it said in an earlier turn is put away. */
  expectTakeover(to: HostName): void {
    this.#sides[to] = newSide();
    this.#kept = this.#sides[other(to)].outside.length;
  }

  /** Starts of a talker that were seen: more than one is a guest that was started anew. */
  get boots(): number {
    return this.#boots.size;
  }

  /** Packets other than a stream's that came out of one host twice. */
  get repeated(): number {
    return this.#repeated;
  }

  /** Packets other than a stream's that came out behind a later one. */
  get disordered(): number {
    return this.#disordered;
  }

  /** Packets that a host let out since it was last expected to take over, by kind. */
  outside(host: HostName): StampCounts {
    return countsOf(this.#sides[host].outside);
  }

  /** Undefined until the resumed guest has said something. */
  verdict(to: HostName): TakeoverVerdict | undefined {
    const from = other(to);
    const [old, resumed] = [this.#sides[from], this.#sides[to]];
    const resumedAt = resumed.insideFirst;
    if (resumedAt === undefined) return undefined;
    const highest = old.outside.reduce<Heard | undefined>(
      (best, heard) => (best === undefined || heard.counter > best.counter ? heard : best),
      undefined,
    );
    if (highest === undefined) return undefined;
    const firstAtUs = resumed.outside[0]?.atUs;
    return {
      from,
      to,
      resumedAt,
      highestOutside: highest.counter,
      highestKind: highest.kind,
      highestInside: old.insideHighest,
      forgotten: old.outside.filter(({ counter }) => counter >= resumedAt).length,
      spokeAfter:
        firstAtUs === undefined ? 0 : old.outside.filter(({ atUs }) => atUs > firstAtUs).length,
      heldBack: [...old.inside].filter((counter) => !old.seenOutside.has(counter)).length,
      before: countsOf(old.outside),
      after: countsOf(resumed.outside),
    };
  }

  #noteOutside(side: Side, { counter, kind, atUs }: Stamp): void {
    if (kind !== 'tcp') {
      if (side.seenOutside.has(counter)) this.#repeated += 1;
      if (counter < side.outsideHighest) this.#disordered += 1;
      side.outsideHighest = Math.max(side.outsideHighest, counter);
    }
    side.seenOutside.add(counter);
    side.outside.push({ counter, kind, atUs });
  }
}

function noteInside(side: Side, { counter, kind }: Stamp): void {
  side.inside.add(counter);
  side.insideHighest = Math.max(side.insideHighest, counter);
  if (!DIRECT.has(kind)) return;
  side.insideFirst = Math.min(side.insideFirst ?? counter, counter);
}

function newSide(): Side {
  return {
    outside: [],
    outsideHighest: 0,
    insideHighest: 0,
    insideFirst: undefined,
    inside: new Set(),
    seenOutside: new Set(),
  };
}

function countsOf(heard: readonly Heard[]): StampCounts {
  const counts = Object.fromEntries(STAMP_KINDS.map((kind) => [kind, 0])) as Record<
    StampKind,
    number
  >;
  for (const { kind } of heard) counts[kind] += 1;
  return counts;
}

const other = (host: HostName): HostName => (host === 'a' ? 'b' : 'a');
