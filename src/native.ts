/**
 * Everything the native addon offers, declared once. Nothing else loads the addon.
 *
 * The addon holds no policy: it executes, measures and reports. Objects with a `close()`
 * (or `detach()`) throw on every later call. Every asynchronous call runs on a thread of its
 * own and never blocks the event loop. Failures of system calls are errors with `code`
 * (`EBUSY`, …) and `syscall`; failures of libvirt carry `libvirtCode` and `libvirtDomain`.
 */
import { createRequire } from 'node:module';
import type { NativeBoundary, NativePreparedCall, NativeTrigger } from './native-boundary.js';
import type { NativeDisks } from './native-disks.js';
import type { NativeLane, NativeOutlet, NativeReplicaReference } from './native-lane.js';
import type { NativeNet } from './native-net.js';

export type * from './native-boundary.js';
export type * from './native-disks.js';
export type * from './native-lane.js';
export type * from './native-net.js';

// ---------------------------------------------------------------- libvirt

export interface NativeLifecycleEvent {
  domain: string;
  uuid: string;
  /** virDomainEventType */
  event: number;
  /** virDomainEvent*DetailType of that event */
  detail: number;
}

export interface NativeBlockJobEvent {
  domain: string;
  uuid: string;
  /** The disk's target: "vda". */
  disk: string;
  /** virDomainBlockJobType */
  type: number;
  /** virConnectDomainEventBlockJobStatus: 0 completed, 1 failed, 2 canceled, 3 ready. */
  status: number;
}

/** A device was plugged into or out of a running domain. */
export interface NativeDeviceEvent {
  domain: string;
  uuid: string;
  /** libvirt's name of the device: "net1". */
  alias: string;
}

export interface NativeDomainRef {
  name: string;
  uuid: string;
  /** -1 when the domain is not running */
  id: number;
}

export interface NativeLibvirt {
  /** libvirt library version, major * 1,000,000 + minor * 1,000 + release (virGetVersion). */
  libraryVersion(): number;
  /**
   * Opens a connection with keepalive on. `onClosed` is called once when libvirt reports the
   * connection dead (virConnectRegisterCloseCallback), with virConnectCloseReason.
   */
  open(options: {
    uri: string;
    keepaliveIntervalS: number;
    keepaliveCount: number;
    onClosed: (reason: number) => void;
  }): Promise<NativeConnection>;
}

export interface NativeConnection {
  close(): Promise<void>;
  isAlive(): Promise<boolean>;
  /** QEMU's version in the same form as libraryVersion (virConnectGetVersion). */
  hypervisorVersion(): Promise<number>;
  libvirtVersion(): Promise<number>;
  hostname(): Promise<string>;
  capabilities(): Promise<string>;
  domainCapabilities(options: {
    emulator?: string;
    arch?: string;
    machine?: string;
    virtType?: string;
  }): Promise<string>;
  /** virConnectCompareHypervisorCPU: -1 error … 0 incompatible, 1 identical, 2 superset. */
  compareHypervisorCpu(options: {
    emulator?: string;
    arch?: string;
    machine?: string;
    virtType?: string;
    cpuXml: string;
    flags: number;
  }): Promise<number>;
  /** virConnectListAllDomains flags. */
  listDomains(flags: number): Promise<NativeDomainRef[]>;
  lookupByName(name: string): Promise<NativeDomain>;
  lookupByUuid(uuid: string): Promise<NativeDomain>;
  createXml(xml: string, flags: number): Promise<NativeDomain>;
  defineXml(xml: string, flags: number): Promise<NativeDomain>;
  /** Lifecycle events of all domains but suspended and resumed, until `close()`; one subscription per connection. */
  onLifecycle(listener: (event: NativeLifecycleEvent) => void): Promise<void>;
  /** Block job events of all domains (VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2), in the same way. */
  onBlockJob(listener: (event: NativeBlockJobEvent) => void): Promise<void>;
  /** VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, in the same way. */
  onDeviceAdded(listener: (event: NativeDeviceEvent) => void): Promise<void>;
  /** VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, in the same way. */
  onDeviceRemoved(listener: (event: NativeDeviceEvent) => void): Promise<void>;
}

export interface NativeDomain {
  readonly name: string;
  readonly uuid: string;
  /** -1 when not running. */
  id(): Promise<number>;
  /** virDomainGetXMLDesc flags (VIR_DOMAIN_XML_*). */
  xml(flags: number): Promise<string>;
  /** virDomainGetState. */
  state(): Promise<{ state: number; reason: number }>;
  isPersistent(): Promise<boolean>;
  /** Starts a defined domain (virDomainCreateWithFlags). */
  create(flags: number): Promise<void>;
  suspend(): Promise<void>;
  resume(): Promise<void>;
  destroy(flags: number): Promise<void>;
  undefine(flags: number): Promise<void>;
  /** virDomainBlockCopy; `disk` is a target ("vda"), `destinationXml` a <disk> element. */
  blockCopy(options: {
    disk: string;
    destinationXml: string;
    granularityBytes?: number;
    flags: number;
  }): Promise<void>;
  blockJobAbort(disk: string, flags: number): Promise<void>;
  /** Undefined when there is no job on that disk. `cursor` and `end` are bytes. */
  blockJobInfo(disk: string): Promise<{ type: number; cursor: number; end: number } | undefined>;
  /** virDomainGetBlockInfo; bytes. `capacity` is what the guest sees. */
  blockInfo(disk: string): Promise<{ capacity: number; allocation: number; physical: number }>;
  /** virDomainQemuMonitorCommand; flags 0 = QMP, 1 = HMP. The reply as QEMU gave it. */
  monitorCommand(command: string, flags: number): Promise<string>;
  /** The same, to be sent when its trigger fires. */
  prepareMonitorCommand(command: string, flags: number): NativePreparedCommand;
  /** The same with descriptors passed to and received from QEMU. */
  monitorCommandWithFiles(
    command: string,
    descriptors: readonly number[],
    flags: number,
  ): Promise<{ reply: string; descriptors: number[] }>;
}

/** A command that is not sent yet. Keeps the event loop alive until it is answered or cancelled. */
export interface NativePreparedCommand extends NativePreparedCall {
  /** Rejects with CANCELLED. */
  readonly reply: Promise<string>;
}

// ----------------------------------------------------------------- memory

/** One RAM block of the guest, as QEMU mapped it, and where it lies in the replica's address space. */
export interface NativeRamRange {
  /** Address inside QEMU; page-aligned. */
  hva: bigint;
  bytes: number;
  /** Offset in the replica's flat address space; page-aligned; ranges do not overlap. */
  replicaOffset: number;
}

export interface NativeSelfTest {
  ok: boolean;
  /** Which step failed ("userfaultfd", "UFFDIO_API", "PAGEMAP_SCAN", "wrong-pages", "ptrace", …) and why. */
  failedStep?: string;
  reason?: string;
}

/** Durations are microseconds, on CLOCK_MONOTONIC. */
export interface NativeCapture {
  epoch: number;
  /**
   * `complete`: the gate is drained, the guest runs again.
   * `partial`: staging is full, the gate is still held and the guest stands still: encode what
   * is staged, ship it, then call `captureRest`.
   */
  status: 'complete' | 'partial';
  dirtyPages: number;
  dirtyRanges: number;
  stagedBytes: number;
  /** From the call to QEMU's opening of the gate. */
  gateUs: number;
  boundaryUs: number;
  scanUs: number;
  copyUs: number;
  /** From the end of our work to the gate's end of file: QEMU writing the rest of the device state. */
  drainUs: number;
  /** From the gate's opening to its end of file. */
  pauseUs: number;
  /** CLOCK_MONOTONIC of the gate's opening, ns. */
  pausedAtNs: bigint;
  /** What came through the gate; empty while `partial`. */
  deviceState: Buffer;
  /** The whole epoch is on its way to the backup by the outlet, since `atNs` (CLOCK_MONOTONIC). */
  sent?: NativeEncoded & { atNs: bigint };
}

export interface NativeEncoded {
  /** Bytes of the chunk written into the caller's buffer; 0 only when nothing was left. */
  bytes: number;
  /** Pages the chunk stands for: data + zero. */
  dataPages: number;
  zeroPages: number;
  /** Dirty pages left out because the replica has the same content already. */
  unchangedPages: number;
  /** True when this was the last chunk of the round or epoch. */
  done: boolean;
}

/** The first chunk of a staged capture, ready while the guest still stands: QEMU is still saving then. */
export interface NativeAhead {
  into: Buffer;
  /** As `encodeInto` would return. Not called when staging was too small, nor when it failed before; the drain may fail after it. */
  onEncoded: (encoded: NativeEncoded) => void;
}

export interface NativeGuestMemory {
  readonly pageBytes: number;
  /** Sum of the ranges. */
  readonly ramBytes: number;
  /**
   * The critical section, on its own thread: wait (at most `openTimeoutMs`) for
   * QEMU to open the gate, tell every boundary that `epoch` has closed, scan + re-protect,
   * copy into staging (`copy: 'staged'`) or only remember the ranges (`copy: 'live'`, used by
   * sync: they are read later while the guest runs, which is exact because a page that
   * changes after the pause is reported by the next scan), drain the gate to end of file
   * (at most `drainTimeoutMs` without progress). The reading end `gateFd` stays the caller's.
   * On any failure after the scan the ranges are carried into the next capture, so no
   * page is ever lost; the gate is left for the caller to close, which resumes the guest.
   */
  capture(options: {
    gateFd: number;
    epoch: number;
    copy: 'staged' | 'live';
    boundaries: readonly NativeBoundary[];
    openTimeoutMs: number;
    drainTimeoutMs: number;
    deviceStateBytesMax: number;
    /** Sends QEMU to the gate, later: until then the capture waits for it without a bound. */
    begin?: NativeTrigger;
    ahead?: NativeAhead;
    /** An epoch that `ahead.into` has room for is sent by it, and `ahead.onEncoded` not called; `addresses` is JSON. */
    outlet?: { lane: NativeOutlet; addresses: string };
  }): Promise<NativeCapture>;
  /** Goes on after `partial`: same gate, same options. */
  captureRest(): Promise<NativeCapture>;
  /**
   * The same scan and copy for a guest that the caller has already stopped (no gate).
   * Same `partial` rule.
   */
  captureStopped(options: {
    epoch: number;
    copy: 'staged' | 'live';
    boundaries: readonly NativeBoundary[];
  }): Promise<NativeCapture>;
  /**
   * Writes the next chunk (native/memory/chunk.h describes its layout) of what was captured
   * into `into` and returns how much; call until `done`. Zero pages travel as runs without
   * data; of a staged epoch, pages whose content the replica has already (128-bit seeded hash per
   * page) are left out.
   */
  encodeInto(into: Buffer): Promise<NativeEncoded>;
  /** Pages written since the last capture, now; for a running guest, and only to know about how many. */
  writtenPages(): Promise<number>;
  /** The captured epoch did not reach the backup: its ranges are carried into the next capture. */
  abandon(): void;
  /** The replica starts from nothing: forget what it holds and let the next capture report every page. */
  forgetReplica(): void;
  /** XXH3-128 of all RAM (guest must stand still to mean anything); for tests and verification. */
  digest(): Promise<string>;
  /** Unregisters, closes the userfaultfd on both sides; QEMU is as it was found. */
  detach(): Promise<void>;
}

export interface NativeReplica {
  readonly ramBytes: number;
  readonly reference: NativeReplicaReference;
  /** Throws unless every run of the chunk lies inside the replica and its length adds up; touches nothing. */
  validate(chunk: Buffer): { dataPages: number; zeroPages: number };
  /** Takes the standby's whole RAM from the system now, on a thread; `ENOSPC` or `ENOMEM` when it is not to be had. */
  reserve(): Promise<void>;
  /** Writes validated chunks, in order, into the standby's RAM, on a thread. */
  apply(chunks: readonly Buffer[]): Promise<{ dataPages: number; zeroPages: number; us: number }>;
  digest(): Promise<string>;
  close(): void;
}

export interface NativeHasher {
  update(bytes: Buffer): void;
  /** 32 hex digits. */
  digest(): string;
}

export interface NativeMemory {
  /** Tries userfaultfd WP_ASYNC + PAGEMAP_SCAN + injection on a scratch child, checking the pages it reports. */
  selfTest(): Promise<NativeSelfTest>;
  attach(options: {
    pid: number;
    ranges: readonly NativeRamRange[];
    stagingBytes: number;
    /** Threads for scan and copy, used only when the work is large enough to pay. */
    threads: number;
  }): Promise<NativeGuestMemory>;
  /** Maps the standby's memfd-backed RAM blocks read-write, shared. */
  openReplica(options: {
    blocks: readonly { path: string; bytes: number; replicaOffset: number }[];
  }): NativeReplica;
  /** Incremental XXH3-128. */
  hasher(): NativeHasher;
  /** Throws DEVICE_STATE_BAD unless it is whole: header, first section and end must be what QEMU writes. */
  checkDeviceState(deviceState: Buffer): void;
  /** What makes `base` into `state`; undefined when they differ in size, or in more than half. */
  stateDelta(base: Buffer, state: Buffer): Buffer | undefined;
  /** The state, in a new buffer. Throws BAD_DELTA unless every run lies inside of it. */
  applyStateDelta(base: Buffer, delta: Buffer): Buffer;
  /** Plain copies of `bytes` in `pages`-sized pieces, best of `rounds`, in microseconds: the floor that benches print. */
  measureMemcpy(options: { bytes: number; rounds: number }): Promise<number[]>;
}

// ------------------------------------------------------------------ gate

export interface NativeGate {
  /** The reading end, non-blocking. */
  readonly readFd: number;
  /**
   * For QEMU to open: `/proc/PID/fd/N` of the reading end, which re-opens the pipe for writing (no
   * writing end of ours exists, so end of file comes exactly when QEMU closes), or the FIFO's path.
   */
  readonly path: string;
  /** Closes every end; a QEMU that is blocked in it gets EPIPE and resumes its guest. */
  close(): void;
}

export interface NativeProcessWatch {
  close(): void;
}

export interface NativeAddon {
  /** A boundary that only calls back, with the epoch that has closed; the guest still stands then, or runs again already. */
  boundarySignal(onClosed: (epoch: number) => void): NativeBoundary;
  /** A trigger whose firing calls back, once. */
  triggerSignal(onFired: () => void): NativeTrigger;
  /** Sends `text`, a few bytes, on the socket `fd` at the trigger's sign; says why if it could not. */
  prepareWrite(fd: number, text: string, onFailed: (why: string) => void): NativePreparedCall;
  /** The process at the other end of a UNIX socket that it connected. */
  peerProcess(fd: number): number;
  /** Calls back once when `pid` (any process) ends. `ESRCH` when there is none. Keeps nothing alive. */
  watchProcess(pid: number, onEnded: () => void): NativeProcessWatch;
  libvirt: NativeLibvirt;
  memory: NativeMemory;
  /**
   * A pipe (shrunk to one page) for the pause gate. With `fifoPath`, a FIFO there that `ownerUid`
   * may open, for a QEMU that may not open our /proc entry.
   */
  openGate(options: { fifoPath?: string; ownerUid?: number }): NativeGate;
  net: NativeNet;
  disks: NativeDisks;
  lane: NativeLane;
}

/** UNDERSTUDY_ADDON: another build of the same sources, which script/sanitize tests. */
const addon = process.env.UNDERSTUDY_ADDON ?? '../native/build/Release/understudy.node';

export const native = createRequire(import.meta.url)(addon) as NativeAddon;
