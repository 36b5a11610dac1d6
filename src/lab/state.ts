/** The laboratory's record in its run directory, from which another process can go on with it. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { labError } from './errors.js';
import { stateFile } from './layout.js';
import { startTicks } from './processes.js';

const diskRecord = z.object({
  /** The target: "vda". */
  name: z.string(),
  /** Inside the host; from outside it lies under the host's `runDir`. */
  path: z.string(),
  format: z.enum(['raw', 'qcow2']),
  /** What the guest sees. */
  bytes: z.number().int(),
});

const guestRecord = z.object({
  name: z.string(),
  uuid: z.string(),
  host: z.enum(['a', 'b']),
  ip: z.string(),
  ip6: z.string(),
  mac: z.string(),
  consolePath: z.string(),
  disks: z.array(diskRecord),
});

const labState = z.object({
  version: z.literal(1),
  prefix: z.string(),
  /** The process that answers for the laboratory. */
  owner: z.object({ pid: z.number().int(), startTicks: z.string() }),
  guests: z.array(guestRecord),
});

export type DiskRecord = z.infer<typeof diskRecord>;
export type GuestRecord = z.infer<typeof guestRecord>;
export type LabState = z.infer<typeof labState>;

export async function freshState(prefix: string): Promise<LabState> {
  const ticks = (await startTicks(process.pid)) ?? '';
  return { version: 1, prefix, owner: { pid: process.pid, startTicks: ticks }, guests: [] };
}

/** Whether the process that made the record still lives. */
export async function ownerLives(state: LabState): Promise<boolean> {
  return (await startTicks(state.owner.pid)) === state.owner.startTicks;
}

export async function writeState(state: LabState): Promise<void> {
  const path = stateFile(state.prefix);
  await writeFile(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`);
  await rename(`${path}.new`, path);
}

/** @throws LAB_NOT_UP */
export async function readState(prefix: string): Promise<LabState> {
  const path = stateFile(prefix);
  try {
    return labState.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw labError('LAB_NOT_UP', `cannot read ${path}`, { cause: error });
  }
}
