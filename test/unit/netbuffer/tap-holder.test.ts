/** The native tap holder's manners, without a network: arguments, closing. Needs root and tun. */
import { describe, expect, it } from 'vitest';
import { native } from '../../../src/native.js';

const options = {
  readTap: `ut-r${process.pid}`,
  bridgeTap: `ut-b${process.pid}`,
  epoch: 5,
  limitPackets: 10,
  limitBytes: 1_000_000,
  onWaiting: () => undefined,
  onFilling: () => undefined,
  onTrouble: () => undefined,
};
const code = (code: string) => expect.objectContaining({ code });

describe('native tap holder', () => {
  it.each([
    { epoch: -1 },
    { epoch: 1.5 },
    { epoch: Number.MAX_VALUE },
    { limitBytes: Number.NaN },
    { readTap: '' },
    { bridgeTap: 'a-name-that-is-too-long' },
  ])('refuses %j and leaves no interface', async (wrong) => {
    expect(() => native.net.openTapHolder({ ...options, ...wrong })).toThrow(code('BAD_ARGUMENT'));
    await native.net.openTapHolder(options).close();
  });

  it('never takes over an interface that exists', async () => {
    const holder = native.net.openTapHolder(options);
    expect(() => native.net.openTapHolder(options)).toThrow(code('EBUSY'));
    await holder.close();
  });

  it('moves its open epoch only forward', async () => {
    const holder = native.net.openTapHolder(options);
    holder.closeEpoch(7);
    holder.closeEpoch(6);
    expect(holder.stats()).toMatchObject({ openEpoch: 8, heldPackets: 0, oldestHeldNs: 0n });
    expect(await holder.release(7)).toBe(0);
    expect(() => holder.release(8)).toThrow(code('HOLD_EPOCH_OPEN'));
    await holder.close();
  });

  it.each([-1n, 2n ** 64n, 5, undefined])('refuses the deadline %s', async (deadline) => {
    const holder = native.net.openTapHolder(options);
    expect(() => holder.passUntil(deadline as bigint)).toThrow(code('BAD_ARGUMENT'));
    await holder.close();
  });

  it('watches only a tap that it was told of, and that is held', async () => {
    const untold = native.net.openTapHolder(options);
    expect(() => untold.watchTap(true)).toThrow(code('ENODEV'));
    untold.watchTap(false);
    await untold.close();
    const holder = native.net.openTapHolder({ ...options, tap: 'lo' });
    expect(() => holder.watchTap(true)).toThrow(code('HOLD_LOST'));
    await holder.close();
  });

  it('throws on every call after close', async () => {
    const holder = native.net.openTapHolder(options);
    const { boundary } = holder;
    expect(boundary).toBeDefined();
    await holder.close();
    const calls = [
      () => holder.boundary,
      () => holder.closeEpoch(9),
      () => holder.release(1),
      () => holder.dropAll(),
      () => holder.setPassing(true),
      () => holder.passUntil(1n),
      () => holder.watchTap(true),
      () => holder.stats(),
      () => holder.addresses(),
      () => holder.close(),
    ];
    for (const call of calls) expect(call).toThrow(code('HOLD_CLOSED'));
  });
});

describe('native announce', () => {
  const good = { ifname: 'lo', mac: '52:54:00:00:00:01', addresses: ['10.0.0.1', 'fd00::1'] };
  it.each([
    { mac: '52:54:00:00:00' },
    { mac: '52:54:00:00:00:0g' },
    { mac: '01:00:5e:00:00:01' },
    { addresses: ['10.0.0.256'] },
    { addresses: ['ff02::1'] },
    { addresses: Array.from({ length: 257 }, () => '10.0.0.1') },
  ])('refuses %j', (wrong) => {
    expect(() => native.net.announce({ ...good, ...wrong })).toThrow(code('BAD_ARGUMENT'));
  });
});
