/**
 * One libvirt domain: its XML, state, lifecycle, and the monitor of its QEMU.
 *
 * Every call is bounded. Monitor commands taint the domain ("custom-monitor"), which changes
 * nothing but a line in its log; libvirt's own state follows QEMU's events.
 */
import type { NativeDomain } from '../native.js';
import { callLibvirt } from './libvirt-call.js';
import {
  INSPECT_TIMEOUT_MS,
  LIFECYCLE_TIMEOUT_MS,
  MIRROR_CALL_TIMEOUT_MS,
  MIRROR_GRANULARITY_BYTES,
  MONITOR_TIMEOUT_MS,
} from './limits.js';
import {
  MONITOR_HMP,
  MONITOR_QMP,
  type MonitorPath,
  type PreparedQmp,
  qmpRequest,
  qmpReturn,
  UNBOUNDED_MS,
} from './monitor.js';

/** virDomainState */
const STATE_NAMES = [
  'nostate',
  'running',
  'blocked',
  'paused',
  'shutdown',
  'shutoff',
  'crashed',
  'pmsuspended',
] as const;
export type DomainState = (typeof STATE_NAMES)[number];

/** virDomainXMLFlags */
const XML_SECURE = 1;
const XML_INACTIVE = 2;
const XML_MIGRATABLE = 8;
/** virDomainBlockCopyFlags */
const COPY_REUSE_TARGET = 2;
const COPY_TRANSIENT_JOB = 4;
const COPY_SYNCHRONOUS_WRITES = 8;
/** virDomainBlockJobAbortFlags: neither asynchronous nor a pivot to the copy. */
const ABORT_AND_WAIT = 0;
/** virDomainDestroyFlags: SIGTERM first would only delay what must be immediate. */
const DESTROY_NOW = 0;

export class ProtectedDomain implements MonitorPath {
  readonly name: string;
  readonly uuid: string;
  readonly #native: NativeDomain;

  constructor(domain: NativeDomain) {
    this.#native = domain;
    this.name = domain.name;
    this.uuid = domain.uuid;
  }

  async state(): Promise<DomainState> {
    const { state } = await this.#call('state', INSPECT_TIMEOUT_MS, () => this.#native.state());
    return STATE_NAMES[state] ?? 'nostate';
  }

  /** The running domain's XML: aliases, host devices, the CPU as QEMU really gave it. */
  liveXml(): Promise<string> {
    return this.#call('xml', INSPECT_TIMEOUT_MS, () => this.#native.xml(0));
  }

  /** The XML that another host can start: nothing live-only, passwords included. */
  migratableXml(): Promise<string> {
    return this.#call('xml', INSPECT_TIMEOUT_MS, () =>
      this.#native.xml(XML_SECURE | XML_MIGRATABLE),
    );
  }

  /** What the next cold start will use; passwords included. */
  inactiveXml(): Promise<string> {
    return this.#call('xml', INSPECT_TIMEOUT_MS, () => this.#native.xml(XML_SECURE | XML_INACTIVE));
  }

  /** Bytes of a disk as the guest sees it; a file of an odd size counts up to the next sector. */
  async diskBytes(disk: string): Promise<number> {
    const { capacity } = await this.#call('blockInfo', INSPECT_TIMEOUT_MS, () =>
      this.#native.blockInfo(disk),
    );
    return capacity;
  }

  /** Starts a copy of `disk` to `destinationXml` that writes of the guest wait for (virDomainBlockCopy). */
  mirrorDisk(disk: string, destinationXml: string): Promise<void> {
    return this.#call('block copy', MIRROR_CALL_TIMEOUT_MS, () =>
      this.#native.blockCopy({
        disk,
        destinationXml,
        granularityBytes: MIRROR_GRANULARITY_BYTES,
        flags: COPY_REUSE_TARGET | COPY_TRANSIENT_JOB | COPY_SYNCHRONOUS_WRITES,
      }),
    );
  }

  /** Returns when the job is gone; the disk stays what it was. */
  endBlockJob(disk: string): Promise<void> {
    return this.#call('end block job', MIRROR_CALL_TIMEOUT_MS, () =>
      this.#native.blockJobAbort(disk, ABORT_AND_WAIT),
    );
  }

  async hasBlockJob(disk: string): Promise<boolean> {
    const job = await this.#call('block job', INSPECT_TIMEOUT_MS, () =>
      this.#native.blockJobInfo(disk),
    );
    return job !== undefined;
  }

  /** Sends one QMP command. @throws HYP_QMP_FAILED, HYP_MONITOR_TIMED_OUT, LIBVIRT_… */
  async qmp(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    timeoutMs: number = MONITOR_TIMEOUT_MS,
  ): Promise<unknown> {
    const reply = await this.#call(command, timeoutMs, () =>
      this.#native.monitorCommand(qmpRequest(command, args), MONITOR_QMP),
    );
    return qmpReturn(reply, { operation: command, domain: this.name });
  }

  /** One QMP command that is sent when its trigger fires. Must be fired or cancelled in the end. */
  prepareQmp(command: string, args: Readonly<Record<string, unknown>>): PreparedQmp {
    const names = { operation: command, domain: this.name };
    const request = qmpRequest(command, args);
    const { reply, ...prepared } = this.#native.prepareMonitorCommand(request, MONITOR_QMP);
    const answered = callLibvirt(names, UNBOUNDED_MS, () => reply);
    return { ...prepared, returned: answered.then((text) => qmpReturn(text, names)) };
  }

  /** The same with descriptors given to QEMU (copies: ours stay ours). */
  async qmpWithFiles(
    command: string,
    args: Readonly<Record<string, unknown>>,
    descriptors: readonly number[],
  ): Promise<unknown> {
    const { reply } = await this.#call(command, MONITOR_TIMEOUT_MS, () =>
      this.#native.monitorCommandWithFiles(qmpRequest(command, args), descriptors, MONITOR_QMP),
    );
    return qmpReturn(reply, { operation: command, domain: this.name });
  }

  /** Sends one HMP command; the reply is text for people, errors included. */
  hmp(command: string): Promise<string> {
    return this.#call(command, MONITOR_TIMEOUT_MS, () =>
      this.#native.monitorCommand(command, MONITOR_HMP),
    );
  }

  isPersistent(): Promise<boolean> {
    return this.#call('isPersistent', INSPECT_TIMEOUT_MS, () => this.#native.isPersistent());
  }

  /** Starts a defined domain. */
  create(): Promise<void> {
    return this.#call('create', LIFECYCLE_TIMEOUT_MS, () => this.#native.create(0));
  }

  suspend(): Promise<void> {
    return this.#call('suspend', LIFECYCLE_TIMEOUT_MS, () => this.#native.suspend());
  }

  resume(): Promise<void> {
    return this.#call('resume', LIFECYCLE_TIMEOUT_MS, () => this.#native.resume());
  }

  /** Ends the guest at once; a transient domain is then gone. */
  destroy(): Promise<void> {
    return this.#call('destroy', LIFECYCLE_TIMEOUT_MS, () => this.#native.destroy(DESTROY_NOW));
  }

  /** Removes the persistent definition; a running guest goes on as a transient domain. */
  undefine(): Promise<void> {
    return this.#call('undefine', LIFECYCLE_TIMEOUT_MS, () => this.#native.undefine(0));
  }

  #call<T>(operation: string, timeoutMs: number, start: () => Promise<T>): Promise<T> {
    return callLibvirt({ operation, domain: this.name }, timeoutMs, start);
  }
}
