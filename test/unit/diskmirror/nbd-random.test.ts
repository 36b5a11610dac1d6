/** Seeded random words to the NBD server, from noise to one wrong bit: afterwards a good client is served. */
import { afterAll, afterEach, beforeAll, test } from 'vitest';
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
  request,
  u32,
} from './nbd-raw.js';
import { NbdTarget } from './nbd-target.js';

let target: NbdTarget;
beforeAll(async () => {
  target = await NbdTarget.open();
});
afterAll(() => target.close());
afterEach(async () => {
  await RawClient.hangUpAll();
  await (await RawClient.at(target.socketPath, 'vda')).proveServed();
  await RawClient.hangUpAll();
});

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
const bytesOf = (random: () => number, count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, () => random() & 255));
const right = Buffer.concat([
  FLAGS,
  option(OPTION.structured),
  option(META.list, Buffer.concat([named('vda'), u32(1), named('base:')])),
  go('vda'),
  request({ command: COMMAND.write, data: Buffer.alloc(1024, 3) }),
  request({ command: COMMAND.zero, length: 4096 }),
  request({ command: COMMAND.read, length: 4096, flags: FLAG.df }),
  request({ command: COMMAND.trim, length: 512 }),
]);

const kinds: readonly [string, (random: () => number) => Buffer][] = [
  ['after the greeting', (random) => bytesOf(random, 1 + (random() % 300))],
  ['after the client flags', (random) => Buffer.concat([FLAGS, bytesOf(random, 100)])],
  [
    'as an option',
    (random) => Buffer.concat([FLAGS, option(random() % 12, bytesOf(random, random() % 40))]),
  ],
  [
    'as requests',
    (random) => {
      const magic = () => Buffer.concat([u32(0x25609513), bytesOf(random, 24)]);
      return Buffer.concat([FLAGS, go('vda'), magic(), magic(), magic()]);
    },
  ],
  [
    'as one wrong bit',
    (random) => {
      const wrong = Buffer.from(right);
      const at = random() % wrong.length;
      wrong[at] = (wrong[at] ?? 0) ^ (1 << (random() % 8));
      return wrong;
    },
  ],
];
test.each(kinds)('%s', async (_, words) => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const client = await RawClient.connect(target.socketPath);
    client.send(words(randomOf(seed)));
    client.finish();
    await client.ended();
  }
});
