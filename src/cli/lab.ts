/** `understudy lab`. What runs a laboratory is loaded when one is asked for: other commands start without it. */
import { SCENARIO_NAMES, type ScenarioName } from '../lab/demo/scenario-names.js';
import { DEFAULT_PREFIX, HOST_ADDRESSES } from '../lab/layout.js';
import { type Command, defineCommand } from './command.js';
import { cliError } from './errors.js';
import { EXIT } from './exit-codes.js';
import { printJson, printLine } from './output.js';
import { policyBody, withPolicyOptions } from './policy-options.js';

const up = defineCommand({
  command: 'up',
  describe: 'two hosts with libvirt and an agent each, and a running guest; until Ctrl-C',
  options: (yargs) =>
    yargs
      .option('memory', { type: 'number', default: 256, describe: 'guest memory, MiB' })
      .option('vcpus', { type: 'number', default: 1, choices: [1, 2], describe: 'guest vCPUs' })
      .option('machine', {
        choices: ['q35', 'pc'] as const,
        default: 'q35' as const,
        describe: 'machine type of the guest',
      })
      .example('$0 lab up', 'two hosts to try all other commands on'),
  run: async ({ memory, vcpus, machine, json }) => {
    const { Lab } = await import('../lab/lab.js');
    const { HostPair } = await import('../lab/host-pair.js');
    const lab = await Lab.up();
    const [pair, guest] = await Promise.all([
      HostPair.start(lab),
      lab.startGuest({ name: 'vm1', memoryMib: memory, vcpus, machine }),
    ]);
    const sockets = { a: pair.agent('a').socket, b: pair.agent('b').socket };
    const backup = HOST_ADDRESSES.b.repl;
    if (json) printJson({ prefix: lab.prefix, guest, sockets, backup });
    else {
      printLine(`guest vm1 runs on host a, Redis at ${guest.ip}:6379 (inside ${lab.client.netns})`);
      printLine(`protect it:   understudy --socket ${sockets.a} protect vm1 --backup ${backup}`);
      printLine(`its status:   understudy --socket ${sockets.a} status vm1`);
      printLine(`on host b:    understudy --socket ${sockets.b} status vm1`);
      printLine('Ctrl-C ends it, or `understudy lab down` from elsewhere');
    }
    return new Promise(() => {
      // The laboratory's own signal watch tears it down and ends the process.
      setInterval(() => undefined, 2 ** 30);
    });
  },
});

const down = defineCommand({
  command: 'down',
  describe: 'remove everything that a laboratory left, also after a crash',
  options: (yargs) =>
    yargs
      .option('prefix', {
        type: 'string',
        default: process.env.UNDERSTUDY_LAB_PREFIX ?? DEFAULT_PREFIX,
        describe: 'what its names begin with',
      })
      .example('$0 lab down', 'after a laboratory that was killed'),
  run: async ({ prefix, json }) => {
    const { Lab } = await import('../lab/lab.js');
    await Lab.tearDown(prefix);
    if (json) printJson({ prefix, removed: true });
    else printLine(`laboratory ${prefix}: nothing is left`);
    return EXIT.ok;
  },
});

const KILLS_PRIMARY: ReadonlySet<ScenarioName> = new Set(['kill-primary', 'reprotect']);

const demo = defineCommand({
  command: 'demo',
  describe: 'protect a real guest, let hosts and cables fail, show that nothing is lost',
  options: (yargs) =>
    withPolicyOptions(yargs)
      .option('memory', { type: 'number', default: 512, describe: 'guest memory, MiB' })
      .option('vcpus', { type: 'number', default: 1, choices: [1, 2], describe: 'guest vCPUs' })
      .option('machine', {
        choices: ['q35', 'pc'] as const,
        default: 'q35' as const,
        describe: 'machine type of the guest',
      })
      .option('scenario', {
        choices: Object.keys(SCENARIO_NAMES) as ScenarioName[],
        default: 'kill-primary' as ScenarioName,
        describe: 'what happens to the guest’s hosts',
      })
      .option('duration', { type: 'number', default: 5, describe: 'seconds before it happens' })
      .option('kill', {
        choices: ['qemu', 'host'] as const,
        default: 'qemu' as const,
        describe: 'kill-primary, reprotect: the guest’s QEMU, or the whole primary host',
      })
      .option('disk', {
        type: 'boolean',
        default: true,
        describe: 'a disk on which Redis keeps every write before it answers (--no-disk: none)',
      })
      .option('heartbeat-missed', {
        type: 'number',
        describe: 'heartbeats missed before a takeover (default 5); more on a busy machine',
      })
      .option('unsafe-fault', { type: 'string', array: true, default: [], hidden: true })
      .epilogue(
        Object.entries(SCENARIO_NAMES)
          .map(([name, what]) => `${name}: ${what}.`)
          .join('\n'),
      )
      .example('$0 lab demo --kill host', 'the whole primary host loses power')
      .example('$0 lab demo --scenario switchover', 'to the other host and back'),
  run: async (options) => {
    if (options.kill === 'host' && !KILLS_PRIMARY.has(options.scenario)) {
      throw cliError('CLI_USAGE', `--kill host has no meaning in scenario ${options.scenario}`);
    }
    const { runDemo } = await import('../lab/demo/demo.js');
    const { promiseKept } = await import('../lab/demo/figures.js');
    const { narrator, printFigures } = await import('./demo-story.js');
    const figures = await runDemo(
      {
        scenario: options.scenario,
        memoryMib: options.memory,
        vcpus: options.vcpus,
        machine: options.machine,
        policy: policyBody(options),
        durationS: options.duration,
        heartbeatMissed: options.heartbeatMissed,
        kill: options.kill,
        faults: options.unsafeFault,
        disk: options.disk,
      },
      narrator(),
    );
    printFigures(figures);
    if (options.json) printJson(figures);
    return promiseKept(figures) ? EXIT.ok : EXIT.failed;
  },
});

/** `understudy lab up|down|demo`: two hosts on one machine. */
export const labCommand: Command = (parser, onExit) => {
  parser.command('lab <command>', 'two hosts on this one machine, to try and to test', (yargs) => {
    for (const declare of [up, down, demo]) declare(yargs, onExit);
    return yargs.demandCommand(1, 'up, down or demo?');
  });
};
