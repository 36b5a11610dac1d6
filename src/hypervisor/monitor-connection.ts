/**
 * QMP over a socket of our own: commands answered by number, events dropped.
 *
 * A prepared command is sent but for its last byte. QEMU reads a monitor byte by byte, a poll and a read
 * each (monitor_can_read), so that this takes some 0.8 ms off the way of a pause.
 */
import type { Socket } from 'node:net';
import { deferred } from '../deferred.js';
import { type NativePreparedCall, native } from '../native.js';
import { hypervisorError } from './errors.js';
import { MONITOR_LINE_BYTES_MAX, MONITOR_TIMEOUT_MS } from './limits.js';
import { bounded, type CallNames, type PreparedQmp, qmpReturn } from './monitor.js';

/** What ends a command that was begun and must not be run: QEMU knows no such member, and says so. */
const SPOILT = ',"cancelled":true}';

/** Part of every event, of no answer. */
const EVENT_MARK = '"event": "';

interface Waiting {
  operation: string;
  resolve(reply: string): void;
  reject(error: Error): void;
}

export class MonitorConnection {
  readonly #waiting = new Map<number, Waiting>();
  #greeted: (() => void) | undefined;
  #number = 0;
  #text = '';
  #closed = false;
  /** Its end is not sent yet: nothing else may be. */
  #prepared: NativePreparedCall | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly fd: number,
    private readonly domain: string,
    private readonly onClosed: () => void,
  ) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onText(text));
    // What went wrong is told to those who wait; a monitor that is not there is no failure in itself.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
  }

  /** Resolves when QEMU has greeted and takes commands. @throws HYP_MONITOR_CLOSED, HYP_MONITOR_TIMED_OUT */
  static async begin(
    socket: Socket,
    fd: number,
    domain: string,
    onClosed: () => void,
  ): Promise<MonitorConnection> {
    const connection = new MonitorConnection(socket, fd, domain, onClosed);
    try {
      const greeting = deferred();
      connection.#greeted = greeting.resolve;
      socket.once('close', () => greeting.reject(connection.#closedError('greeting')));
      await bounded(greeting.promise, MONITOR_TIMEOUT_MS, { operation: 'greeting', domain });
      await connection.qmp('qmp_capabilities');
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** A command can be sent: what was sent has left, to its end. */
  get isFree(): boolean {
    const isOpen = this.#prepared !== undefined && this.#prepared.begunAtNs() === 0n;
    return !this.#closed && !isOpen && this.socket.writableLength === 0;
  }

  /** Only while it is free. @throws HYP_QMP_FAILED, HYP_MONITOR_TIMED_OUT, HYP_MONITOR_CLOSED */
  async qmp(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    timeoutMs: number = MONITOR_TIMEOUT_MS,
  ): Promise<unknown> {
    const names = this.#names(command);
    const { begun, reply } = this.#request(command, args);
    this.socket.write(`${begun}}`);
    return qmpReturn(await bounded(reply, timeoutMs, names), names);
  }

  /** Like `ProtectedDomain.prepareQmp`; only while it is free. */
  prepareQmp(command: string, args: Readonly<Record<string, unknown>>): PreparedQmp {
    const names = this.#names(command);
    const { number, begun, reply } = this.#request(command, args);
    this.socket.write(begun);
    // Its end would overtake it.
    if (this.socket.writableLength > 0) this.close();
    const last = native.prepareWrite(this.fd, '}', (why) =>
      this.#waiting.get(number)?.reject(this.#closedError(command, why)),
    );
    this.#prepared = last;
    const returned = reply.then((text) => qmpReturn(text, names));
    return {
      trigger: last.trigger,
      fire: () => last.fire(),
      begunAtNs: () => last.begunAtNs(),
      cancel: () => {
        const cancelled = last.cancel();
        if (cancelled) {
          this.socket.write(SPOILT);
          this.#prepared = undefined;
        }
        return cancelled;
      },
      returned,
    };
  }

  close(): void {
    this.socket.destroy();
  }

  /** A command without its closing brace, and its answer. */
  #request(execute: string, args: Readonly<Record<string, unknown>> | undefined) {
    this.#number += 1;
    const number = this.#number;
    const { promise, resolve, reject } = deferred<string>();
    if (this.#closed) reject(this.#closedError(execute));
    else this.#waiting.set(number, { operation: execute, resolve, reject });
    const command =
      args === undefined ? { execute, id: number } : { execute, id: number, arguments: args };
    return { number, begun: JSON.stringify(command).slice(0, -1), reply: promise };
  }

  #onText(text: string): void {
    this.#text += text;
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end < 0) break;
      this.#onLine(this.#text.slice(0, end));
      this.#text = this.#text.slice(end + 1);
    }
    if (this.#text.length > MONITOR_LINE_BYTES_MAX) this.close();
  }

  #onLine(line: string): void {
    if (this.#greeted !== undefined) {
      this.#greeted();
      this.#greeted = undefined;
    } else if (!line.includes(EVENT_MARK)) {
      const number = numberOf(line);
      this.#waiting.get(number)?.resolve(line);
      this.#waiting.delete(number);
    }
  }

  #onClose(): void {
    this.#closed = true;
    for (const { operation, reject } of this.#waiting.values())
      reject(this.#closedError(operation));
    this.#waiting.clear();
    this.onClosed();
  }

  #names(operation: string): CallNames {
    return { operation, domain: this.domain };
  }

  #closedError(operation: string, why = 'the connection ended') {
    return hypervisorError('HYP_MONITOR_CLOSED', `${this.domain}: ${operation}: ${why}`, {
      ...this.#names(operation),
    });
  }
}

/** Of the command that this answers; 0 is nobody's. */
function numberOf(line: string): number {
  try {
    const { id } = JSON.parse(line) as { id?: unknown };
    return typeof id === 'number' ? id : 0;
  } catch {
    return 0;
  }
}
