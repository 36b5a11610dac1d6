/** The command line as an operator or a program uses it: text, JSON, exit codes. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../src/agent/status.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import { eventually, labPrefix, PATIENT } from './lab-steps.js';

const PREFIX = labPrefix('cl');
const PROGRAM = fileURLToPath(new URL('../../bin/understudy', import.meta.url));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function understudy(...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(PROGRAM, args, {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { code: status, stdout, stderr };
}

describe('understudy', () => {
  it('says what is wrong with a command line, with exit code 2 and no stack trace', () => {
    for (const args of [
      [],
      ['nonsense'],
      ['protect', 'vm1'],
      ['check'],
      ['status', '--nonsense'],
    ]) {
      const { code, stderr } = understudy(...args);
      expect(code, args.join(' ')).toBe(2);
      expect(stderr).toContain('CLI_USAGE');
      expect(stderr).not.toMatch(/^\s+at /m);
    }
  });

  it('says that no agent answers, with exit code 5', () => {
    const { code, stderr } = understudy('status', '--socket', '/run/nowhere/agent.sock');
    expect(code).toBe(5);
    expect(stderr).toContain('AGENT_UNREACHABLE');
    expect(stderr).toContain('remedy');
  });

  it('gives errors as JSON when asked', () => {
    const { stdout } = understudy('status', '--json', '--socket', '/run/nowhere/agent.sock');
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'AGENT_UNREACHABLE' } });
  });

  describe('with a host pair', () => {
    let lab: Lab;
    let a = '';
    let b = '';
    const json = (outcome: Outcome): DomainStatus => JSON.parse(outcome.stdout) as DomainStatus;

    beforeAll(async () => {
      lab = await Lab.up({ prefix: PREFIX });
      const pair = await HostPair.start(lab, PATIENT);
      [a, b] = [pair.agent('a').socket, pair.agent('b').socket];
      await lab.startGuest({ name: 'web1', run: ['redis'] });
    });
    afterAll(() => Lab.tearDown(PREFIX));

    it('checks', () => {
      expect(understudy('check', 'web1', '--socket', a)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('can be protected'),
      });
      const report = understudy('check', 'web1', '--json', '--socket', a);
      expect(JSON.parse(report.stdout)).toMatchObject({ domain: 'web1', protectable: true });
      expect(understudy('check', 'nobody', '--socket', a)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('LIBVIRT_NO_DOMAIN'),
      });
    });

    it('protects, shows, and takes over', () => {
      expect(understudy('status', 'web1', '--socket', a)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('AGENT_NOT_PROTECTED'),
      });
      const backup = HOST_ADDRESSES.b.repl;
      expect(understudy('protect', 'web1', '--backup', backup, '--socket', a)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('protected'),
      });
      const status = understudy('status', 'web1', '--socket', a);
      expect(status.code).toBe(0);
      expect(status.stdout).toMatch(/state:\s+protected/);
      expect(understudy('status', '--socket', a).stdout).toMatch(/web1\s+primary\s+protected/);
      expect(json(understudy('status', 'web1', '--json', '--socket', b))).toMatchObject({
        domain: 'web1',
        role: 'backup',
        state: 'protected',
        term: 1,
      });
      expect(understudy('failover', 'web1', '--socket', a)).toMatchObject({ code: 1 });
      expect(understudy('unprotect', 'web1', '--socket', b)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('AGENT_NOT_PRIMARY'),
      });
      const taken = understudy('failover', 'web1', '--json', '--socket', b);
      expect(json(taken)).toMatchObject({ state: 'promoted', term: 2 });
      expect(understudy('failover', 'web1', '--socket', b)).toMatchObject({
        code: 1,
        // The second as soon as it protects the domain itself, the third in between.
        stderr: expect.stringMatching(/FAILOVER_NOT_NOW|AGENT_NOT_BACKUP|AGENT_NOT_PROTECTED/),
      });
    });

    it('protects the other way round by itself, and ends protection', async () => {
      await eventually(async () => {
        const status = json(understudy('status', 'web1', '--json', '--socket', b));
        expect(status).toMatchObject({ role: 'primary', state: 'protected', term: 2 });
      });
      const again = understudy('protect', 'web1', '--backup', HOST_ADDRESSES.a.repl, '--socket', b);
      expect(again).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('AGENT_ALREADY_PROTECTED'),
      });
      expect(understudy('unprotect', 'web1', '--socket', b)).toMatchObject({
        code: 0,
        stdout: 'web1: unprotected\n',
      });
      expect(understudy('status', 'web1', '--socket', b).code).toBe(4);
    });
  });
});
