/** Two hosts become a cluster over ssh, and part again. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controlRequest } from '../../src/agent/control/control-request.js';
import type { HostList } from '../../src/cluster/list.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import {
  furnish,
  INIT_SCRIPT,
  type Outcome,
  type SshKeys,
  startSshd,
  understudyOn,
} from './host-add-steps.js';
import { eventually, labPrefix } from './lab-steps.js';

const PREFIX = labPrefix('ha');
const TARGET = `root@${HOST_ADDRESSES.b.repl}`;

describe('understudy host', () => {
  let lab: Lab;
  let keys: SshKeys;
  let onA: ReturnType<typeof understudyOn>;
  let onB: ReturnType<typeof understudyOn>;
  const init = (on: 'a' | 'b', what: string) =>
    lab.host(on).exec(INIT_SCRIPT, [what], { exitCodes: [0, 1, 3] });
  const agentPid = async (on: 'a' | 'b'): Promise<number> => {
    const socket = `${lab.host(on).runDir}/run/understudy/agent.sock`;
    return ((await controlRequest(socket, 'GET', '/v1/version')) as { pid: number }).pid;
  };
  const listed = async (on: typeof onA) =>
    (JSON.parse((await on('host', 'list', '--json')).stdout) as HostList).hosts;
  const failedWith = (code: string) =>
    expect.objectContaining({ exitCode: 1, stderr: expect.stringContaining(code) });
  const fine = { exitCode: 0, stderr: '' };

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    await Promise.all([furnish(lab.host('a')), furnish(lab.host('b'))]);
    keys = await startSshd(lab.host('b'));
    [onA, onB] = [understudyOn(lab.host('a')), understudyOn(lab.host('b'))];
  });
  afterAll(() => Lab.tearDown(PREFIX));

  it('init makes a CA that only root can read, once', async () => {
    const { repl, lan } = HOST_ADDRESSES.a;
    const asked = ['host', 'init', '--name', 'a', '--address', repl, '--address', lan];
    expect(await onA(...asked)).toMatchObject(fine);
    const etc = `${lab.host('a').runDir}/etc/understudy`;
    for (const name of ['pki/ca.key', 'pki/host.key']) {
      expect((await stat(`${etc}/${name}`)).mode & 0o777, name).toBe(0o600);
    }
    expect(await readFile(`${etc}/hosts.yaml`, 'utf8')).toContain(repl);
    expect(await readFile(`${etc}/config.yaml`, 'utf8')).toBe('host: a\n');
    expect(await onA(...asked)).toEqual(failedWith('PKI_EXISTS'));
  });

  it('list says that nobody answers yet', async () => {
    expect(await listed(onA)).toMatchObject([
      { name: 'a', here: true, answers: false, reason: { code: 'WIRE_UNREACHABLE' } },
    ]);
  });

  it('add refuses a host whose key nobody knows, and says which one it shows', async () => {
    const outcome = await onA('host', 'add', TARGET, '--identity', keys.right);
    expect(outcome).toEqual(failedWith('HOST_KEY_UNKNOWN'));
    expect(outcome.stderr).toContain(keys.fingerprint);
  });

  it('add refuses without a key that opens the door', async () => {
    const accept = '--accept-new-host-key';
    expect(await onA('host', 'add', TARGET, '--identity', keys.wrong, accept)).toEqual(
      failedWith('HOST_SSH_FAILED'),
    );
    expect(await onA('host', 'add', TARGET, accept)).toEqual(failedWith('HOST_SSH_FAILED'));
  });

  it('add makes the other host one of the cluster, and its agent answers', async () => {
    const { repl, lan } = HOST_ADDRESSES.b;
    const added = await onA(
      ...['host', 'add', TARGET, '--name', 'b', '--address', repl, '--address', lan],
      ...['--identity', keys.right, '--accept-new-host-key'],
    );
    expect(added).toMatchObject(fine);
    expect(added.stdout).toContain(`answers at ${repl}:7788`);
    expect(await onA('host', 'start')).toMatchObject(fine);
    await eventually(async () => {
      for (const on of [onA, onB]) {
        expect(await listed(on)).toMatchObject([
          { name: 'a', answers: true },
          { name: 'b', answers: true, addresses: [repl, lan] },
        ]);
      }
    });
    const etc = `${lab.host('b').runDir}/etc/understudy`;
    expect((await stat(`${etc}/pki/host.key`)).mode & 0o777).toBe(0o600);
    await expect(stat(`${etc}/pki/ca.key`)).rejects.toMatchObject({ code: 'ENOENT' });
    const hook = `${lab.host('b').runDir}/etc/libvirt/hooks/qemu.d/understudy`;
    expect((await stat(hook)).mode & 0o777).toBe(0o755);
  });

  it('add renews when it is repeated, with the key that is known now; the agent goes on', async () => {
    const pid = await agentPid('b');
    const path = `${lab.host('b').runDir}/etc/understudy/pki/host.crt`;
    const before = await readFile(path, 'utf8');
    const again = await onA('host', 'add', TARGET, '--name', 'b', '--identity', keys.right);
    expect(again).toMatchObject(fine);
    expect(await readFile(path, 'utf8')).not.toBe(before);
    expect(await agentPid('b')).toBe(pid);
  });

  it('add refuses a host that shows another key than before', async () => {
    const known = `${lab.host('a').runDir}/root/.ssh/known_hosts`;
    const text = await readFile(known, 'utf8');
    expect(text).toMatch(/^10\.87\.1\.2 ssh-ed25519 /);
    const [, type = '', other = ''] = /^(\S+) (\S+)/.exec(
      await readFile(`${keys.wrong}.pub`, 'utf8'),
    ) ?? [''];
    await writeFile(known, `10.87.1.2 ${type} ${other}\n`);
    const accept = '--accept-new-host-key';
    expect(
      await onA('host', 'add', TARGET, '--identity', keys.right, '--name', 'b', accept),
    ).toEqual(failedWith('HOST_KEY_CHANGED'));
  });

  it('the agent that is killed is started again', async () => {
    const pid = await agentPid('b');
    process.kill(pid, 'SIGKILL');
    await eventually(async () => expect(await agentPid('b')).not.toBe(pid));
    expect((await init('b', 'status')).exitCode).toBe(0);
  });

  it('remove refuses while a domain is protected with the host; afterwards it is a stranger', async () => {
    await lab.startGuest({ name: 'web1', run: ['redis'] });
    expect(await onA('protect', 'web1', '--backup', 'b')).toMatchObject({ exitCode: 0 });
    expect(await onA('host', 'remove', 'b')).toEqual(failedWith('HOST_IN_USE'));
    expect(await onA('host', 'remove', 'a')).toEqual(failedWith('HOST_IS_SELF'));
    expect(await onA('host', 'remove', 'c')).toEqual(failedWith('HOST_UNKNOWN'));
    expect(await onA('unprotect', 'web1')).toMatchObject({ exitCode: 0 });
    expect(await onA('host', 'remove', 'b')).toMatchObject(fine);
    expect((await listed(onA)).map(({ name }) => name)).toEqual(['a']);
    // A host that is slow to listen may find the connection closed instead.
    await eventually(async () => {
      const seen = (await listed(onB)).find(({ name }) => name === 'a');
      expect(seen?.reason?.code).toBe('WIRE_UNKNOWN_HOST');
    });
  });

  it('remove does not trust an agent that cannot be asked', async () => {
    const stopped: Outcome = await init('b', 'stop');
    expect(stopped.exitCode, stopped.stdout).toBe(0);
    await expect(agentPid('b')).rejects.toMatchObject({ code: 'AGENT_UNREACHABLE' });
    expect((await init('b', 'status')).exitCode).toBe(3);
    expect(await onB('host', 'remove', 'a')).toEqual(failedWith('HOST_IN_USE'));
    expect(await onB('host', 'remove', 'a', '--force')).toMatchObject(fine);
  });
});
