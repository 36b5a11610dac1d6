/** A guest with memory, its gate, and a standby on the other host, with a lane between them; all in this process. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { EpochLane } from '../../../src/epoch/epoch-lane.js';
import {
  type NativeBackupLane,
  type NativeCapture,
  type NativeGate,
  type NativeGuestMemory,
  type NativeReplica,
  native,
} from '../../../src/native.js';
import { encodeAll, Scribbler } from '../memory/scribbler.js';

export const MIB = 16;
const AHEAD_BYTES = 256 * 1024;
const SOON_MS = 5_000;

/** What QEMU writes, with `content` in it. */
export function deviceState(content: Buffer): Buffer {
  const id = Buffer.from([0, 0, 0, 9]);
  const section = [Buffer.from([4]), id, Buffer.from([3]), Buffer.from('dev'), Buffer.alloc(8)];
  const end = [content, Buffer.from([0x7e]), id, Buffer.from([0])];
  return Buffer.concat([Buffer.from('QEVM'), Buffer.from([0, 0, 0, 3]), ...section, ...end]);
}

export class TwoHosts {
  readonly committed: number[] = [];
  /** As the backup was told. */
  readonly applied: number[] = [];
  readonly failures: string[] = [];
  readonly ends: string[] = [];
  #changed: () => void = () => undefined;
  #gate: NativeGate | undefined;

  private constructor(
    readonly guest: Scribbler,
    private readonly standby: Scribbler,
    readonly memory: NativeGuestMemory,
    readonly replica: NativeReplica,
    readonly secret: Buffer,
  ) {}

  lane!: EpochLane;
  backup!: NativeBackupLane;

  static async start(): Promise<TwoHosts> {
    const guest = await Scribbler.start('private', MIB);
    const standby = await Scribbler.start('memfd', MIB);
    const memory = await guest.attach({ stagingBytes: 2 * MIB * 1024 ** 2 });
    const replica = native.memory.openReplica({
      blocks: [{ path: standby.memfdPath, bytes: standby.bytes, replicaOffset: 0 }],
    });
    const hosts = new TwoHosts(guest, standby, memory, replica, randomBytes(64));
    hosts.backup = native.lane.listen({
      host: '127.0.0.1',
      secret: hosts.secret,
      replica: replica.reference,
      onCommitted: (epoch) => hosts.#note(() => hosts.applied.push(epoch)),
      onFailed: (code) => hosts.#note(() => hosts.failures.push(code)),
    });
    return hosts;
  }

  /** To the backup, or to whoever stands in between. */
  async connect({ port = this.backup.port, secret = this.secret } = {}): Promise<EpochLane> {
    return EpochLane.connect(
      { host: '127.0.0.1', port, secret },
      {
        onCommitted: (epoch) => this.#note(() => this.committed.push(epoch)),
        onEnded: (why) => this.#note(() => this.ends.push(why)),
      },
    );
  }

  /** The guest goes through the gate; its epoch leaves by the lane if it fits, else its chunks are returned. */
  async epoch(
    epoch: number,
    state: Buffer,
    addresses = '[]',
  ): Promise<{ capture: NativeCapture; chunks: Buffer[] }> {
    this.#gate ??= native.openGate({});
    const into = Buffer.alloc(AHEAD_BYTES);
    let ahead: Buffer | undefined;
    let aheadWasAll = false;
    const { outlet } = this.lane;
    const [capture] = await Promise.all([
      this.memory.capture({
        ...{ gateFd: this.#gate.readFd, epoch, copy: 'staged', boundaries: [] },
        ...{ openTimeoutMs: SOON_MS, drainTimeoutMs: SOON_MS, deviceStateBytesMax: 1 << 20 },
        ahead: {
          into,
          onEncoded: ({ bytes, done }) => {
            ahead = Buffer.from(into.subarray(0, bytes));
            aheadWasAll = done;
          },
        },
        ...(outlet === undefined ? {} : { outlet: { lane: outlet, addresses } }),
      }),
      writeFile(this.#gate.path, state),
    ]);
    if (capture.sent !== undefined) return { capture, chunks: [] };
    const { chunks } = aheadWasAll ? { chunks: [] } : await encodeAll(this.memory, capture);
    const all = ahead === undefined ? chunks : [ahead, ...chunks];
    return { capture, chunks: all.filter(({ length }) => length > 0) };
  }

  /** Whichever way it goes. */
  async commit(epoch: number, state: Buffer): Promise<void> {
    const { capture, chunks } = await this.epoch(epoch, state);
    if (capture.sent === undefined) await this.byChannel(epoch, state, chunks);
    else await this.until(() => this.applied.at(-1) === epoch);
  }

  /** As the channel would: verified, committed and applied by JavaScript. */
  async byChannel(epoch: number, deviceState: Buffer, chunks: Buffer[]): Promise<void> {
    this.backup.setCommitted({ epoch, deviceState, addresses: '[]' });
    this.lane.setBase(deviceState);
    await this.replica.apply(chunks);
  }

  /** Resolves when `what` holds after something was told; rejects after SOON_MS. */
  async until(what: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + SOON_MS;
    while (!what()) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        const { committed, applied, failures, ends } = this;
        throw new Error(`not in time: ${JSON.stringify({ committed, applied, failures, ends })}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async end(): Promise<void> {
    this.lane?.close();
    this.backup.stop();
    this.#gate?.close();
    await this.memory.detach();
    this.replica.close();
    await this.guest.end();
    await this.standby.end();
  }

  #note(add: () => void): void {
    add();
    this.#changed();
  }
}

/** Stands between the two and may change what the primary says. */
export class Between {
  readonly #sockets: Socket[] = [];
  change: (bytes: Buffer) => Buffer = (bytes) => bytes;

  private constructor(private readonly server: Server) {}

  static async start(port: number): Promise<Between> {
    const server = createServer();
    const between = new Between(server);
    server.on('connection', (from) => {
      const to = dial(port, '127.0.0.1');
      between.#sockets.push(from, to);
      from.on('data', (bytes: Buffer) => to.write(between.change(bytes)));
      to.pipe(from);
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        one.on('close', () => other.destroy());
        one.on('error', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return between;
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
