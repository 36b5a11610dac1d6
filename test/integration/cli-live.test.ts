/** What an operator watches: live status, events, progress, and a shell that completes. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventRecord } from '../../src/agent/events/events.js';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import { eventually, killQemu, labPrefix, PATIENT } from './lab-steps.js';
import { screens, Terminal } from './terminal.js';

const PREFIX = labPrefix('cv');
const PROGRAM = fileURLToPath(new URL('../../bin/understudy', import.meta.url));
const CTRL_C = '\u0003';

let lab: Lab;
let pair: HostPair;
let a = '';
let b = '';

beforeAll(async () => {
  lab = await Lab.up({ prefix: PREFIX });
  pair = await HostPair.start(lab, PATIENT);
  [a, b] = [pair.agent('a').socket, pair.agent('b').socket];
  await lab.startGuest({ name: 'web1', run: ['redis'], memoryMib: 256 });
});
afterAll(() => Lab.tearDown(PREFIX));

function understudy(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(PROGRAM, args, {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { code: status, stdout, stderr };
}

/** A program that goes on; its lines so far. */
function start(...args: string[]): { child: ChildProcess; lines: () => string[] } {
  const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return { child, lines: () => text.split('\n').slice(0, -1) };
}

async function interrupted(child: ChildProcess): Promise<number | null> {
  child.kill('SIGINT');
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

describe('before protection', () => {
  it('names what is not protected', () => {
    expect(understudy('list', '--socket', a).stdout).toBe('no domain is protected on this host\n');
    expect(understudy('list', '--all', '--socket', a).stdout).toMatch(/web1\s+-\s+unprotected/);
    expect(JSON.parse(understudy('list', '--all', '--json', '--socket', a).stdout)).toEqual({
      domains: [],
      others: [{ domain: 'web1', running: true }],
    });
  });

  it('says its versions', () => {
    const { code, stdout, stderr } = understudy('version', '--json', '--socket', a);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { client, agent } = JSON.parse(stdout);
    expect(agent).toMatchObject(client);
    expect(understudy('version', '--socket', '/nowhere')).toMatchObject({
      code: 5,
      stdout: expect.stringMatching(/^client {2}\d.*\nagent {3}does not answer\n$/),
    });
  });

  it.each([
    ['bash', 'bash --norc -i', 'source <(understudy completion bash)'],
    [
      'zsh',
      'zsh -f -i',
      'autoload -U compinit; compinit -D -u; source <(understudy completion zsh)',
    ],
  ])('completes commands, options and domains in %s', async (_shell, command, load) => {
    const env = {
      UNDERSTUDY_SOCKET: a,
      PATH: `${dirname(PROGRAM)}:${process.env.PATH}`,
      PS1: '$ ',
    };
    const shell = new Terminal(command, { env });
    try {
      shell.type(`${load}; echo loa''ded\n`);
      await shell.see('loaded\r\n');
      // What it completes to is run, so that it is seen as the shell took it.
      shell.type('understudy unp\t --he\t | head -1; echo do""ne-1\n');
      await shell.see('understudy unprotect <domain>\r\n');
      await shell.see('done-1\r\n');
      shell.type('echo understudy protect we""; understudy check we\t --js\t\n');
      await shell.see('"domain":"web1","protectable":true');
      shell.type('exit\n');
    } finally {
      shell.close();
    }
  });
});

describe('protection and a takeover', () => {
  it('shows how the first copy gets on, and what happens', async () => {
    const here = start('events', '--follow', '--socket', a);
    const there = start('events', 'web1', '--follow', '--json', '--socket', b);
    const events = (): EventRecord[] => there.lines().map((line) => JSON.parse(line));
    try {
      const backup = HOST_ADDRESSES.b.repl;
      const protect = understudy('protect', 'web1', '--backup', backup, '--socket', a);
      expect(protect).toMatchObject({ code: 0, stdout: expect.stringContaining('protected by') });
      expect(protect.stderr).toMatch(/^web1: memory, round 1: \d+ %, [\d.]+ MiB shipped, /m);
      await eventually(async () => {
        expect(events().flatMap(({ to }) => to ?? [])).toEqual(['syncing', 'protected']);
        expect(here.lines().join('\n')).toMatch(/web1 .*state-changed {4}syncing → protected/);
      });
      const up = { event: 'session-up', domain: 'web1', role: 'backup' };
      expect(events()).toContainEqual(expect.objectContaining(up));
    } finally {
      expect(await interrupted(here.child)).toBe(0);
      expect(await interrupted(there.child)).toBe(0);
    }
  });

  it('says what is exact in one line and in full', () => {
    const list = understudy('list', '--socket', a).stdout.split('\n');
    expect(list[1]).toMatch(/^web1 +primary +protected +\d+s +[\d.]+ +[\d.]+ ms +[\d.]+ ms/);
    for (const line of list) expect(line.length).toBeLessThanOrEqual(80);
    const status = JSON.parse(understudy('status', 'web1', '--json', '--socket', a).stdout);
    const { recent } = (status as DomainStatus).epochs ?? {};
    expect(recent?.pauseMs.p50).toBeGreaterThan(0);
    expect(recent?.lagMs).toBeGreaterThanOrEqual(0);
    expect(recent?.lagMs).toBeLessThan(5_000);
  });

  it.each([
    '',
    'web1',
  ])('is drawn in place, within 80 columns: status %s --watch', async (domain) => {
    const terminal = new Terminal(`${PROGRAM} status ${domain} --watch 0.1 --socket ${a}`);
    try {
      await eventually(async () => expect(screens(terminal.output).length).toBeGreaterThan(8));
      terminal.type(CTRL_C);
      expect(await terminal.ended()).toBe(0);
    } finally {
      terminal.close();
    }
    const { output } = terminal;
    // Its own screen and no cursor; at the end both are given back, and nothing is drawn after that.
    expect(output.split('\u001b[?1049h')).toHaveLength(2);
    expect(output.indexOf('\u001b[?1049h')).toBeLessThan(output.indexOf('\u001b[H'));
    expect(output.replace('^C', '').endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    // Nothing is wiped between two drawings: that would flicker.
    expect(output).not.toContain('\u001b[2J');
    const drawn = screens(output);
    for (const line of drawn.flat()) expect([...line].length, line).toBeLessThanOrEqual(80);
    const last = drawn.at(-1)?.join('\n') ?? '';
    expect(last).toMatch(/web1 .*primary +protected/);
    expect(last).toMatch(/[▁▂▃▄▅▆▇█]{2}/);
  });

  it('is printed block by block where there is no terminal, without colours', async () => {
    const { child, lines } = start('status', 'web1', '--watch', '0.1', '--socket', a);
    await eventually(async () => {
      expect(lines().filter((line) => line.startsWith('lag ')).length).toBeGreaterThan(2);
    });
    expect(await interrupted(child)).toBe(0);
    expect(lines().join('\n')).not.toContain('\u001b');
    const json = start('status', '--watch=0.1', '--json', '--socket', a);
    await eventually(async () => expect(json.lines().length).toBeGreaterThan(2));
    expect(await interrupted(json.child)).toBe(0);
    for (const line of json.lines()) {
      expect(JSON.parse(line)).toMatchObject({ domains: [{ domain: 'web1' }] });
    }
  });

  it('tells of a takeover while it happens, and later again', async () => {
    const { child, lines } = start('events', 'web1', '--follow', '--json', '--socket', b);
    const events = (): EventRecord[] => lines().map((line) => JSON.parse(line));
    const watched = new Terminal(`${PROGRAM} status web1 --watch 0.1 --socket ${b}`);
    try {
      await watched.see('protected');
      // What happened before is here: so will be what happens now.
      await eventually(async () => expect(events()).not.toEqual([]));
      await killQemu(pair, 'a', 'web1');
      // It is protected again by itself soon after.
      await watched.see(/promoted|re-protecting/);
      await eventually(async () => {
        const told = events().map(({ event, to }) => to ?? event);
        expect(told.slice(told.indexOf('promoting')).slice(0, 3)).toEqual([
          'promoting',
          'takeover',
          'promoted',
        ]);
      });
      watched.type(CTRL_C);
      expect(await watched.ended()).toBe(0);
    } finally {
      watched.close();
      expect(await interrupted(child)).toBe(0);
    }
    expect(events().find(({ to }) => to === 'promoting')).toMatchObject({
      from: 'protected',
      on: 'peerYielded',
      role: 'backup',
    });
    expect(events().find(({ event }) => event === 'takeover')).toMatchObject({
      cause: 'peerYielded',
      term: 2,
    });
    // The session is over some time after its last state.
    await eventually(async () => {
      const later = understudy('events', 'web1', '--since', '10m', '--socket', a);
      expect(later.stdout).toMatch(/protected → fenced {2}AGENT_GUEST_DIED: /);
      expect(later.stdout).toMatch(/session-ended .*orderly=true/);
    });
    expect(understudy('events', '--since', 'soon', '--socket', a)).toMatchObject({ code: 2 });
  });
});
