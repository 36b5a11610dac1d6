/**
 * Reading a socket straight into buffers of ours: no buffer per read, no copy, nothing for the garbage
 * collector. On a sync that is a third of the receiver’s work.
 *
 * Node offers it to sockets that it makes itself (`onread` of net.Socket), not to those that a
 * server accepted. So an accepted one is made anew around the same handle.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { READ_BYTES_MAX, SMALL_READ_BYTES_MAX } from './limits.js';

/** The part of net.Socket that Node does not document; unchanged since Node 0.10. */
interface HandleHolder {
  _handle?: object | null;
}

export interface ReadTarget {
  /** Where the next bytes go. */
  room(): Buffer;
  /** They are there. */
  filled(bytes: number): void;
}

/**
 * The same connection, read straight into `target`; it emits no `data`. `socket` must have no unread
 * bytes and is dead afterwards. Undefined when that cannot be done (TLS has its own reader): `socket`
 * is as it was then.
 */
export function readStraight(socket: Socket, target: ReadTarget): Socket | undefined {
  const holder = socket as HandleHolder;
  const handle = holder._handle;
  if (socket.constructor !== Socket || handle === null || handle === undefined) return undefined;
  socket.removeAllListeners();
  holder._handle = null;
  const options: SocketConstructorOpts & { handle: object; onread: OnReadOpts } = {
    handle,
    readable: true,
    writable: true,
    onread: {
      buffer: () => target.room().subarray(0, READ_BYTES_MAX),
      callback: (bytes) => {
        target.filled(bytes);
        return true;
      },
    },
  };
  const successor = new Socket(options);
  // Its server counts it as gone.
  socket.destroy();
  return successor;
}

/**
 * For a socket that was made with `onread` (TLS allows it at the calling end only): where its bytes go may change
 * while it reads, but those that are on their way go where they were promised.
 */
export class SwitchedReads implements ReadTarget {
  /** Asked for when the socket is made, before there is a target: what comes into it is passed on by copy. */
  readonly #early = Buffer.alloc(SMALL_READ_BYTES_MAX);
  #next: ReadTarget | undefined;
  #current: ReadTarget | undefined;

  readInto(target: ReadTarget): void {
    this.#next = target;
  }

  room(): Buffer {
    this.#current = this.#next;
    return this.#current?.room() ?? this.#early;
  }

  filled(bytes: number): void {
    if (this.#current !== undefined) this.#current.filled(bytes);
    else if (this.#next !== undefined) copyInto(this.#next, this.#early.subarray(0, bytes));
  }
}

function copyInto(target: ReadTarget, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const taken = bytes.copy(target.room(), 0, at);
    at += taken;
    target.filled(taken);
  }
}
