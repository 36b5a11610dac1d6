/** The `holder` backend: the contract, and what only it must do (crashes, port settings). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holderBackend, holdOutput, restoreTap } from '../../src/netbuffer/holder.js';
import { committedEpoch } from '../../src/netbuffer/output-hold.js';
import { readLink } from '../../src/netbuffer/tap-state.js';
import { outputHoldContract } from './netbuffer-contract.js';
import {
  bridge,
  Capture,
  carrierChanges,
  client,
  clientSpace,
  GuestNetwork,
  guest,
  guestSpace,
  type Peer,
  received,
  sh,
  tap,
  until,
} from './netbuffer-net.js';

outputHoldContract('holder', holderBackend);

const children: ChildProcess[] = [];

/** A process that holds the tap, built from the same sources (`npm run build`). */
async function holderProcess(): Promise<{ kill: () => Promise<void> }> {
  const built = new URL('../../dist/netbuffer/holder.js', import.meta.url).href;
  const script = `
    const { holdOutput } = await import(${JSON.stringify(built)});
    globalThis.hold = await holdOutput({ tap: '${tap}', bridge: '${bridge}', epoch: 1,
      onWaiting: () => undefined, onTrouble: () => undefined });
    console.log('holding');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the holder process ended'))),
  ]);
  return {
    kill: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

describe('output hold: holder after a crash', () => {
  let network: GuestNetwork;
  let sender: Peer;
  let receiver: Peer;
  const burst = async (from: number, through: number) => {
    await sender.ask('burst', { to: client.v4, from, through });
    await network.sent();
  };
  const seen = () => received(receiver);
  const gone = () =>
    until('its interfaces vanish', async () => !(await sh('ip link')).includes('usr-'));
  const hold = () =>
    holdOutput({ tap, bridge, epoch: 1, onWaiting: () => undefined, onTrouble: () => undefined });

  beforeEach(async () => {
    network = await GuestNetwork.make();
    sender = await network.peer(guestSpace, 'sender');
    receiver = await network.peer(clientSpace, 'receiver');
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await network.close();
  });

  it('leaks nothing after kill -9, and gives the tap back when asked', async () => {
    const before = await carrierChanges();
    const holder = await holderProcess();
    const capture = await Capture.start(`ether src ${guest.mac}`);
    await burst(1, 10);
    await expect(restoreTap({ tap, bridge })).rejects.toMatchObject({ code: 'HOLD_STILL_HELD' });
    await holder.kill();
    await burst(11, 20);
    await gone();
    await burst(21, 30);
    expect(await seen()).toEqual([]);
    expect(capture.lines).toEqual([]);

    await restoreTap({ tap, bridge });
    await restoreTap({ tap, bridge });
    await burst(31, 40);
    await until('the guest is heard', async () => (await seen()).length === 10);
    expect((await seen())[0]).toBe(31);
    expect(await carrierChanges()).toBe(before);
    await capture.stop();
  });

  it('is taken over by a second hold with nothing leaking in between', async () => {
    for (let crash = 0; crash < 3; crash++) {
      const holder = await holderProcess();
      await holder.kill();
      await gone();
    }
    const capture = await Capture.start(`ether src ${guest.mac}`);
    await sender.ask('stream', { to: client.v4 });
    const open = await hold();
    await until('packets are held', () => open.stats().heldPackets > 10);
    await sender.ask('stop');
    expect(capture.lines).toEqual([]);
    open.closeEpoch(1);
    expect(await open.release(committedEpoch(1))).toBeGreaterThan(10);
    await open.close({ release: true });
    expect(await sh(`tc filter show dev ${tap} ingress`)).toBe('');
    await capture.stop();
  });

  it('gives back port settings and alias, also after a crash', async () => {
    await sh(`
      ip link set ${tap} alias 'rack 7, port 3'
      ip link set ${tap} type bridge_slave isolated on learning off mcast_router 2`);
    const before = await readLink(tap);
    await (await holderProcess()).kill();
    await gone();
    const open = await hold();
    expect((await readLink('usb-us3tap')).portSettings).toEqual(before.portSettings);
    await open.close({ release: false });
    expect(await readLink(tap)).toEqual(before);
  });

  it('refuses a tap that it cannot hold', async () => {
    const open = await hold();
    await expect(hold()).rejects.toMatchObject({ code: 'HOLD_STILL_HELD' });
    await open.close({ release: false });
    await sh(`ip link set ${tap} nomaster`);
    await expect(hold()).rejects.toMatchObject({ code: 'HOLD_NOT_ON_BRIDGE' });
    await sh(`ip link set ${tap} master ${bridge}`);
    await sh(
      `tc filter add dev ${tap} ingress protocol ip pref 1 u32 match u32 0 0 action mirred egress redirect dev ${bridge}`,
    );
    await expect(hold()).rejects.toMatchObject({ code: 'HOLD_TAP_BUSY' });
    await expect(
      holdOutput({
        tap: 'us3none',
        bridge,
        epoch: 1,
        onWaiting: () => undefined,
        onTrouble: () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'HOLD_NO_INTERFACE' });
  });
});
