/** `understudy-chaos`: puts faults into a pair of hosts and says whether a client noticed. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import yargs from 'yargs';
import { VERSION } from '../agent/version.js';
import { printError, printJson, printLine } from '../cli/output.js';
import { UnderstudyError } from '../errors.js';
import { chaosError } from './errors.js';
import { FAULT_KINDS, FAULT_NAMES, type FaultName, noteOf, type Step } from './faults.js';
import { GROUP_DEFAULT } from './inventory.js';
import { readInventory } from './inventory-file.js';
import { inventoryStage } from './inventory-stage.js';
import { labStage } from './lab-stage.js';
import { FAULTS_MAX, SCHEDULE_BYTES_MAX } from './limits.js';
import { htmlReport } from './report.js';
import { runChaos } from './run.js';
import { scheduleFrom } from './schedule.js';
import { parseSchedule } from './schedule-file.js';
import type { Stage } from './stage.js';
import { type ChaosVerdict, verdictOf } from './verdict.js';

/** The documented exit codes of `understudy-chaos`. */
export const CHAOS_EXIT = {
  /** Nothing was lost, and the domain was protected again after each fault without help. */
  ok: 0,
  /** The verdict is that something was broken, or the run could not be done. */
  failed: 1,
  usage: 2,
} as const;

const LAB_PREFIX = 'uschaos';
const REDIS_PORT = 6379;

function parser(argv: readonly string[]) {
  return yargs(argv)
    .scriptName('understudy-chaos')
    .usage(
      '$0 --lab|--inventory FILE [options]\n\n' +
        'Puts faults into a pair of hosts while a client writes, and says whether anything was lost.',
    )
    .version(VERSION)
    .option('lab', { type: 'boolean', default: false, describe: 'two hosts on this machine' })
    .option('inventory', { type: 'string', describe: 'an Ansible inventory: two hosts over ssh' })
    .option('group', { type: 'string', default: GROUP_DEFAULT, describe: 'the two hosts in it' })
    .option('domain', { type: 'string', describe: 'the protected domain (with --inventory)' })
    .option('redis', {
      type: 'string',
      describe: 'HOST[:PORT] of the Redis in that domain, which the client writes to',
    })
    .option('workload', {
      type: 'boolean',
      default: true,
      describe: 'a client that writes (--no-workload: only states are judged)',
    })
    .option('crash', {
      choices: ['b', 'c'] as const,
      default: 'b' as const,
      describe: 'how a real host crashes: sysrq b (reboots) or c (panics)',
    })
    .option('seed', { type: 'number', describe: 'of the schedule; default one of its own' })
    .option('faults', { type: 'number', default: 10, describe: 'how many' })
    .option('only', {
      type: 'string',
      array: true,
      choices: FAULT_NAMES,
      describe: 'kinds to choose from',
    })
    .option('schedule', { type: 'string', describe: 'a YAML file in place of --seed' })
    .option('dry-run', { type: 'boolean', default: false, describe: 'print the plan and end' })
    .option('list', { type: 'boolean', default: false, describe: 'print every kind of fault' })
    .option('keep-going', {
      type: 'boolean',
      default: false,
      describe:
        'after a fault that was not survived, protect by hand (or reboot the backup) and go on',
    })
    .option('report', { type: 'string', describe: 'write an HTML report there' })
    .option('json', {
      type: 'boolean',
      default: false,
      describe: 'print the verdict as JSON, last',
    })
    .option('debug', { type: 'boolean', default: false, describe: 'print stack traces' })
    .option('prefix', { type: 'string', default: LAB_PREFIX, describe: 'of the laboratory' })
    .option('memory', { type: 'number', default: 256, describe: 'of the laboratory’s guest, MiB' })
    .option('heartbeat-missed', {
      type: 'number',
      describe: 'heartbeats missed before a takeover (--lab only; default 5)',
    })
    .option('unsafe-fault', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe: 'plant a bug (--lab only): the verdict must notice it',
    })
    .example('$0 --lab --seed 7 --faults 50 --report chaos.html', 'fifty faults on this machine')
    .example('$0 --inventory hosts.yaml --domain vm1 --redis 10.0.0.9 --dry-run', 'the plan only')
    .epilogue('Exit codes: 0 nothing was lost, 1 something was, or it could not be done, 2 usage.')
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? chaosError('CHAOS_USAGE', message);
    });
}

type Options = Awaited<ReturnType<ReturnType<typeof parser>['parseAsync']>>;

/** Runs one command line; resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const json = argv.includes('--json');
  const debug = argv.includes('--debug');
  try {
    const options = await parser(argv).parseAsync();
    if (argv.some((word) => word === '--help' || word === '--version')) return CHAOS_EXIT.ok;
    return await runCommandLine(options, argv);
  } catch (error) {
    printError(error, { json, debug });
    return isUsage(error) ? CHAOS_EXIT.usage : CHAOS_EXIT.failed;
  }
}

async function runCommandLine(options: Options, argv: readonly string[]): Promise<number> {
  if (options.list) {
    for (const name of FAULT_NAMES) {
      const { meaning, mended, sides } = FAULT_KINDS[name];
      printLine(`${name.padEnd(14)} ${meaning}; ends: ${mended} (${sides.join(', ')})`);
    }
    return CHAOS_EXIT.ok;
  }
  checkOptions(options);
  const plan = await planOf(options);
  const say = options.json ? (line: string) => process.stderr.write(`${line}\n`) : printLine;
  // Marks are looked at also for a plan: it names no host that would be refused.
  const hosts =
    options.inventory === undefined
      ? undefined
      : await readInventory(options.inventory, options.group);
  say(plan.seed === undefined ? `schedule ${options.schedule}` : `seed ${plan.seed}`);
  if (options.dryRun) {
    for (const [index, step] of plan.steps.entries()) say(`${index + 1}. ${noteOf(step)}`);
    if (options.json) printJson({ ...plan, hosts: hosts?.map(({ name }) => name) ?? ['a', 'b'] });
    return CHAOS_EXIT.ok;
  }
  const stopping = stopOnSignal(say);
  const stage =
    hosts === undefined
      ? await labStage({
          prefix: options.prefix,
          memoryMib: options.memory,
          unsafeFaults: options.unsafeFault,
          heartbeatMissed: options.heartbeatMissed,
        })
      : await inventoryStage(hosts, {
          domain: options.domain ?? '',
          redis: options.workload ? endpointOf(options.redis ?? '') : undefined,
          crash: options.crash,
        });
  return withStage(stage, { options, plan, argv, signal: stopping.signal, say }).finally(
    stopping.close,
  );
}

interface Plan {
  steps: Step[];
  seed?: number;
}

async function withStage(
  stage: Stage,
  run: {
    options: Options;
    plan: Plan;
    argv: readonly string[];
    signal: AbortSignal;
    say: (line: string) => void;
  },
): Promise<number> {
  const { options, plan, argv, signal, say } = run;
  let verdict: ChaosVerdict;
  try {
    const command = commandOf(argv, plan.seed);
    const facts = await runChaos(
      stage,
      { ...plan, command, keepGoing: options.keepGoing, signal },
      { line: say },
    );
    verdict = verdictOf(facts);
    if (options.report !== undefined) await writeFile(options.report, htmlReport(facts, verdict));
  } finally {
    await stage.close();
  }
  for (const line of verdictLines(verdict)) say(line);
  if (options.report !== undefined) say(`report: ${options.report}`);
  if (options.json) printJson(verdict);
  return verdict.ok ? CHAOS_EXIT.ok : CHAOS_EXIT.failed;
}

function verdictLines(verdict: ChaosVerdict): string[] {
  const { faults, planned, ackedWrites, lostWrites, promotions, protectedAgainMs } = verdict;
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [
    `${faults.length} of ${planned} faults, ${promotions} takeovers; protected again after ${seconds(protectedAgainMs.median)} (median), ${seconds(protectedAgainMs.max)} (longest)`,
    ...(ackedWrites === undefined ? [] : [`${ackedWrites} writes answered, ${lostWrites} lost`]),
    ...verdict.broken.map((what) => `BROKEN: ${what}`),
    verdict.ok ? 'Nothing the outside world was ever told is lost.' : 'The promise was broken.',
  ];
}

function checkOptions(options: Options): void {
  const usage = (message: string) => chaosError('CHAOS_USAGE', message);
  const { lab, inventory, domain, redis, workload, faults, seed } = options;
  if (lab === (inventory !== undefined)) throw usage('give either --lab or --inventory FILE');
  if (!lab && domain === undefined) throw usage('--inventory needs --domain');
  if (!lab && workload && redis === undefined) {
    throw usage('give --redis HOST[:PORT], or --no-workload: then lost writes go unseen');
  }
  if (!lab && options.heartbeatMissed !== undefined) {
    throw usage('--heartbeat-missed is for --lab only: real hosts have it in config.yaml');
  }
  if (!lab && options.unsafeFault.length > 0) throw usage('--unsafe-fault is for --lab only');
  if (!Number.isInteger(faults) || faults < 1 || faults > FAULTS_MAX) {
    throw usage(`--faults is 1 to ${FAULTS_MAX}`);
  }
  if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)) {
    throw usage('--seed is a whole number below 2^32');
  }
}

async function planOf({ schedule, seed, faults, only }: Options): Promise<Plan> {
  if (schedule === undefined) {
    const chosen = seed ?? Date.now() % 2 ** 31;
    return { steps: scheduleFrom(chosen, faults, only as FaultName[] | undefined), seed: chosen };
  }
  const { size } = await stat(schedule).catch((cause: unknown) => {
    throw chaosError('CHAOS_SCHEDULE_INVALID', `${schedule} cannot be read`, { cause });
  });
  if (size > SCHEDULE_BYTES_MAX) {
    throw chaosError('CHAOS_SCHEDULE_INVALID', `${schedule} has over ${SCHEDULE_BYTES_MAX} bytes`);
  }
  return { steps: parseSchedule(await readFile(schedule, 'utf8'), schedule) };
}

function endpointOf(text: string): { host: string; port: number } {
  const [, host = '', port] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text) ?? [];
  const number = Number(port ?? REDIS_PORT);
  if (host === '' || number < 1 || number > 65_535) {
    throw chaosError('CHAOS_USAGE', `--redis ${text} is not HOST[:PORT]`);
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: number };
}

/** The command line that gives this schedule again. */
function commandOf(argv: readonly string[], seed: number | undefined): string {
  const given = argv.some((word) => word.startsWith('--seed') || word.startsWith('--schedule'));
  const words = given || seed === undefined ? argv : [...argv, '--seed', String(seed)];
  return ['understudy-chaos', ...words].join(' ');
}

/** The first signal ends the run, which heals everything; a second one is not waited for. */
function stopOnSignal(say: (line: string) => void): { signal: AbortSignal; close: () => void } {
  const stop = new AbortController();
  const listener = (name: NodeJS.Signals): void => {
    say(`${name}: mending what was put in`);
    stop.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.once(name, listener);
  return {
    signal: stop.signal,
    close: () => {
      for (const name of signals) process.off(name, listener);
    },
  };
}

function isUsage(error: unknown): boolean {
  if (error instanceof UnderstudyError) return error.code === 'CHAOS_USAGE';
  return error instanceof Error && error.name === 'YError';
}
