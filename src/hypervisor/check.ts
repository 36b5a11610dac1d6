/** `understudy check`: asks libvirt, QEMU and this host, and lets preflight.ts judge. Nothing is changed. */
import { existsSync } from 'node:fs';
import { messageOf, UnderstudyError } from '../errors.js';
import { native } from '../native.js';
import { type Finding, type Note, note, type Refusal, refusal } from './check-codes.js';
import type { ProtectedDomain } from './domain.js';
import { readDomainXml } from './domain-xml.js';
import { hasProcess } from './inspect.js';
import { leftoverMirrors } from './leftover-jobs.js';
import { INSPECT_TIMEOUT_MS } from './limits.js';
import { isMirrorOf } from './mirror-state.js';
import { readReply } from './monitor.js';
import { judgeDefinition, judgeRuntime, type RuntimeFacts, soundParts } from './preflight.js';
import { balloonReply, capabilitiesReply, jobsReply, migrateReply } from './qmp-replies.js';
import { ramMap } from './ram-map.js';

/** Where libvirt looks for it; `deploy/libvirt` has it. */
const START_HOOK = '/etc/libvirt/hooks/qemu.d/understudy';

export interface CheckReport {
  domain: string;
  protectable: boolean;
  /** Every reason against it, not only the first. */
  refusals: Refusal[];
  warnings: Note[];
  /** What is as it must be. */
  found: Finding[];
}

/** Block copies to sockets below `runDir` are our own. @throws only when libvirt itself cannot be asked */
export async function checkDomain(domain: ProtectedDomain, runDir?: string): Promise<CheckReport> {
  const state = await domain.state();
  const definition = readDomainXml(await domain.liveXml());
  const ours = runDir === undefined ? [] : leftoverMirrors(definition.disks, runDir);
  const host = await judgeHost();
  const verdicts = [{ refusals: host, notes: [] as Note[] }];
  const found = soundParts(definition);
  if (host.length === 0) {
    found.push({ what: 'kernel', detail: 'writes to guest memory can be tracked' });
  }
  const fromXml = judgeDefinition(definition);
  if (hasProcess(state)) {
    const runtime = judgeRuntime(definition, await runtimeFacts(domain, ours));
    verdicts.push(fromXml, runtime);
    if (runtime.refusals.length === 0) {
      const detail = 'can be migrated; no job, snapshot or migration is under way';
      found.push({ what: 'QEMU', detail });
    }
  } else {
    // Taps and expanded CPU models exist only while running: those refusals would be false.
    const onlyLive = new Set(['CHECK_NIC_NOT_ON_BRIDGE', 'CHECK_CPU_NOT_NAMED']);
    const refusals = fromXml.refusals.filter(({ code }) => !onlyLive.has(code));
    refusals.unshift(refusal('CHECK_NOT_RUNNING', `${domain.name} is ${state}`));
    verdicts.push({ refusals, notes: fromXml.notes });
  }
  const refusals = verdicts.flatMap((verdict) => verdict.refusals);
  const warnings = verdicts.flatMap((verdict) => verdict.notes);
  if (!existsSync(START_HOOK)) {
    warnings.push(note('CHECK_NOTE_NO_HOOK', `there is no ${START_HOOK}`));
  }
  if (state === 'paused')
    warnings.push(note('CHECK_NOTE_GUEST_PAUSED', `${domain.name} is paused`));
  return { domain: domain.name, protectable: refusals.length === 0, refusals, warnings, found };
}

/** What speaks against this host, whatever the domain. */
export async function judgeHost(): Promise<Refusal[]> {
  const refusals: Refusal[] = [];
  if (process.getuid?.() !== 0) {
    refusals.push(refusal('CHECK_NOT_ROOT', 'understudy does not run as root'));
  }
  const test = await native.memory.selfTest();
  if (!test.ok) {
    const { failedStep = 'self-test', reason = 'failed' } = test;
    // The reason of a failed system call begins with its name already.
    const why = reason.startsWith(failedStep) ? reason : `${failedStep}: ${reason}`;
    refusals.push(refusal('CHECK_KERNEL', `write tracking does not work here (${why})`));
  }
  return refusals;
}

/** `ours`: disks whose block copy is our own. */
async function runtimeFacts(
  domain: ProtectedDomain,
  ours: readonly string[],
): Promise<RuntimeFacts> {
  const migration = await ask(domain, 'query-migrate', migrateReply);
  const capabilities = await ask(domain, 'query-migrate-capabilities', capabilitiesReply);
  const jobs = await ask(domain, 'query-jobs', jobsReply);
  const balloonActualBytes = await balloonBytes(domain);
  return {
    blockedReasons: migration['blocked-reasons'] ?? [],
    migrationStatus: migration.status ?? '',
    capabilities: capabilities.filter(({ state }) => state).map(({ capability }) => capability),
    jobs: jobs.filter(
      (job) =>
        job.status !== 'concluded' &&
        job.status !== 'null' &&
        !ours.some((disk) => isMirrorOf(disk, job.id)),
    ),
    ...(balloonActualBytes === undefined ? {} : { balloonActualBytes }),
    ...(await ramFacts(domain)),
  };
}

async function ramFacts(
  domain: ProtectedDomain,
): Promise<Pick<RuntimeFacts, 'notCarried' | 'ramMapProblem'>> {
  try {
    const { notCarried } = await ramMap(domain);
    return { notCarried: notCarried.map(({ name }) => name) };
  } catch (error) {
    if (error instanceof UnderstudyError) {
      return { notCarried: [], ramMapProblem: messageOf(error) };
    }
    throw error;
  }
}

/** Undefined when the domain has no balloon: QEMU answers "DeviceNotActive". */
async function balloonBytes(domain: ProtectedDomain): Promise<number | undefined> {
  try {
    return (await ask(domain, 'query-balloon', balloonReply)).actual;
  } catch (error) {
    const refused = error instanceof UnderstudyError && error.code === 'HYP_QMP_FAILED';
    if (refused) return undefined;
    throw error;
  }
}

async function ask<T>(
  domain: ProtectedDomain,
  command: string,
  schema: Parameters<typeof readReply<T>>[0],
): Promise<T> {
  const reply = await domain.qmp(command, undefined, INSPECT_TIMEOUT_MS);
  return readReply(schema, reply, { operation: command, domain: domain.name });
}
