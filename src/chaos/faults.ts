/**
 * The one list of faults: what each means, what it acts on, whether it lasts, and within which time the domain
 * must be protected again without help. Pure.
 */
import { BOOT_MS_MAX, PROTECTED_AGAIN_MS_MAX } from './limits.js';

/** The host's role at the moment of the fault. */
export const SIDES = ['primary', 'backup'] as const;
export type Side = (typeof SIDES)[number];

/** Processes of one domain's protection on one host. */
export const TARGETS = ['qemu', 'session', 'agent', 'libvirtd'] as const;
export type Target = (typeof TARGETS)[number];

/** `lan`: clients’ network, a heartbeat path. `repl`: replication link, the other path. */
export const CHAOS_LINKS = ['lan', 'repl'] as const;
export type ChaosLink = (typeof CHAOS_LINKS)[number];

/** What no longer passes: what comes in to the host, what goes out of it, or either. */
export const WAYS = ['both', 'in', 'out'] as const;
export type Way = (typeof WAYS)[number];

/** What is done to a host. */
export type Act =
  | { do: 'signal'; target: Target; signal: 'SIGKILL' | 'SIGSTOP' }
  | { do: 'crash' }
  | { do: 'cut'; links: readonly ChaosLink[] }
  | { do: 'fill'; what: 'state' | 'disks' };

export interface FaultKind {
  readonly meaning: string;
  /** How it ends. */
  readonly mended: string;
  readonly act: Act;
  /** Goes on until it is mended, after a time that the schedule gives. */
  readonly lasts: boolean;
  /** On which hosts it makes sense. */
  readonly sides: readonly Side[];
  /** From the end of the fault to `protected`, without help. */
  readonly protectedWithinMs: number;
}

const kill = (target: Target, meaning: string, mended: string): FaultKind => ({
  meaning,
  mended,
  act: { do: 'signal', target, signal: 'SIGKILL' },
  lasts: false,
  sides: SIDES,
  protectedWithinMs: PROTECTED_AGAIN_MS_MAX,
});
const stop = (target: Target, meaning: string): FaultKind => ({
  meaning,
  mended: 'SIGCONT',
  act: { do: 'signal', target, signal: 'SIGSTOP' },
  lasts: true,
  sides: SIDES,
  protectedWithinMs: PROTECTED_AGAIN_MS_MAX,
});
const cut = (links: readonly ChaosLink[], meaning: string): FaultKind => ({
  meaning,
  mended: 'the link carries packets again',
  act: { do: 'cut', links },
  lasts: true,
  sides: SIDES,
  protectedWithinMs: PROTECTED_AGAIN_MS_MAX,
});

export const FAULT_KINDS = {
  'kill-qemu': kill('qemu', 'QEMU of the guest, or of its standby, is killed', 'by understudy'),
  'kill-session': kill('session', 'the domain’s session is killed', 'by the agent'),
  'kill-agent': kill('agent', 'the agent is killed', 'by systemd, or whoever started it'),
  'kill-libvirtd': kill('libvirtd', 'libvirtd is killed', 'it is started again'),
  'crash-host': {
    meaning: 'the host falls as if its power failed',
    mended: 'it boots',
    act: { do: 'crash' },
    lasts: true,
    sides: SIDES,
    protectedWithinMs: BOOT_MS_MAX,
  },
  'stop-qemu': stop('qemu', 'QEMU of the guest, or of its standby, stands still'),
  'stop-session': stop('session', 'the domain’s session stands still'),
  'stop-agent': stop('agent', 'the agent stands still'),
  'stop-libvirtd': stop('libvirtd', 'libvirtd stands still'),
  'cut-repl': cut(['repl'], 'the replication link is cut'),
  'cut-lan': cut(['lan'], 'the clients’ network is cut'),
  'cut-all': cut(['lan', 'repl'], 'every link is cut'),
  'fill-state': {
    meaning: 'the disk with understudy’s own records is full',
    mended: 'there is room again',
    act: { do: 'fill', what: 'state' },
    lasts: true,
    sides: SIDES,
    protectedWithinMs: PROTECTED_AGAIN_MS_MAX,
  },
  'fill-disks': {
    meaning: 'the disk with the replica’s disks is full',
    mended: 'there is room again',
    act: { do: 'fill', what: 'disks' },
    lasts: true,
    // The primary’s are the guest’s own: QEMU would stop the guest, as without understudy.
    sides: ['backup'],
    protectedWithinMs: PROTECTED_AGAIN_MS_MAX,
  },
} as const satisfies Record<string, FaultKind>;

export type FaultName = keyof typeof FAULT_KINDS;
export const FAULT_NAMES = Object.keys(FAULT_KINDS) as FaultName[];

export function kindOf(fault: FaultName): FaultKind {
  return FAULT_KINDS[fault];
}

/** One line of a schedule. */
export interface Step {
  fault: FaultName;
  on: Side;
  /** Only of a cut. */
  way: Way;
  /** Protected for so long before it. */
  afterMs: number;
  /** 0 when it does not last. */
  lastsMs: number;
}

/** As an operator would note it: "1.2 s protected, then backup: the session is killed". */
export function noteOf({ fault, on, way, afterMs, lastsMs }: Step): string {
  const kind = kindOf(fault);
  const ways = { both: '', in: ' (what comes in)', out: ' (what goes out)' };
  const which = kind.act.do === 'cut' ? ways[way] : '';
  const lasting = kind.lasts ? `, for ${seconds(lastsMs)}` : '';
  return `${seconds(afterMs)} protected, then ${on}: ${kind.meaning}${which}${lasting}`;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
