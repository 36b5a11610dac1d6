/** A guest that has changed hosts has a monitor for its sessions alone, and is paused through it. */
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import { killQemu, labPrefix, nothingForgotten, PATIENT } from './lab-steps.js';

const PREFIX = labPrefix('om');
const AGAIN_TIMEOUT_MS = 60_000;
/** QEMU tries once a second. */
const CONNECTED_TIMEOUT_MS = 10_000;
const CHECKPOINTS = 20;

describe('a guest with a monitor for us alone', () => {
  let lab: Lab;
  let pair: HostPair;
  let witness: Witness;
  let guest: GuestRecord;

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    witness = await Witness.start(lab.client);
    guest = await lab.startGuest({ name: 'own monitor', define: true, run: ['beacon'] });
  });
  afterAll(async () => {
    await witness.close();
    await Lab.tearDown(PREFIX);
  });

  const pausedThrough = (host: HostName, through: string): Promise<DomainStatus> =>
    pair.waitFor(
      host,
      guest.name,
      ({ role, state, pauseThrough }) =>
        role === 'primary' && state === 'protected' && pauseThrough === through,
      AGAIN_TIMEOUT_MS,
    );
  const checkpoints = async (host: HostName): Promise<number[]> => {
    const { client } = pair.agent(host);
    const epochs: number[] = [];
    for (let count = 0; count < CHECKPOINTS; count += 1) {
      const { epoch = 0 } = await client.checkpoint(guest.name, true);
      epochs.push(epoch);
    }
    return epochs;
  };

  it('is paused through libvirt where it was started', async () => {
    await pair.protect(guest.name, { recovery: 'automatic' });
    expect((await pair.agent('a').client.status(guest.name)).pauseThrough).toBe('libvirt');
  });

  it('is paused past libvirt after a switchover, and libvirt knows its state all the same', async () => {
    await pair.agent('a').client.switchover(guest.name);
    await pausedThrough('b', 'own-monitor');
    const epochs = await checkpoints('b');
    expect(epochs).toEqual([...epochs].sort((one, other) => one - other));
    expect(new Set(epochs).size).toBe(CHECKPOINTS);
    const { pauseFailures } = (await pair.agent('b').client.status(guest.name)).epochs ?? {};
    expect(pauseFailures).toBe(0);
    // It may be asked inside a pause.
    const state = async () => (await lab.host('b').virsh('domstate', guest.name)).trim();
    await expect.poll(state).toBe('running');
  });

  it('lets nobody else in', async () => {
    const directory = `${lab.host('b').runDir}/run/understudy/monitor`;
    const [socket] = await readdir(directory);
    const stranger = connect(`${directory}/${socket}`);
    stranger.resume();
    await new Promise((resolve) => stranger.once('close', resolve));
    await pausedThrough('b', 'own-monitor');
  });

  it(
    'comes back to the next session',
    async () => {
      const { client } = pair.agent('b');
      await client.pause(guest.name, false);
      await client.resume(guest.name);
      await pausedThrough('b', 'own-monitor');
      await checkpoints('b');
    },
    CONNECTED_TIMEOUT_MS + AGAIN_TIMEOUT_MS,
  );

  it('leaves nothing of it in the definition that stays', async () => {
    const kept = await lab.host('b').virsh('dumpxml', '--inactive', guest.name);
    expect(kept).not.toContain('id=understudy');
    expect(await lab.host('b').virsh('dumpxml', guest.name)).toContain('id=understudy');
  });

  it('goes on where it was when its host dies, and has one there', async () => {
    await killQemu(pair, 'b', guest.name);
    await pausedThrough('a', 'own-monitor');
    await checkpoints('a');
    await nothingForgotten(witness);
  });
});
