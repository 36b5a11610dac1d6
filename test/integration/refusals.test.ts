/** Bad input: what cannot be protected, and peers that say what they should not. Each gets a code and a remedy. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AGENT_PORT_DEFAULT } from '../../src/agent/limits.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { eventually, labPrefix, PATIENT } from './lab-steps.js';
import { Peer, prepareMessage } from './peer.js';

const PREFIX = labPrefix('re');
const BIN = fileURLToPath(new URL('../../bin/', import.meta.url));

describe('refusals', () => {
  let lab: Lab;
  let pair: HostPair;
  let guest: GuestRecord;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    guest = await lab.startGuest({ name: 'plain', run: ['redis'] });
  });
  afterAll(() => Lab.tearDown(PREFIX));

  /** A domain like `plain` with `change` made to its XML, defined or running on host a. */
  async function variant(
    name: string,
    change: (xml: string) => string,
    how: 'define' | 'create',
  ): Promise<void> {
    const host = lab.host('a');
    const xml = (await host.virsh('dumpxml', guest.name, '--inactive'))
      .replace(/<name>.*<\/name>/, `<name>${name}</name>`)
      .replace(/<uuid>.*<\/uuid>/, '')
      .replace(/<mac address=.*\/>/, '')
      .replaceAll(`${guest.name}-console`, `${name}-console`);
    const path = `${host.runDir}/run/${name}.xml`;
    await writeFile(path, change(xml));
    await host.virsh(how, path);
  }

  const refused = (code: string) =>
    expect.objectContaining({ code, remedy: expect.stringMatching(/\S/) });

  it('an unknown domain', async () => {
    await expect(pair.protect('nobody')).rejects.toEqual(refused('LIBVIRT_NO_DOMAIN'));
  });

  it('a domain that does not run', async () => {
    await variant('still', (xml) => xml, 'define');
    const report = await pair.agent('a').client.check('still');
    expect(report.protectable).toBe(false);
    expect(report.refusals.map(({ code }) => code)).toEqual(['CHECK_NOT_RUNNING']);
    await expect(pair.protect('still')).rejects.toEqual(refused('AGENT_REFUSED_BY_CHECK'));
  });

  it('a disk that other machines may write', async () => {
    const disk = `${lab.host('a').runDir}/run/disk.raw`;
    await writeFile(disk, Buffer.alloc(1024 ** 2));
    const devices =
      `<disk type='file' device='disk'><driver name='qemu' type='raw'/>` +
      `<source file='${disk}'/><target dev='vda' bus='virtio'/><shareable/></disk>`;
    await variant('disky', (xml) => xml.replace('</devices>', `${devices}</devices>`), 'create');
    const report = await pair.agent('a').client.check('disky');
    expect(report.refusals).toContainEqual(refused('CHECK_SHARED_DISK'));
    await expect(pair.protect('disky')).rejects.toEqual(refused('AGENT_REFUSED_BY_CHECK'));
    await lab.host('a').virsh('destroy', 'disky');
  });

  it('a domain that is protected already', async () => {
    await pair.protect(guest.name);
    await expect(pair.protect(guest.name)).rejects.toEqual(refused('AGENT_ALREADY_PROTECTED'));
    await pair.agent('a').client.unprotect(guest.name, false);
  });

  it('a backup where nobody listens', async () => {
    const { client } = pair.agent('a');
    await client.protect(guest.name, { backup: { host: HOST_ADDRESSES.b.repl, port: 9 } });
    const status = await pair.waitFor('a', guest.name, ({ state }) => state !== 'syncing', 60_000);
    expect(status.state).toBe('unprotected');
    expect(status.reason).toEqual(refused('WIRE_UNREACHABLE'));
    expect(await lab.host('a').virsh('domstate', guest.name)).toContain('running');
  });

  it('a planted fault where the agent does not allow it, or that does not exist', async () => {
    await expect(pair.protect(guest.name, { faults: ['nonsense'] })).rejects.toEqual(
      refused('AGENT_BAD_REQUEST'),
    );
  });

  it('an agent that is not root', async () => {
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
    await expect(lab.host('a').exec('setpriv', [...asNobody, `${BIN}understudyd`])).rejects.toThrow(
      /AGENT_NOT_ROOT/,
    );
  });

  describe('of a peer', () => {
    const host = HOST_ADDRESSES.b.repl;
    const prepare = prepareMessage('plain');
    let peer: Peer;
    beforeAll(() => {
      peer = new Peer(lab.host('a'), host);
    });

    it('that speaks another version', async () => {
      const hello = Peer.message('hello', { ...prepare, versions: [99] });
      const [reply] = await peer.talk(AGENT_PORT_DEFAULT, [hello]);
      expect(reply).toMatchObject({
        type: 'refuse',
        text: expect.stringContaining('WIRE_VERSION'),
      });
    });

    it('that sends no frames, an oversized one, or another message than HELLO', async () => {
      expect(await peer.raw(AGENT_PORT_DEFAULT, Buffer.alloc(64, 0x47))).toEqual([
        { closed: true },
      ]);
      const oversized = Buffer.from(`5553647901000000${'00'.repeat(12)}ffffff7f`, 'hex');
      expect(await peer.raw(AGENT_PORT_DEFAULT, oversized)).toEqual([{ closed: true }]);
      const [reply] = await peer.talk(AGENT_PORT_DEFAULT, [{ type: 'committed', epoch: 1 }]);
      expect(reply).toMatchObject({
        type: 'refuse',
        text: expect.stringContaining('WIRE_UNEXPECTED'),
      });
    });

    it('whose message has the wrong shape', async () => {
      const [reply] = await peer.talk(AGENT_PORT_DEFAULT, [
        Peer.message('hello', { ...prepare, domain: 7 }),
      ]);
      expect(reply).toMatchObject({
        type: 'refuse',
        text: expect.stringContaining('WIRE_BAD_MESSAGE'),
      });
    });

    it('whose guest this host cannot stand in for, or has no memory for', async () => {
      const hello = await peer.helloFor(lab, guest);
      const another = [
        ['machine', { machine: 'pc-i440fx-2.5' }],
        ['QEMU', { qemuVersion: '1.0.0' }],
        ['CPU', { cpuXml: '<cpu mode="custom" match="exact"><model>Nehalem</model></cpu>' }],
      ] as const;
      for (const [what, change] of another) {
        const { port, token } = await peer.prepare(AGENT_PORT_DEFAULT, guest.name);
        const changed = { ...hello, token, identity: { ...hello.identity, ...change } };
        const [reply] = await peer.talk(port, [Peer.message('hello', changed)], 15_000);
        expect(reply?.text, what).toContain('AGENT_BACKUP_DIFFERS');
      }
      const huge = [{ name: 'pc.ram', bytes: 2 ** 42, replicaOffset: 0 }];
      const { port, token } = await peer.prepare(AGENT_PORT_DEFAULT, guest.name);
      const changed = { ...hello, token, identity: { ...hello.identity, ramBlocks: huge } };
      const [reply] = await peer.talk(port, [Peer.message('hello', changed)], 15_000);
      expect(reply?.text).toContain('AGENT_NO_MEMORY');
    });

    it('that sends a truncated device state, a malformed chunk or a wrong digest: nothing is committed', async () => {
      const hello = await peer.helloFor(lab, guest);
      const checkpoint = { digest: '0'.repeat(32), chunks: 0, disks: [], addresses: [] };
      const cases = [
        ['HYP_DEVICE_STATE_BAD', { type: 'deviceState', epoch: 1, payload: Buffer.from('QEVM') }],
        ['EPOCH_CHUNK_MALFORMED', { type: 'chunk', epoch: 1, payload: Buffer.alloc(4_096, 1) }],
        ['EPOCH_NO_DEVICE_STATE', Peer.message('checkpoint', checkpoint, 1)],
      ] as const;
      for (const [code, frame] of cases) {
        const { port, token } = await peer.prepare(AGENT_PORT_DEFAULT, guest.name);
        const first = Peer.message('hello', { ...hello, token });
        const replies = await peer.talk(port, [first, frame], 15_000);
        expect(
          replies.map(({ type }) => type),
          code,
        ).not.toContain('committed');
        const log = `${lab.host('b').runDir}/run/understudy/sessions/${guest.name}.backup.log`;
        await eventually(async () => expect(await readFile(log, 'utf8')).toContain(code));
        // The standby goes with its session.
        await eventually(async () =>
          expect(await lab.host('b').virsh('list', '--name')).not.toContain(guest.name),
        );
      }
    });
  });
});
