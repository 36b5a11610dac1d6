/** Small epochs go by the lane; when it is cut, or goes dead, protection goes on, and nothing is lost or said too early. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import type { HostName } from '../../src/lab/layout.js';
import type { GuestRecord } from '../../src/lab/state.js';
import { Witness } from '../../src/lab/witness.js';
import {
  checksAdvance,
  eventually,
  killQemu,
  labPrefix,
  nothingForgotten,
  PATIENT,
  waitTakeover,
} from './lab-steps.js';

const PREFIX = labPrefix('ln');
const AGAIN_TIMEOUT_MS = 60_000;
const CHECKPOINTS = 20;

describe('the lane', () => {
  let lab: Lab;
  let pair: HostPair;
  let witness: Witness;
  let guest: GuestRecord;
  let home: HostName = 'a';

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    witness = await Witness.start(lab.client);
    const options = {
      memstamp_mib: 16,
      memstamp_threads: 1,
      memstamp_writes: 16,
      memstamp_tick_ms: 5,
    };
    guest = await lab.startGuest({ name: 'laned', run: ['memstamp', 'beacon'], options });
  });
  afterAll(async () => {
    await witness?.close();
    await Lab.tearDown(PREFIX);
  });

  const other = (): HostName => (home === 'a' ? 'b' : 'a');

  async function protectedByLane(): Promise<DomainStatus> {
    const is = ({ role, state, lane }: DomainStatus) =>
      role === 'primary' && state === 'protected' && lane === true;
    return pair.waitFor(home, guest.name, is, AGAIN_TIMEOUT_MS);
  }

  /** Where the primary's session connected it last, as its log says. */
  async function lanePort(): Promise<number | undefined> {
    const log = await readFile(
      `${lab.host(home).runDir}/run/understudy/sessions/${guest.name}.primary.log`,
      'utf8',
    );
    const opened = log
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { event?: string; open?: boolean; port?: number })
      .filter(({ event, open }) => event === 'lane' && open === true);
    return opened.at(-1)?.port;
  }

  /**
   * Commits without that lane, or by another. When it ended within an epoch, the two hosts begin anew (the primary may
   * call itself protected for a moment before it knows); or the other one has taken over, if it was not asked in time.
   */
  async function commitsWithout(port: number | undefined): Promise<void> {
    await eventually(async () => {
      for (const host of ['a', 'b'] as const) {
        const { role, state, lane } = await pair.agent(host).client.status(guest.name);
        if (role !== 'primary' || state !== 'protected') continue;
        home = host;
        if (lane === false || (await lanePort()) !== port) return await commits();
      }
      throw new Error(`${guest.name} is not protected without the lane at port ${port}`);
    }, AGAIN_TIMEOUT_MS);
  }

  async function commits(): Promise<void> {
    const { client } = pair.agent(home);
    for (let count = 0; count < CHECKPOINTS; count += 1) await client.checkpoint(guest.name, true);
  }

  async function takenOver(): Promise<void> {
    await checksAdvance(witness, guest.ip);
    await killQemu(pair, home, guest.name);
    home = other();
    await waitTakeover(pair, home, guest.name);
    expect((await checksAdvance(witness, guest.ip)).mismatches).toBe(0n);
    await nothingForgotten(witness);
  }

  it('carries small epochs from the first on', async () => {
    await pair.protect(guest.name, { recovery: 'automatic' });
    await protectedByLane();
    await commits();
    const { phases } = await pair.agent(home).client.epochs(guest.name);
    // By the channel each would have been a turn of the event loop.
    expect(phases.prove.p50).toBe(0);
    await takenOver();
  });

  it('is done without once it is cut', async () => {
    await protectedByLane();
    const port = await lanePort();
    await lab.host(home).exec('ss', ['-K', 'dport', '=', String(port)]);
    await commitsWithout(port);
    await takenOver();
  });

  it('gone dead within an epoch ends the protection, which begins anew', async () => {
    await protectedByLane();
    const port = await lanePort();
    const host = lab.host(home);
    const rule = (line: string) => host.exec('nft', line.split(' '));
    await rule('add table inet laneless');
    await rule('add chain inet laneless out { type filter hook output priority 0 ; }');
    await rule(`add rule inet laneless out tcp dport ${port} drop`);
    await commitsWithout(port);
    await protectedByLane();
    await rule('delete table inet laneless');
    await commits();
    await takenOver();
  });
});
