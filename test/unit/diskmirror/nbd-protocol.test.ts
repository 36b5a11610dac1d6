/**
 * What the NBD server answers to the wrong words, one table for the handshake and one for requests.
 * Each connection that must live proves it, and after everything a good client is served.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  COMMAND,
  FLAG,
  FLAGS,
  go,
  META,
  named,
  OPTION,
  option,
  RawClient,
  REPLY,
  request,
  u16,
  u32,
} from './nbd-raw.js';
import { DISKS, NbdTarget } from './nbd-target.js';

const EINVAL = 22;
const ENOSPC = 28;
const PAYLOAD_BYTES_MAX = 32 << 20;
const DISK_BYTES = DISKS[0].bytes;

let target: NbdTarget;
beforeAll(async () => {
  target = await NbdTarget.open();
});
afterAll(() => target.close());
beforeEach(() => {
  target.troubles.length = 0;
});
afterEach(async () => {
  await RawClient.hangUpAll();
  const good = await RawClient.at(target.socketPath, 'vda');
  await good.proveServed();
  await RawClient.hangUpAll();
});

const protocolTroubles = () => target.troubles.filter(({ kind }) => kind === 'protocol');

describe('in the handshake', () => {
  const cutOff: readonly [string, Buffer, string][] = [
    ['unknown client flags', u32(0x80000003), 'unknown client flags'],
    ['no option magic', Buffer.concat([FLAGS, Buffer.alloc(16, 0x41)]), 'no option magic'],
    [
      'an endless option',
      Buffer.concat([FLAGS, option(7, undefined, 2 ** 32 - 1)]),
      'an option of',
    ],
    [
      'an unknown old-style name',
      Buffer.concat([FLAGS, option(1, Buffer.from('vdz'))]),
      'no export',
    ],
    ['GO in plain newstyle', Buffer.concat([u32(0), go('vda')]), 'fixed newstyle'],
    [
      'options without end',
      Buffer.concat([FLAGS, ...Array.from({ length: 65 }, () => option(99))]),
      'too many options',
    ],
  ];
  test.each(cutOff)('%s: cut off', async (_, bytes, reason) => {
    const client = await RawClient.connect(target.socketPath);
    client.send(bytes);
    await client.ended();
    await target.told('protocol', reason);
  });

  const refused: readonly [string, Buffer, number][] = [
    ['an unknown option', option(99), REPLY.unsupported],
    ['an unknown option with data', option(4, Buffer.alloc(5000)), REPLY.unsupported],
    ['TLS', option(5), REPLY.unsupported],
    ['an unknown export', go('vdz'), REPLY.unknown],
    ['the empty name', go(''), REPLY.unknown],
    [
      'INFO of an unknown export',
      option(OPTION.info, Buffer.concat([named('x'), u16(0)])),
      REPLY.unknown,
    ],
    ['GO without data', option(OPTION.go), REPLY.invalid],
    [
      'a name longer than the option',
      option(OPTION.go, Buffer.concat([u32(4), u16(0)])),
      REPLY.invalid,
    ],
    [
      'a name of 4 GiB',
      option(OPTION.go, Buffer.concat([u32(2 ** 32 - 1), u16(0)])),
      REPLY.invalid,
    ],
    ['a name that is too long', go('x'.repeat(4097)), REPLY.invalid],
    [
      'missing requests',
      option(OPTION.go, Buffer.concat([named('vda'), u16(9), u16(3)])),
      REPLY.invalid,
    ],
    [
      'a byte too much',
      option(OPTION.go, Buffer.concat([named('vda'), u16(0), Buffer.alloc(1)])),
      REPLY.invalid,
    ],
    ['LIST with data', option(OPTION.list, Buffer.alloc(1)), REPLY.invalid],
    ['STRUCTURED_REPLY with data', option(OPTION.structured, Buffer.alloc(1)), REPLY.invalid],
    [
      'contexts before structure',
      option(META.list, Buffer.concat([named('vda'), u32(0)])),
      REPLY.invalid,
    ],
  ];
  test.each(refused)('%s: refused, and the connection lives', async (_, bytes, reply) => {
    const client = await RawClient.connect(target.socketPath);
    client.send(FLAGS, bytes);
    await client.greeting();
    expect(await client.optionReply()).toBe(reply);
    await client.choose('vda');
    await client.proveServed();
    expect(protocolTroubles()).toEqual([]);
  });

  const contexts: readonly [string, number, Buffer, number][] = [
    ['LIST, none asked for', META.list, Buffer.concat([named('vda'), u32(0)]), REPLY.ack],
    [
      'SET, one',
      META.set,
      Buffer.concat([named('vda'), u32(1), named('base:allocation')]),
      REPLY.ack,
    ],
    ['SET, unknown export', META.set, Buffer.concat([named('vdz'), u32(0)]), REPLY.unknown],
    [
      'SET, missing queries',
      META.set,
      Buffer.concat([named('vda'), u32(2 ** 32 - 1)]),
      REPLY.invalid,
    ],
    [
      'SET, a byte too much',
      META.set,
      Buffer.concat([named('vda'), u32(0), Buffer.alloc(1)]),
      REPLY.invalid,
    ],
  ];
  test.each(contexts)('metadata contexts: %s', async (_, type, data, reply) => {
    const client = await RawClient.connect(target.socketPath);
    client.send(FLAGS, option(OPTION.structured), option(type, data));
    await client.greeting();
    expect(await client.optionReply()).toBe(REPLY.ack);
    expect(await client.optionReply()).toBe(reply);
  });

  test('ABORT is acknowledged and ends the connection without trouble', async () => {
    const client = await RawClient.connect(target.socketPath);
    client.send(FLAGS, option(OPTION.abort));
    await client.greeting();
    expect(await client.optionReply()).toBe(REPLY.ack);
    await client.ended();
    expect(protocolTroubles()).toEqual([]);
  });

  test('the old way: EXPORT_NAME, with and without 124 zeroes', async () => {
    for (const [flags, zeroes] of [
      [3, 0],
      [1, 124],
      [0, 124],
    ] as const) {
      const client = await RawClient.connect(target.socketPath);
      client.send(u32(flags), option(OPTION.exportName, Buffer.from('vda')));
      await client.greeting();
      const answer = await client.read(10 + zeroes);
      expect(Number(answer.readBigUInt64BE(0))).toBe(DISK_BYTES);
      expect(answer.readUInt16BE(8)).toBe(0b1101101);
      await client.proveServed();
      client.hangUp();
    }
  });

  test('one byte at a time is as good as all at once', async () => {
    const client = await RawClient.connect(target.socketPath);
    const data = Buffer.alloc(512, 9);
    const words = [FLAGS, option(99), go('vdb'), request({ command: COMMAND.write, data })];
    for (const byte of Buffer.concat(words)) client.send(Buffer.from([byte]));
    await client.greeting();
    expect(await client.optionReply()).toBe(REPLY.unsupported);
    for (const reply of [REPLY.info, REPLY.info, REPLY.ack]) {
      expect(await client.optionReply()).toBe(reply);
    }
    expect((await client.reply()).error).toBe(0);
  });

  test('a second client for an export is refused, and welcome when the first has gone', async () => {
    const first = await RawClient.at(target.socketPath, 'vda');
    const second = await RawClient.connect(target.socketPath);
    second.send(FLAGS, go('vda'));
    await second.greeting();
    expect(await second.optionReply()).toBe(REPLY.policy);
    const third = await RawClient.connect(target.socketPath);
    third.send(FLAGS, option(OPTION.exportName, Buffer.from('vda')));
    await third.ended();
    await first.proveServed();
    first.hangUp();
    await second.choose('vda');
    await second.proveServed();
  });

  test('one that stalls is cut off in five seconds', async () => {
    const silent = await RawClient.connect(target.socketPath);
    const slow = await RawClient.connect(target.socketPath);
    slow.send(FLAGS, option(OPTION.go, undefined, 100));
    const started = performance.now();
    await Promise.all([silent.ended(), slow.ended()]);
    const ms = performance.now() - started;
    expect(ms).toBeGreaterThan(4000);
    expect(ms).toBeLessThan(6500);
    await target.told('protocol', 'took too long');
  });

  test('a flood costs the flooders', async () => {
    const served = await RawClient.at(target.socketPath, 'vda');
    const flood = await Promise.all(
      Array.from({ length: 40 }, () => RawClient.connect(target.socketPath)),
    );
    await target.told('protocol', 'too many connections');
    await served.proveServed();
    const other = await RawClient.at(target.socketPath, 'vdb');
    await other.proveServed(0);
    expect(flood.filter(({ open }) => open).length).toBeLessThanOrEqual(DISKS.length + 4);
  });
});

describe('in transmission', () => {
  const { read, write, flush, trim, cache, zero, blockStatus } = COMMAND;
  const sector = Buffer.alloc(512, 1);
  const far = 2n ** 64n - 512n;
  const refused: readonly [string, Parameters<typeof request>[0], number][] = [
    ['read past the end', { command: read, offset: DISK_BYTES - 512, length: 1024 }, EINVAL],
    ['read behind the end', { command: read, offset: DISK_BYTES, length: 512 }, EINVAL],
    ['read at an end that overflows', { command: read, offset: far, length: 1024 }, EINVAL],
    ['read of more than the maximum', { command: read, length: PAYLOAD_BYTES_MAX + 512 }, EINVAL],
    ['read of nothing', { command: read, length: 0 }, EINVAL],
    ['read with an unaligned offset', { command: read, offset: 1, length: 512 }, EINVAL],
    ['read with an unaligned length', { command: read, length: 511 }, EINVAL],
    ['read with DF, no structure agreed', { command: read, length: 512, flags: FLAG.df }, EINVAL],
    [
      'write past the end',
      { command: write, offset: DISK_BYTES - 512, data: Buffer.alloc(1024) },
      ENOSPC,
    ],
    [
      'write at an end that overflows',
      { command: write, offset: far, data: Buffer.alloc(1024) },
      ENOSPC,
    ],
    [
      'write behind the end, the longest',
      { command: write, offset: DISK_BYTES, data: Buffer.alloc(PAYLOAD_BYTES_MAX) },
      ENOSPC,
    ],
    ['write of nothing', { command: write, data: Buffer.alloc(0) }, EINVAL],
    ['write with an unaligned offset', { command: write, offset: 513, data: sector }, EINVAL],
    ['write with an unaligned length', { command: write, data: Buffer.alloc(100) }, EINVAL],
    ['write with NO_HOLE', { command: write, data: sector, flags: FLAG.noHole }, EINVAL],
    ['trim past the end', { command: trim, length: 2 ** 32 - 512 }, EINVAL],
    ['trim at an end that overflows', { command: trim, offset: far, length: 1024 }, EINVAL],
    ['zeroes past the end', { command: zero, length: 2 ** 32 - 512 }, ENOSPC],
    ['zeroes, unaligned', { command: zero, offset: 512, length: 1 }, EINVAL],
    ['zeroes, fast or not at all', { command: zero, length: 512, flags: FLAG.fastZero }, EINVAL],
    ['flush with an offset', { command: flush, offset: 512 }, EINVAL],
    ['flush with a length', { command: flush, length: 512 }, EINVAL],
    ['flush with DF', { command: flush, flags: FLAG.df }, EINVAL],
    ['cache', { command: cache, length: 512 }, EINVAL],
    ['block status', { command: blockStatus, length: 512, flags: FLAG.reqOne }, EINVAL],
    ['an unknown command', { command: 42, length: 512 }, EINVAL],
    ['an unknown flag', { command: read, length: 512, flags: 1 << 15 }, EINVAL],
  ];
  test.each(refused)('%s: an error, and the connection lives', async (_, wrong, error) => {
    const client = await RawClient.at(target.socketPath, 'vda');
    client.send(request({ ...wrong, cookie: 0xabcdef }));
    expect(await client.reply()).toMatchObject({ error, cookie: 0xabcdef });
    await client.proveServed();
  });

  const cutOff: readonly [string, Buffer, string][] = [
    ['no request magic', Buffer.alloc(28, 0x25), 'no request magic'],
    [
      'a write of more than the maximum',
      request({ command: write, length: PAYLOAD_BYTES_MAX + 512 }),
      'a write of',
    ],
    [
      'a structured reply instead of a request',
      Buffer.concat([u32(0x668e33ef), Buffer.alloc(24)]),
      'no request magic',
    ],
  ];
  test.each(cutOff)('%s: cut off', async (_, bytes, reason) => {
    const client = await RawClient.at(target.socketPath, 'vda');
    client.send(bytes);
    await client.ended();
    await target.told('protocol', reason);
    await target.told('disconnected', reason);
  });

  test('a request cut in two by a hang-up does nothing, wherever the cut is', async () => {
    const offset = 8 << 20;
    const whole = request({ command: write, offset, data: Buffer.alloc(128 << 10, 5) });
    for (const bytes of [1, 4, 27, 28, 29, 540, 65_564, whole.length - 1]) {
      const client = await RawClient.at(target.socketPath, 'vda');
      client.send(whole.subarray(0, bytes));
      client.finish();
      await client.ended();
    }
    const client = await RawClient.at(target.socketPath, 'vda');
    client.send(request({ command: read, offset, length: 128 << 10 }));
    expect((await client.reply(128 << 10)).data.equals(Buffer.alloc(128 << 10))).toBe(true);
  });

  test('many requests in flight are answered in their order', async () => {
    const client = await RawClient.at(target.socketPath, 'vda');
    const count = 500;
    const sizes = [512, 4096, 65_536, 200_704];
    const words: Buffer[] = [];
    for (let i = 0; i < count; i += 1) {
      const data = Buffer.alloc(sizes[i % sizes.length] ?? 512, i % 251);
      words.push(request({ command: write, offset: (i % 8) * 262_144, data, cookie: i }));
      words.push(
        request({ command: read, offset: (i % 8) * 262_144, length: 512, cookie: count + i }),
      );
    }
    client.send(...words);
    for (let i = 0; i < count; i += 1) {
      expect(await client.reply()).toMatchObject({ error: 0, cookie: i });
      const answer = await client.reply(512);
      expect(answer.cookie).toBe(count + i);
      expect(answer.data.equals(Buffer.alloc(512, i % 251))).toBe(true);
    }
  });

  test('a client that fetches no answers hurts nobody else', async () => {
    const greedy = await RawClient.at(target.socketPath, 'vda');
    greedy.pause();
    const words = Array.from({ length: 20 }, () => request({ command: read, length: 16 << 20 }));
    greedy.send(...words);
    const other = await RawClient.at(target.socketPath, 'vdb');
    await other.proveServed(0);
  });

  test('DISC ends the connection without a word', async () => {
    const client = await RawClient.at(target.socketPath, 'vda');
    client.send(request({ command: COMMAND.disconnect }));
    await client.ended();
    await target.told('disconnected', 'goodbye');
  });
});
