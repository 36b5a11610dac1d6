/** The chaos script on a laboratory of its own: three faults, a verdict, a report; and a stop that mends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChaosVerdict } from '../../src/chaos/verdict.js';
import { Lab } from '../../src/lab/lab.js';
import { runDirectory } from '../../src/lab/layout.js';
import { labPrefix, PATIENT_MISSED } from './lab-steps.js';

const PREFIX = labPrefix('uc');
const PROGRAM = fileURLToPath(new URL('../../bin/understudy-chaos', import.meta.url));

/** A killed standby, a frozen agent, a link that only sends: none of them moves the domain. */
const SCHEDULE = `
faults:
  - {fault: kill-session, on: backup, after: 200ms}
  - {fault: stop-agent, on: primary, for: 500ms}
  - {fault: cut-lan, on: backup, way: in, for: 1s}
`;

const PATIENTLY = ['--heartbeat-missed', String(PATIENT_MISSED)];

interface Ran {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

describe('understudy-chaos', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(`${tmpdir()}/understudy-chaos-`);
    await writeFile(`${directory}/plan.yaml`, SCHEDULE);
  });
  afterAll(async () => {
    await Lab.tearDown(PREFIX);
    await rm(directory, { recursive: true, force: true });
  });

  const start = (...args: string[]) =>
    spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

  async function run(...args: string[]): Promise<Ran> {
    const child = start(...args);
    const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return { exitCode, stdout: await stdout, stderr: await stderr };
  }

  it('goes through three faults, loses nothing, and says so', async () => {
    const report = `${directory}/report.html`;
    const plan = ['--schedule', `${directory}/plan.yaml`, ...PATIENTLY];
    const ran = await run('--lab', '--prefix', PREFIX, ...plan, '--report', report, '--json');
    expect(ran.exitCode, ran.stderr).toBe(0);
    const verdict = JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '') as ChaosVerdict;
    expect(verdict).toMatchObject({ ok: true, planned: 3, lostWrites: 0, lostConnections: 0 });
    expect(verdict.faults.map(({ fault, host }) => `${fault} ${host}`)).toEqual([
      'kill-session b',
      'stop-agent a',
      'cut-lan b',
    ]);
    expect(verdict.ackedWrites).toBeGreaterThan(100);
    expect(verdict.beacon?.packets).toBeGreaterThan(100);
    expect(verdict.voices?.heard).toBeGreaterThan(100);
    const page = await readFile(report, 'utf8');
    expect(page).toContain('backup protected');
    expect(page).toContain('Nothing was lost');
    expect(existsSync(runDirectory(PREFIX))).toBe(false);
  });

  it('mends what is in and ends when it is told to stop', async () => {
    await writeFile(
      `${directory}/long.yaml`,
      'faults: [{fault: cut-all, on: backup, way: in, for: 30min}]\n',
    );
    const plan = ['--schedule', `${directory}/long.yaml`, ...PATIENTLY];
    const child = start('--lab', '--prefix', PREFIX, ...plan);
    const stderr = textOf(child.stderr);
    const said: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push(line);
      // The fault is about to go in, or is in: either way it ends.
      if (line.startsWith('1. ')) child.kill('SIGINT');
    });
    const [exitCode] = (await once(child, 'close')) as [number | null];
    expect(exitCode, `${said.join('\n')}${await stderr}`).toBe(1);
    expect(said).toContain('SIGINT: mending what was put in');
    expect(said.join('\n')).not.toContain('not mended');
    expect(existsSync(runDirectory(PREFIX))).toBe(false);
  });

  it('prints a plan without touching anything', async () => {
    const ran = await run('--lab', '--prefix', PREFIX, '--seed', '7', '--faults', '5', '--dry-run');
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
    expect(ran.stdout.match(/^\d\. .* protected, then (primary|backup): /gm)).toHaveLength(5);
    const again = await run('--lab', '--seed', '7', '--faults', '5', '--dry-run', '--json');
    expect(again.stderr).toBe(ran.stdout);
    expect(existsSync(runDirectory(PREFIX))).toBe(false);
  });

  it.each([
    [['--faults', '3'], 'CHAOS_USAGE'],
    [['--lab', '--faults', '0'], 'CHAOS_USAGE'],
    [['--inventory', 'x.yaml', '--domain', 'vm1', '--heartbeat-missed', '9'], 'CHAOS_USAGE'],
    [['--lab', '--colour', 'red'], 'Unknown argument'],
    [['--inventory', 'x.yaml', '--domain', 'vm1'], 'CHAOS_USAGE'],
  ])('refuses %j', async (args, why) => {
    const ran = await run(...args);
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain(why);
  });

  it('connects to no host that is not marked', async () => {
    const inventory = `${directory}/hosts.yaml`;
    // Nobody listens there: a connection would be another error, and take its time.
    const host = 'ansible_host: 192.0.2.1, understudy_chaos_allowed:';
    await writeFile(inventory, `understudy: {hosts: {a: {${host} true}, b: {${host} false}}}\n`);
    const ran = await run('--inventory', inventory, '--domain', 'vm1', '--no-workload');
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toContain('error CHAOS_HOST_NOT_ALLOWED: b: understudy_chaos_allowed');
  });
});

async function textOf(stream: Readable): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
