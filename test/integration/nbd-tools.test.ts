/** The mirror's NBD server as other people's clients see it: libnbd's tools, QEMU's, fio's. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { RawClient } from '../unit/diskmirror/nbd-raw.js';
import { DISKS, NbdTarget } from '../unit/diskmirror/nbd-target.js';

const TOOL_MS_MAX = 60_000;
const [VDA, VDB] = DISKS;

let target: NbdTarget;
beforeAll(async () => {
  target = await NbdTarget.open();
});
afterEach(() => RawClient.hangUpAll());
afterAll(() => target.close());

async function run(tool: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(tool, args, { timeout: TOOL_MS_MAX });
  return stdout;
}
const qemuIo = (...commands: readonly string[]) =>
  run('qemu-io', '-f', 'raw', ...commands.flatMap((word) => ['-c', word]), target.uri('vda'));
/** Runs Python with `h`, a libnbd handle that is connected to vda, and `expect(errno, function, …)`. */
const nbdsh = (program: string) =>
  run(
    // What nbdsh starts, with the Python that the distribution's libnbd is for.
    ...['/usr/bin/python3', '-m', 'nbd', '-u', target.uri('vda')],
    ...['-c', EXPECT_ERRNO, '-c', `h.set_strict_mode(0)\n${program}`],
  );
const EXPECT_ERRNO = `
import errno
def expect(number, call, *args):
    try:
        call(*args)
    except nbd.Error as error:
        assert error.errnum == number, error
    else:
        raise AssertionError("no error")
`;

test('nbdinfo reads what we offer', async () => {
  const { protocol, structured, exports } = JSON.parse(
    await run('nbdinfo', '--json', target.uri('vda')),
  );
  expect({ protocol, structured }).toEqual({ protocol: 'newstyle-fixed', structured: true });
  expect(exports[0]).toMatchObject({
    'export-size': VDA.bytes,
    is_read_only: false,
    can_df: true,
    can_fast_zero: false,
    can_flush: true,
    can_fua: true,
    can_multi_conn: false,
    can_trim: true,
    can_zero: true,
    block_size_minimum: 512,
    block_size_preferred: 65_536,
    block_size_maximum: 33_554_432,
  });
});

test('nbdinfo lists every disk', async () => {
  const listed = JSON.parse(
    await run('nbdinfo', '--json', '--list', `nbd+unix:///?socket=${target.socketPath}`),
  );
  const exports: { 'export-name': string; 'export-size': number }[] = listed.exports;
  expect(
    exports.map((entry) => ({ name: entry['export-name'], bytes: entry['export-size'] })),
  ).toEqual(DISKS);
});

test.each([VDA, VDB])('nbdcopy takes $name there and back', async ({ name, bytes }) => {
  const image = join(tmpdir(), `understudy-nbdcopy-${process.pid}`);
  const content = Buffer.concat([randomBytes(bytes / 2), Buffer.alloc(bytes / 2)]);
  try {
    writeFileSync(image, content);
    await run('nbdcopy', image, target.uri(name));
    await run('nbdcopy', target.uri(name), `${image}.back`);
    expect(readFileSync(`${image}.back`).equals(content)).toBe(true);
  } finally {
    for (const file of [image, `${image}.back`]) rmSync(file, { force: true });
  }
});

test('libnbd: FUA, zeroes, trim, structured reads and errors', async () => {
  await nbdsh(`
assert h.get_structured_replies_negotiated()
assert not h.can_meta_context("base:allocation")
h.pwrite(b"a" * 65536, 0, nbd.CMD_FLAG_FUA)
h.flush()
h.zero(4096, 4096, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
h.trim(4096, 16384, nbd.CMD_FLAG_FUA)
wanted = bytearray(b"a" * 65536)
wanted[4096:8192] = bytes(4096)
wanted[16384:20480] = bytes(4096)
assert h.pread(65536, 0) == wanted
assert h.pread(65536, 0, nbd.CMD_FLAG_DF) == wanted
chunks = []
h.pread_structured(65536, 0, lambda data, offset, status, error: chunks.append((offset, len(data), status)))
assert chunks == [(0, 65536, nbd.READ_DATA)], chunks
h.zero(h.get_size(), 0)
assert h.pread(65536, 0) == bytes(65536)
expect(errno.EINVAL, h.pread, 512, h.get_size())
expect(errno.EINVAL, h.pread, 512, 1)
expect(errno.ENOSPC, h.pwrite, bytes(1024), h.get_size() - 512)
expect(errno.EINVAL, h.trim, 1024, h.get_size() - 512)
expect(errno.ENOSPC, h.zero, 1024, h.get_size() - 512)
expect(errno.EINVAL, h.cache, 512, 0)
h.pwrite(b"b" * (32 << 20), 0)
assert h.pread(32 << 20, 0) == b"b" * (32 << 20)
`);
});

test('libnbd: many commands in flight, answered each to its own', async () => {
  await nbdsh(`
buffers = [nbd.Buffer.from_bytearray(bytearray([i % 256]) * 4096) for i in range(1000)]
cookies = [h.aio_pwrite(buffer, i * 8192) for i, buffer in enumerate(buffers)]
while h.aio_in_flight() > 0: h.poll(10000)
for cookie in cookies: assert h.aio_command_completed(cookie)
for i in range(1000): assert h.pread(4096, i * 8192) == bytes([i % 256]) * 4096
`);
});

test('qemu-io: write, discard, write zeroes, read back', async () => {
  await qemuIo(
    'write -P 0x5a 0 1M',
    'write -P 0xa5 -f 1M 64k',
    'discard 64k 64k',
    'write -z 128k 64k',
    'write -z -u 192k 64k',
    'flush',
    'write -P 0x11 512 512',
  );
  const read = await qemuIo(
    'read -P 0x5a 0 512',
    'read -P 0x11 512 512',
    'read -P 0x5a 1k 63k',
    'read -P 0 64k 192k',
    'read -P 0x5a 256k 768k',
    'read -P 0xa5 1M 64k',
  );
  expect(read).not.toContain('verification failed');
  // The tool says so when it does fail.
  await expect(qemuIo('read -P 0x77 0 512')).rejects.toThrow();
});

test('fio finds what it wrote', async () => {
  await run(
    'fio',
    ...['--name=verify', '--ioengine=nbd', `--uri=${target.uri('vda')}`, '--rw=randwrite'],
    ...['--bssplit=512/10:4k/60:64k/25:1m/5', '--size=16m', '--iodepth=16'],
    // Its notes for a later run would lie in the working directory.
    '--verify_state_save=0',
    ...['--verify=crc32c', '--verify_fatal=1', '--do_verify=1', '--output-format=terse'],
  );
});

test('two clients: the second is refused, and the first is not disturbed', async () => {
  const first = await RawClient.at(target.socketPath, 'vda');
  const list = ['--list', `nbd+unix:///?socket=${target.socketPath}`];
  expect(await run('nbdinfo', ...list)).toContain('export="vda"');
  await expect(run('nbdcopy', target.uri('vda'), 'null:')).rejects.toThrow(/policy|one client/i);
  await expect(qemuIo('read 0 512')).rejects.toThrow(/one client/);
  await first.proveServed();
});

test('clients killed in mid-write do no harm, and the next is served at once', async () => {
  for (let i = 0; i < 5; i += 1) {
    const copy: ChildProcess = spawn(
      'fio',
      [
        ...['--name=killed', '--ioengine=nbd', `--uri=${target.uri('vda')}`, '--rw=write'],
        ...['--bs=1m', '--size=32m', '--iodepth=8', '--time_based', '--runtime=60', '--thread'],
      ],
      { stdio: 'ignore' },
    );
    const exit = once(copy, 'exit');
    const written = target.target.stats().disks[0]?.writtenBytes ?? 0;
    await expect
      .poll(() => target.target.stats().disks[0]?.writtenBytes ?? 0, {
        timeout: TOOL_MS_MAX,
        interval: 5,
      })
      .toBeGreaterThan(written + i * 3_000_000);
    copy.kill('SIGKILL');
    await exit;
    const next = await RawClient.at(target.socketPath, 'vda');
    await next.proveServed();
    await RawClient.hangUpAll();
  }
  expect(target.troubles.filter(({ kind }) => kind === 'protocol')).toEqual([]);
});
