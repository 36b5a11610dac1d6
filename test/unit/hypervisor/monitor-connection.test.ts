import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deferred } from '../../../src/deferred.js';
import { MonitorConnection } from '../../../src/hypervisor/monitor-connection.js';
import { native } from '../../../src/native.js';

const GREETING = '{"QMP": {"version": {}, "capabilities": ["oob"]}}\r\n';
const STOP = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}\r\n';

/** The other end, which says only what a test makes it say. */
class FakeQemu {
  said = '';
  #heard = deferred();

  constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => {
      this.said += bytes.toString();
      this.#heard.resolve();
      this.#heard = deferred();
    });
    socket.on('error', () => undefined);
  }

  /** Resolves when all that was written to it holds `text`. */
  async hears(text: string): Promise<void> {
    while (!this.said.includes(text)) await this.#heard.promise;
  }

  answer(id: number, body: string): void {
    this.socket.write(`{${body}, "id": ${id}}\r\n`);
  }
}

let directory: string;
let server: Server;
let qemu: FakeQemu;
let monitor: MonitorConnection;
let closed: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'us-monitor-'));
  closed = 0;
  const accepted = deferred<Socket>();
  server = createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => server.listen(join(directory, 'm'), resolve));
  qemu = new FakeQemu(connect(join(directory, 'm')));
  const socket = await accepted.promise;
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  expect(native.peerProcess(fd)).toBe(process.pid);
  const begun = MonitorConnection.begin(socket, fd, 'web', () => {
    closed += 1;
  });
  qemu.socket.write(GREETING);
  await qemu.hears('qmp_capabilities');
  qemu.answer(1, '"return": {}');
  monitor = await begun;
});

afterEach(async () => {
  monitor.close();
  qemu.socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

describe('a monitor connection', () => {
  test('matches answers by their number, in pieces and between events', async () => {
    const first = monitor.qmp('query-a', { x: 1 });
    const second = monitor.qmp('query-b');
    await qemu.hears('"execute":"query-b","id":3}');
    qemu.socket.write(`${STOP}{"return": {"b": tr`);
    qemu.socket.write('ue}, "id": 3}\r\n');
    qemu.answer(2, '"return": "a"');
    expect(await second).toEqual({ b: true });
    expect(await first).toBe('a');
  });

  test('gives QEMU’s refusal in its words', async () => {
    const asked = monitor.qmp('nonsense');
    await qemu.hears('nonsense');
    qemu.answer(2, '"error": {"class": "CommandNotFound", "desc": "no such command"}');
    await expect(asked).rejects.toMatchObject({ code: 'HYP_QMP_FAILED' });
  });

  test('sends a prepared command but for its end, and the end when it is fired', async () => {
    const prepared = monitor.prepareQmp('save', { filename: '/x', live: false });
    const begun = '{"execute":"save","id":2,"arguments":{"filename":"/x","live":false}';
    await qemu.hears(begun);
    expect(qemu.said.endsWith(begun)).toBe(true);
    expect(prepared.begunAtNs()).toBe(0n);
    expect(monitor.isFree).toBe(false);
    expect(prepared.fire()).toBe(true);
    expect(prepared.fire()).toBe(false);
    await qemu.hears(`${begun}}`);
    expect(prepared.begunAtNs()).toBeGreaterThan(0n);
    expect(monitor.isFree).toBe(true);
    qemu.answer(2, '"return": {}');
    expect(await prepared.returned).toEqual({});
  });

  test('makes a cancelled command one that QEMU refuses', async () => {
    const prepared = monitor.prepareQmp('save', {});
    expect(prepared.cancel()).toBe(true);
    expect([prepared.cancel(), prepared.fire()]).toEqual([false, false]);
    expect(monitor.isFree).toBe(true);
    await qemu.hears('"arguments":{},"cancelled":true}');
    const desc = "QMP input member 'cancelled' is unexpected";
    qemu.answer(2, `"error": {"class": "GenericError", "desc": "${desc}"}`);
    await expect(prepared.returned).rejects.toMatchObject({ code: 'HYP_QMP_FAILED' });
    const next = monitor.qmp('query-c');
    await qemu.hears('query-c');
    qemu.answer(3, '"return": 7');
    expect(await next).toBe(7);
  });

  test('rejects what waits when QEMU hangs up, and what is asked afterwards', async () => {
    const asked = monitor.qmp('query-a');
    const prepared = monitor.prepareQmp('save', {});
    qemu.socket.destroy();
    await expect(asked).rejects.toMatchObject({ code: 'HYP_MONITOR_CLOSED' });
    await expect(prepared.returned).rejects.toMatchObject({ code: 'HYP_MONITOR_CLOSED' });
    expect(closed).toBe(1);
    expect(monitor.isFree).toBe(false);
    await expect(monitor.qmp('query-b')).rejects.toMatchObject({ code: 'HYP_MONITOR_CLOSED' });
  });

  test('hangs up on a line without an end', async () => {
    const ended = new Promise((resolve) => qemu.socket.once('close', resolve));
    qemu.socket.write('x'.repeat(100_000));
    await ended;
    await expect.poll(() => closed).toBe(1);
  });
});
