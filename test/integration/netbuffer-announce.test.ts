/** Announcing a promoted guest: neighbours believe it, and the bridge does. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { announcePresence } from '../../src/netbuffer/announce.js';
import {
  bridge,
  Capture,
  client,
  clientSpace,
  GuestNetwork,
  guest,
  inSpace,
  sh,
  tap,
  until,
} from './netbuffer-net.js';

describe('announce', () => {
  let network: GuestNetwork;

  beforeEach(async () => {
    network = await GuestNetwork.make();
  });
  afterEach(async () => {
    await network.close();
  });

  it('moves the MAC in the bridge and in what neighbours know, IPv4 and IPv6', async () => {
    const wrong = '52:54:00:99:99:99';
    await inSpace(
      clientSpace,
      `ip neigh replace ${guest.v4} lladdr ${wrong} dev eth0 nud stale
       ip neigh replace ${guest.v6} lladdr ${wrong} dev eth0 nud stale`,
    );
    await sh(`bridge fdb replace ${guest.mac} dev us3cl master dynamic`);
    const capture = await Capture.start(`ether src ${guest.mac}`);
    const sent = await announcePresence({
      tap,
      bridge,
      mac: guest.mac,
      addresses: [guest.v4, guest.v6],
    });
    expect(sent).toEqual({ frames: 3, ports: ['us3cl'] });
    await until('the client believes it', async () => {
      const known = await inSpace(clientSpace, 'ip neigh show dev eth0');
      return known.split(guest.mac).length === 3;
    });
    expect(await sh(`bridge fdb show br ${bridge}`)).toContain(`${guest.mac} dev ${tap}`);
    await until('RARP is sent too', () => capture.lines.some((line) => /Reverse/.test(line)));
    await capture.stop();
  });

  it('refuses what is no address', async () => {
    const presence = { tap, bridge, mac: guest.mac, addresses: [client.v4] };
    const code = 'HOLD_BAD_ANNOUNCEMENT';
    await expect(announcePresence({ ...presence, mac: 'x' })).rejects.toMatchObject({ code });
    for (const address of ['10.0.0', '::g', 'ff02::1', '']) {
      await expect(announcePresence({ ...presence, addresses: [address] })).rejects.toMatchObject({
        code,
      });
    }
  });
});
