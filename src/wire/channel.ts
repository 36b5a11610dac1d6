/**
 * One connection that carries frames.
 *
 * Frames are handed over in order, one at a time: while the receiver works on one (its promise is
 * pending) at most one read's worth more is taken from the socket, so a slow receiver slows the
 * sender and memory stays bounded. After `onClosed` nothing else is called.
 */
import { connect, type Socket } from 'node:net';
import { wireError } from './errors.js';
import {
  type Frame,
  type FrameHeader,
  FrameParser,
  type FrameType,
  writeHeader,
} from './frames.js';
import { CONNECT_TIMEOUT_MS, FRAME_HEADER_BYTES, SMALL_READ_BYTES_MAX } from './limits.js';
import { encodeMessage, type Message, type MessageName } from './messages.js';
import { type ReadTarget, readStraight, type SwitchedReads } from './straight-reads.js';

export interface ChannelReceiver {
  onFrame(frame: Frame): void | Promise<void>;
  /** Once; `error` says why unless the connection ended as asked. */
  onClosed(error: Error | undefined): void;
}

export class FrameChannel {
  readonly peer: string;
  /** Where the connection ends on this host. */
  readonly localHost: string;
  #receiver: ChannelReceiver | undefined;
  #queue: Frame[] = [];
  #busy = false;
  #closed = false;
  #listening = true;
  #discards = false;
  #closeReason: Error | undefined;

  #allocate: (bytes: number) => Buffer = Buffer.allocUnsafe;
  readonly #parser = new FrameParser(
    (frame) => this.#queue.push(frame),
    (bytes) => this.#allocate(bytes),
  );
  #socket: Socket;

  /** `reads` is where the socket reads to, if it was made with `onread`; it emits no 'data' then. */
  constructor(
    socket: Socket,
    private readonly reads?: SwitchedReads,
  ) {
    this.peer = `${socket.remoteAddress}:${socket.remotePort}`;
    this.localHost = socket.localAddress ?? '';
    // Checkpoints and acknowledgements must not wait for Nagle.
    socket.setNoDelay(true);
    this.#socket = this.#watch(socket);
    socket.on('data', (bytes: Buffer) => this.#take(() => this.#parser.push(bytes)));
    this.reads?.readInto(this.#taking(this.#parserRoom()));
    socket.pause();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Starts (or hands over) delivery. Frames that came before are delivered first. */
  receive(receiver: ChannelReceiver): void {
    this.#receiver = receiver;
    this.#deliver();
  }

  /**
   * Payloads of later frames come from `allocate`, and bytes are read straight into them; whoever
   * receives them gives them back.
   */
  allocateWith(allocate: (bytes: number) => Buffer): void {
    this.#allocate = allocate;
    this.#readStraight(this.#parserRoom());
  }

  /** Later frames are small: several are read at once, into one buffer that stays. */
  expectSmall(): void {
    const buffer = Buffer.alloc(SMALL_READ_BYTES_MAX);
    this.#readStraight({
      room: () => buffer,
      filled: (bytes) => this.#parser.push(buffer.subarray(0, bytes)),
    });
  }

  /**
   * While `listening` is false nothing is read, not even the end of the connection: what comes waits in the
   * kernel and wakes nobody. Only after `expectSmall`, and of TLS only at the end that called (other sockets read
   * ahead while they are paused).
   */
  listen(listening: boolean): void {
    this.#listening = listening;
    this.#deliver();
  }

  /** Waits for the next frame alone (handshakes). `WIRE_TIMED_OUT` after `timeoutMs`. */
  next(timeoutMs: number): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        this.#receiver = undefined;
        this.#socket.pause();
        action();
      };
      const timer = setTimeout(() => {
        const error = wireError('WIRE_TIMED_OUT', `${this.peer}: no answer in ${timeoutMs} ms`);
        settle(() => reject(error));
      }, timeoutMs);
      this.receive({
        onFrame: (frame) => settle(() => resolve(frame)),
        onClosed: (error) =>
          settle(() => reject(error ?? wireError('WIRE_CLOSED', `${this.peer} closed`))),
      });
    });
  }

  /** Resolves when the kernel has taken the frame; the payload may be reused then. */
  send(header: FrameHeader, payload: Buffer = Buffer.alloc(0)): Promise<void> {
    const head = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    writeHeader(head, header, payload.length);
    this.#socket.cork();
    if (payload.length > 0) this.#socket.write(head);
    const sent = this.#write(payload.length > 0 ? payload : head);
    this.#socket.uncork();
    return sent;
  }

  /** Sends a frame whose first FRAME_HEADER_BYTES are free for the header: no copy, one write. */
  sendInPlace(header: FrameHeader, frame: Buffer): Promise<void> {
    writeHeader(frame, header, frame.length - FRAME_HEADER_BYTES);
    return this.#write(frame);
  }

  sendMessage<N extends MessageName>(
    type: FrameType,
    name: N,
    message: Message<N>,
    stamp: { epoch?: number; term: number },
  ): Promise<void> {
    return this.send(
      { type, epoch: stamp.epoch ?? 0, term: stamp.term },
      encodeMessage(name, message),
    );
  }

  /**
   * From now on the connection ends with `WIRE_TIMED_OUT` when nothing moves on it, either way, for
   * `timeoutMs`; 0 lifts the limit.
   */
  limitSilence(timeoutMs: number): void {
    this.#socket.setTimeout(timeoutMs);
  }

  /** Ends the connection once what was sent has gone out. */
  end(): void {
    this.#socket.end();
    this.#socket.resume();
  }

  /**
   * Gives the peer time to read what was sent: what it says is thrown away until it hangs up, at most for
   * `timeoutMs`. Hanging up on what it says would take from it what it has not read yet (a TCP reset).
   */
  untilPeerHangsUp(timeoutMs: number): Promise<void> {
    this.#discards = true;
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.destroy(), timeoutMs);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.resume();
    });
  }

  /** Ends the connection at once. */
  destroy(reason?: Error): void {
    this.#closeReason ??= reason;
    this.#socket.destroy();
  }

  #parserRoom(): ReadTarget {
    return {
      room: () => this.#parser.room(),
      filled: (bytes) => this.#parser.filled(bytes),
    };
  }

  /** The same target, with what it completes delivered. */
  #taking({ room, filled }: ReadTarget): ReadTarget {
    return { room, filled: (bytes) => this.#take(() => filled(bytes)) };
  }

  #readStraight(target: ReadTarget): void {
    if (this.reads !== undefined) {
      this.reads.readInto(this.#taking(target));
      return;
    }
    // Between two frames of a handshake nothing is on its way; if it is, reading stays as it was.
    if (this.#closed || this.#socket.readableLength > 0) return;
    const successor = readStraight(this.#socket, this.#taking(target));
    if (successor === undefined) return;
    this.#socket = this.#watch(successor);
    this.#deliver();
  }

  #watch(socket: Socket): Socket {
    socket.on('error', (cause) => {
      this.#closeReason ??= wireError('WIRE_CLOSED', `${this.peer}: ${cause.message}`, { cause });
    });
    socket.on('timeout', () =>
      this.destroy(wireError('WIRE_TIMED_OUT', `${this.peer}: nothing moves on the connection`)),
    );
    socket.on('close', () => this.#onSocketClosed());
    return socket;
  }

  /** What came is put into the parser by `take`; the frames that it completes are delivered. */
  #take(take: () => void): void {
    if (this.#discards) return;
    try {
      take();
    } catch (error) {
      this.destroy(error as Error);
      return;
    }
    this.#deliver();
  }

  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (cause) => {
        if (cause === undefined || cause === null) resolve();
        else reject(wireError('WIRE_CLOSED', `${this.peer}: ${cause.message}`, { cause }));
      });
    });
  }

  #deliver(): void {
    while (!this.#busy && this.#receiver !== undefined) {
      const frame = this.#queue.shift();
      if (frame === undefined) break;
      this.#handOver(this.#receiver, frame);
    }
    if (this.#busy || this.#receiver === undefined || !this.#listening) this.#socket.pause();
    else if (!this.#closed) this.#socket.resume();
    if (this.#closed && !this.#busy && this.#queue.length === 0) this.#reportClosed();
  }

  #handOver(receiver: ChannelReceiver, frame: Frame): void {
    try {
      const pending = receiver.onFrame(frame);
      if (!(pending instanceof Promise)) return;
      this.#busy = true;
      pending
        .catch((error: Error) => this.destroy(error))
        .finally(() => {
          this.#busy = false;
          this.#deliver();
        });
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #onSocketClosed(): void {
    this.#closed = true;
    // Whole frames that arrived before the end still count: an acknowledgement may be among them.
    this.#deliver();
  }

  #reportClosed(): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    receiver?.onClosed(this.#closeReason);
  }
}

/** Connects within CONNECT_TIMEOUT_MS; `WIRE_UNREACHABLE` otherwise. */
export function connectChannel(
  address: { host: string; port: number; localAddress?: string },
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<FrameChannel> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    const fail = (why: string, cause?: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      const context = cause === undefined ? {} : { cause };
      reject(wireError('WIRE_UNREACHABLE', `${address.host}:${address.port}: ${why}`, context));
    };
    const timer = setTimeout(() => fail(`no connection in ${timeoutMs} ms`), timeoutMs);
    const onError = (cause: Error): void => fail(cause.message, cause);
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      resolve(new FrameChannel(socket));
    });
  });
}
