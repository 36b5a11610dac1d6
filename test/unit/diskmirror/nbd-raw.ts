/** An NBD client that sends whatever it is told to, right or wrong, and a few right words. */
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Longest wait for what the server owes; a stalled handshake has 5 s. */
const WAIT_MS_MAX = 8000;

export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7, structured: 8 } as const;
export const META = { list: 9, set: 10 } as const;
export const REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 2 ** 31 + 1,
  policy: 2 ** 31 + 2,
  invalid: 2 ** 31 + 3,
  unknown: 2 ** 31 + 6,
} as const;
export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  zero: 6,
  blockStatus: 7,
} as const;
export const FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 } as const;

export const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
export const named = (name: string): Buffer => Buffer.concat([u32(name.length), Buffer.from(name)]);

/** Client flags fixed newstyle and no zeroes. */
export const FLAGS = u32(3);

export function option(type: number, data: Buffer = Buffer.alloc(0), length = data.length): Buffer {
  return Buffer.concat([Buffer.from('IHAVEOPT'), u32(type), u32(length), data]);
}
export const go = (name: string): Buffer => option(OPTION.go, Buffer.concat([named(name), u16(0)]));

export interface Request {
  command: number;
  offset?: number | bigint;
  length?: number;
  flags?: number;
  cookie?: number;
  data?: Buffer;
}
export function request({ command, offset = 0, flags = 0, cookie = 7, ...rest }: Request): Buffer {
  const { data = Buffer.alloc(0), length = data.length } = rest;
  const magic = u32(0x25609513);
  const head = [magic, u16(flags), u16(command), u64(cookie), u64(offset), u32(length)];
  return Buffer.concat([...head, data]);
}

export class RawClient {
  static readonly #all = new Set<RawClient>();
  readonly #socket: Socket;
  /** `change`: bytes have arrived or the connection has ended. */
  readonly #events = new EventEmitter();
  #arrived = Buffer.alloc(0);
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    RawClient.#all.add(this);
    socket.on('data', (bytes) => {
      this.#arrived = Buffer.concat([this.#arrived, bytes]);
      this.#events.emit('change');
    });
    // A server that cuts us off while we are writing; `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      RawClient.#all.delete(this);
      this.#events.emit('change');
    });
  }

  /** For the end of a test, also of one that failed. */
  static async hangUpAll(): Promise<void> {
    const clients = [...RawClient.#all];
    for (const client of clients) client.hangUp();
    await Promise.all(clients.map((client) => client.ended()));
  }

  /** Connected, the server's greeting not read yet. */
  static async connect(path: string): Promise<RawClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** Connected and at an export. */
  static async at(path: string, name: string): Promise<RawClient> {
    const client = await RawClient.connect(path);
    client.send(FLAGS);
    await client.greeting();
    await client.choose(name);
    return client;
  }

  send(...bytes: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(bytes));
  }

  async greeting(): Promise<void> {
    const bytes = await this.read(18);
    if (bytes.toString('latin1', 0, 16) !== 'NBDMAGICIHAVEOPT') throw new Error('no greeting');
  }

  /** The next option reply's type. */
  async optionReply(): Promise<number> {
    const header = await this.read(20);
    await this.read(header.readUInt32BE(16));
    return header.readUInt32BE(12);
  }

  /** GO on a connection that is past the greeting and the client flags. */
  async choose(name: string): Promise<void> {
    this.send(go(name));
    let reply: number;
    do {
      reply = await this.optionReply();
    } while (reply === REPLY.info);
    if (reply !== REPLY.ack) throw new Error(`GO was answered with ${reply}`);
  }

  /** The next simple reply. */
  async reply(dataBytes = 0): Promise<{ error: number; cookie: number; data: Buffer }> {
    const header = await this.read(16);
    if (header.readUInt32BE(0) !== 0x67446698) throw new Error('no simple reply');
    const error = header.readUInt32BE(4);
    const data = await this.read(error === 0 ? dataBytes : 0);
    return { error, cookie: Number(header.readBigUInt64BE(8)), data };
  }

  /** Writes a pattern and reads it back: the connection and the server are well. */
  async proveServed(offset = 1 << 20): Promise<void> {
    const data = Buffer.alloc(4096, offset / 512 + 1);
    this.send(request({ command: COMMAND.write, offset, data }));
    this.send(request({ command: COMMAND.read, offset, length: data.length }));
    const { error } = await this.reply();
    const read = await this.reply(data.length);
    if (error !== 0 || !read.data.equals(data)) throw new Error('not served');
  }

  async read(bytes: number): Promise<Buffer> {
    const deadline = AbortSignal.timeout(WAIT_MS_MAX);
    while (this.#arrived.length < bytes) {
      if (this.#ended) throw new Error(`ended after ${this.#arrived.length} of ${bytes} bytes`);
      await once(this.#events, 'change', { signal: deadline });
    }
    const read = this.#arrived.subarray(0, bytes);
    this.#arrived = this.#arrived.subarray(bytes);
    return read;
  }

  /** Waits until the server has ended the connection. */
  async ended(): Promise<void> {
    if (this.#ended) return;
    await once(this.#socket, 'close', { signal: AbortSignal.timeout(WAIT_MS_MAX) });
  }

  get open(): boolean {
    return !this.#ended;
  }

  /** Takes no more of what the server sends. */
  pause(): void {
    this.#socket.pause();
  }

  /** Sends what is still to be sent, then the end. */
  finish(): void {
    this.#socket.end();
  }

  hangUp(): void {
    this.#socket.destroy();
  }
}
