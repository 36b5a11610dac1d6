/** A small NBD client for tests: fixed newstyle handshake with GO, simple replies, many requests in flight. */
import { createConnection, type Socket } from 'node:net';

const OPTION_MAGIC = 0x49484156454f5054n;
const REPLY_MAGIC = 0x3e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const SIMPLE_REPLY_MAGIC = 0x67446698;
const OPTION_GO = 7;
const REPLY_ACK = 1;
const REPLY_INFO = 3;
const CLIENT_FLAGS = 3;

const COMMANDS = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, zero: 6 } as const;
export const NO_HOLE = 2;

interface Pending {
  readBytes: number;
  resolve: (data: Buffer) => void;
  reject: (error: Error) => void;
}

export class NbdError extends Error {
  constructor(readonly errno: number) {
    super(`the server answered with error ${errno}`);
  }
}

/** One connection to one export. Every call rejects when the connection ends first. */
export class NbdClient {
  readonly ended: Promise<void>;
  #received = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #over = false;
  #cookie = 0n;
  readonly #pending = new Map<bigint, Pending>();

  private constructor(private readonly socket: Socket) {
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#over = true;
        this.#wake?.();
        for (const pending of this.#pending.values()) {
          pending.reject(new Error('the connection ended'));
        }
        this.#pending.clear();
        resolve();
      });
    });
  }

  static async connect(socketPath: string, exportName: string): Promise<NbdClient> {
    const client = new NbdClient(createConnection(socketPath));
    await client.#shakeHands(exportName);
    void client.#receiveReplies().catch(() => client.socket.destroy());
    return client;
  }

  write(offset: number, data: Buffer): Promise<Buffer> {
    return this.#request(COMMANDS.write, offset, data.length, { data });
  }

  zero(offset: number, bytes: number, flags = 0): Promise<Buffer> {
    return this.#request(COMMANDS.zero, offset, bytes, { flags });
  }

  trim(offset: number, bytes: number): Promise<Buffer> {
    return this.#request(COMMANDS.trim, offset, bytes, {});
  }

  flush(): Promise<Buffer> {
    return this.#request(COMMANDS.flush, 0, 0, {});
  }

  read(offset: number, bytes: number): Promise<Buffer> {
    return this.#request(COMMANDS.read, offset, bytes, { readBytes: bytes });
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.ended;
  }

  #request(
    command: number,
    offset: number,
    bytes: number,
    more: { data?: Buffer; flags?: number; readBytes?: number },
  ): Promise<Buffer> {
    if (this.#over) return Promise.reject(new Error('the connection ended'));
    this.#cookie += 1n;
    const header = Buffer.alloc(28);
    header.writeUInt32BE(REQUEST_MAGIC, 0);
    header.writeUInt16BE(more.flags ?? 0, 4);
    header.writeUInt16BE(command, 6);
    header.writeBigUInt64BE(this.#cookie, 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(bytes, 24);
    const answered = new Promise<Buffer>((resolve, reject) => {
      this.#pending.set(this.#cookie, { readBytes: more.readBytes ?? 0, resolve, reject });
    });
    this.socket.write(more.data === undefined ? header : Buffer.concat([header, more.data]));
    return answered;
  }

  async #shakeHands(exportName: string): Promise<void> {
    await this.#take(18);
    const name = Buffer.from(exportName);
    const option = Buffer.alloc(4 + 16 + 4 + name.length + 2);
    option.writeUInt32BE(CLIENT_FLAGS, 0);
    option.writeBigUInt64BE(OPTION_MAGIC, 4);
    option.writeUInt32BE(OPTION_GO, 12);
    option.writeUInt32BE(4 + name.length + 2, 16);
    option.writeUInt32BE(name.length, 20);
    name.copy(option, 24);
    this.socket.write(option);
    for (;;) {
      const reply = await this.#take(20);
      if (reply.readBigUInt64BE(0) !== REPLY_MAGIC) throw new Error('no option reply');
      await this.#take(reply.readUInt32BE(16));
      const type = reply.readUInt32BE(12);
      if (type === REPLY_ACK) return;
      if (type !== REPLY_INFO) throw new Error(`the server refused: 0x${type.toString(16)}`);
    }
  }

  async #receiveReplies(): Promise<void> {
    for (;;) {
      const reply = await this.#take(16);
      if (reply.readUInt32BE(0) !== SIMPLE_REPLY_MAGIC) throw new Error('no simple reply');
      const errno = reply.readUInt32BE(4);
      const cookie = reply.readBigUInt64BE(8);
      const pending = this.#pending.get(cookie);
      if (pending === undefined) throw new Error('a reply to no request');
      this.#pending.delete(cookie);
      if (errno === 0) pending.resolve(await this.#take(pending.readBytes));
      else pending.reject(new NbdError(errno));
    }
  }

  async #take(bytes: number): Promise<Buffer> {
    while (this.#received.length < bytes) {
      if (this.#over) throw new Error('the connection ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }
}
