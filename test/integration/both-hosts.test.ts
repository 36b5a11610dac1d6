/**
 * Both hosts of a protected domain lose power at once. Each has disks that are whole at an epoch; an
 * operator is told whose are newer, and the guest boots from them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fsck } from '../../src/lab/disk-check.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { diskChecksAdvance, killQemu, labPrefix, PATIENT, waitTakeover } from './lab-steps.js';

const PREFIX = labPrefix('bh');

describe('when both hosts lose power at once', () => {
  let lab: Lab;
  let pair: HostPair;
  let guest: GuestRecord;
  let witness: Witness;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    witness = await Witness.start(lab.client);
    guest = await lab.startGuest({
      name: 'both',
      define: true,
      run: ['redis', 'diskstamp'],
      options: { data: 'vda', redis_disk: 1, diskstamp: 'vdb', diskstamp_mib: 16 },
      disks: [
        { name: 'vda', format: 'raw', mib: 64, filesystem: 'ext4' },
        { name: 'vdb', format: 'raw', mib: 32 },
      ],
    });
  });
  afterAll(async () => {
    await witness.close();
    await Lab.tearDown(PREFIX);
  });

  async function powerFailure(): Promise<void> {
    await Promise.all([lab.killHost('a'), lab.killHost('b')]);
    await Promise.all([lab.bootHost('a'), lab.bootHost('b')]);
    pair = await HostPair.start(lab, PATIENT);
  }

  const status = (host: 'a' | 'b') => pair.agent(host).client.status(guest.name);

  /** Boots the domain on `host` from what is on its disks, and looks whether all of it works. */
  async function boots(host: 'a' | 'b'): Promise<void> {
    // Recovery is manual here: the operator decides that the other host does not run it.
    await pair.agent(host).client.unprotect(guest.name, true);
    await lab.bootGuest(guest.name, host);
    expect((await diskChecksAdvance(witness, guest.ip)).mismatches).toBe(0n);
    await lab.host(host).virsh('destroy', guest.name);
  }

  const replicaPath = (path: string): string => `${lab.host('b').runDir}${path}`;

  it('says that the primary’s disks are the newer, and they boot; the replica’s are whole too', async () => {
    await pair.protect(guest.name);
    await diskChecksAdvance(witness, guest.ip);
    await powerFailure();

    const [a, b] = await Promise.all([status('a'), status('b')]);
    expect(a).toMatchObject({ state: 'unprotected', role: 'primary', copies: { newer: 'here' } });
    expect(b).toMatchObject({ role: 'backup', copies: { newer: 'there' } });
    expect(b.copies?.here.record).toMatchObject({ state: 'consistent', position: { term: 1 } });
    expect(b.copies?.here.record.position?.epoch).toBeGreaterThan(1);

    for (const { path, name } of b.disks ?? []) {
      if (name === 'vda') expect(await fsck(replicaPath(path))).toMatchObject({ clean: true });
    }
    expect(await fsck(`${lab.host('a').runDir}${guest.disks[0]?.path}`)).toMatchObject({
      clean: true,
    });
    await boots('a');
  });

  it('says that the promoted host’s disks are the newer, and they boot there', async () => {
    await lab.bootGuest(guest.name);
    await pair.protect(guest.name);
    await killQemu(pair, 'a', guest.name);
    await waitTakeover(pair, 'b', guest.name);
    await diskChecksAdvance(witness, guest.ip);
    await powerFailure();

    const [a, b] = await Promise.all([status('a'), status('b')]);
    expect(b).toMatchObject({ role: 'primary', term: 2, copies: { newer: 'here' } });
    expect(a.copies?.newer).toBe('there');
    await boots('b');
  });
});
