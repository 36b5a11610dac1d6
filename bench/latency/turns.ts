/** What the client sees in every mode, in turns over some rounds: noise of the machine comes to all modes alike. */
import type { EpochReport } from '../../src/agent/primary/epoch-report.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import { inTurns } from '../disk/turns.js';
import type { BenchRun } from '../harness.js';
import type { ClosedLoop } from './client-lines.js';
import { GuestInModes } from './guest.js';
import { byMode, MODES, type Mode } from './modes.js';
import type { Stage } from './stage.js';

/** What one turn of one mode gave. */
export interface Turn {
  /** Round trips, µs. */
  ping: number[];
  redis1: ClosedLoop;
  redis8: ClosedLoop;
  /** MB/s */
  bulk: number;
  /** Of the epochs under these loads, Redis with one client last; none without protection. */
  epochs?: EpochReport;
}

/** By round. */
export type Turns = Record<Mode, Turn[]>;

interface Amounts {
  rounds: number;
  pings: number;
  redis1Seconds: number;
  redis8Seconds: number;
  bulkSeconds: number;
}

const FULL: Amounts = { rounds: 4, pings: 50, redis1Seconds: 2, redis8Seconds: 1, bulkSeconds: 1 };
const QUICK: Amounts = {
  ...{ rounds: 2, pings: 15, redis1Seconds: 1, redis8Seconds: 1, bulkSeconds: 1 },
};
/** Echoes between the two hosts, for the floor. */
const HOST_PINGS = 20;

export interface Measured {
  turns: Turns;
  /** Between the two hosts, µs. */
  hostRoundTripsUs: number[];
}

export async function turnsOf(stage: Stage, run: BenchRun): Promise<Measured> {
  const { pair, client } = stage;
  const amounts = run.quick ? QUICK : FULL;
  const guest = await GuestInModes.startMoved(pair, { name: 'latency', run: ['redis'] });
  const turns: Turns = byMode(() => []);
  for (let round = 0; round < amounts.rounds; round += 1) {
    for (const mode of inTurns(MODES, round)) {
      run.say(`latency: round ${round + 1} of ${amounts.rounds}, ${mode}`);
      await guest.enter(mode);
      turns[mode].push(await oneTurn(stage, guest, { mode, ...amounts }));
    }
  }
  await guest.destroy();
  const between = pair.lab.host('a');
  const hostRoundTripsUs = await client.ping(HOST_ADDRESSES.b.repl, HOST_PINGS, between);
  return { turns, hostRoundTripsUs };
}

async function oneTurn(
  { pair, client }: Stage,
  { record: { ip, name }, home }: GuestInModes,
  { mode, pings, redis1Seconds, redis8Seconds, bulkSeconds }: Amounts & { mode: Mode },
): Promise<Turn> {
  const ping = await client.ping(ip, pings);
  const redis8 = await client.redis(ip, 8, redis8Seconds);
  const redis1 = await client.redis(ip, 1, redis1Seconds);
  const epochs = mode === 'unprotected' ? undefined : await pair.agent(home).client.epochs(name);
  const bulk = await client.bulk(ip, bulkSeconds);
  return { ping, redis1, redis8, bulk, ...(epochs === undefined ? {} : { epochs }) };
}
