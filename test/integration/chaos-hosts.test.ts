/**
 * One suite for both adapters of a chaos host: a laboratory's host directly, and the same host through an sshd in its
 * namespaces. A crash is not in it: over ssh that is sysrq, which would take this machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ChaosHost } from '../../src/chaos/chaos-host.js';
import {
  directoriesToFill,
  emptyDisk,
  fillDisk,
  letGoOn,
  pidOf,
  roomIn,
  sendSignal,
} from '../../src/chaos/host-commands.js';
import type { InventoryHost } from '../../src/chaos/inventory.js';
import { LabHost } from '../../src/chaos/lab-host.js';
import { SshHost } from '../../src/chaos/ssh-host.js';
import { runCommand } from '../../src/lab/command.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES, type HostName } from '../../src/lab/layout.js';
import { eventually, labPrefix, PATIENT } from './lab-steps.js';

const PREFIX = labPrefix('ch');
const DOMAIN = 'chosts';
const BOUNDED = '/var/lib/understudy';
const CLI = fileURLToPath(new URL('../../bin/understudy', import.meta.url));

/** A host key, a client key, and what sshd and client need to know of each other. */
class Keys {
  private constructor(readonly directory: string) {}

  static async make(): Promise<Keys> {
    const directory = await mkdtemp(`${tmpdir()}/understudy-ssh-`);
    for (const name of ['host', 'client', 'stranger']) {
      await runCommand('ssh-keygen', [
        '-q',
        '-t',
        'ed25519',
        '-N',
        '',
        '-f',
        `${directory}/${name}`,
      ]);
    }
    const publicKey = (name: string) => readFile(`${directory}/${name}.pub`, 'utf8');
    await writeFile(`${directory}/authorized`, await publicKey('client'));
    for (const [file, key] of [
      ['known', 'host'],
      ['unknown', 'stranger'],
    ] as const) {
      const lines = ['a', 'b'].map(async (name) => `${name} ${await publicKey(key)}`);
      await writeFile(`${directory}/${file}`, (await Promise.all(lines)).join(''));
    }
    await chmod(`${directory}/authorized`, 0o600);
    const config = [
      `HostKey ${directory}/host`,
      `AuthorizedKeysFile ${directory}/authorized`,
      'UsePAM no',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      'PidFile none',
    ];
    await writeFile(`${directory}/sshd_config`, `${config.join('\n')}\n`);
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    return new Keys(directory);
  }
}

describe('a chaos host', () => {
  let lab: Lab;
  let pair: HostPair;
  let keys: Keys;
  const servers: ChildProcess[] = [];
  const hosts = {} as Record<'lab' | 'ssh', ChaosHost>;

  const inventoryHost = (name: HostName): InventoryHost => ({
    name,
    clusterName: name,
    ssh: { host: name, port: 22, user: 'root', identityFile: `${keys.directory}/client` },
    addresses: [HOST_ADDRESSES[name].repl, HOST_ADDRESSES[name].lan],
    command: CLI,
    directories: { run: '/run/understudy', state: BOUNDED },
  });

  /** sshd as inetd would start it, inside the host: its standard streams are the connection. */
  function sshdOf(name: HostName): Duplex {
    const args = ['-i', '-e', '-f', `${keys.directory}/sshd_config`];
    const stdio: ['pipe', 'pipe', 'ignore'] = ['pipe', 'pipe', 'ignore'];
    const server = lab.host(name).spawn('/usr/sbin/sshd', args, { stdio });
    servers.push(server);
    if (server.stdout === null || server.stdin === null) throw new Error('sshd has no streams');
    return Duplex.from({ readable: server.stdout, writable: server.stdin });
  }

  const sshTo = (name: HostName, knownHosts: string): Promise<SshHost> =>
    SshHost.open(inventoryHost(name), {
      peer: inventoryHost(name === 'a' ? 'b' : 'a'),
      crash: 'b',
      knownHosts: `${keys.directory}/${knownHosts}`,
      transport: () => sshdOf(name),
    });

  beforeAll(async () => {
    keys = await Keys.make();
    lab = await Lab.up({ prefix: PREFIX, fileSystems: [{ path: BOUNDED, mib: 32 }] });
    pair = await HostPair.start(lab, { ...PATIENT, respawnAgents: true });
    await lab.startGuest({ name: DOMAIN, run: ['beacon'] });
    await pair.protect(DOMAIN);
    hosts.lab = new LabHost('b', pair, [BOUNDED]);
    hosts.ssh = await sshTo('b', 'known');
  });
  afterEach(async () => {
    for (const host of Object.values(hosts)) await host.healLinks();
  });
  afterAll(async () => {
    await Promise.all(Object.values(hosts).map((host) => host.close()));
    pair?.close();
    await Lab.tearDown(PREFIX);
    await rm(keys.directory, { recursive: true, force: true });
  });

  /** Whether a packet of host `from` reaches the other host and an answer comes back. */
  async function answers(from: HostName, address: string): Promise<boolean> {
    const options = { exitCodes: [0, 1] };
    const args = ['-c', 'ping=$1; exec busybox ping -c 1 -W 1 "$ping"', 'sh', address];
    return (await lab.host(from).exec('sh', args, options)).exitCode === 0;
  }

  /** Packets that came in at an interface of host b. */
  async function arrived(action: () => Promise<unknown>): Promise<number> {
    const counter = 'cat /sys/class/net/repl/statistics/rx_packets';
    const read = async () => Number((await hosts.lab.run(counter)).stdout);
    const before = await read();
    await action();
    return (await read()) - before;
  }

  it('takes a checkpoint on the primary only', async () => {
    const primaries = [new LabHost('a', pair, []), await sshTo('a', 'known')];
    for (const primary of primaries) {
      expect(await primary.checkpoint(DOMAIN)).toBeGreaterThan(0);
      await primary.close();
    }
    for (const backup of Object.values(hosts)) {
      await eventually(async () => {
        const status = await backup.status(DOMAIN);
        expect(status).toMatchObject({ role: 'backup', state: 'protected' });
      });
      await expect(backup.checkpoint(DOMAIN)).rejects.toMatchObject({ code: expect.any(String) });
    }
  });

  describe.each(['lab', 'ssh'] as const)('over %s', (kind) => {
    const host = () => hosts[kind];

    it('runs a script as root and tells how it ended', async () => {
      const { exitCode, stdout, stderr } = await host().run(
        `echo "it's $(id -u)"; echo oh >&2; exit 7`,
      );
      expect({ exitCode, stdout, stderr }).toEqual({
        exitCode: 7,
        stdout: "it's 0\n",
        stderr: 'oh\n',
      });
      expect((await host().run('kill -9 $$')).exitCode).not.toBe(0);
    });

    it('knows what its agent says', async () => {
      const { role, state } = await pair.agent('b').client.status(DOMAIN);
      expect(await host().status(DOMAIN)).toMatchObject({ domain: DOMAIN, role, state });
      expect(await host().status('nobody')).toBeUndefined();
    });

    it.each([
      'qemu',
      'session',
      'agent',
      'libvirtd',
    ] as const)('stops its %s, and lets it go on', async (target) => {
      const pid = await pidOf(host(), target, await host().status(DOMAIN));
      const state = async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.[0];
      try {
        await sendSignal(host(), target, pid, 'SIGSTOP');
        await eventually(async () => expect(await state()).toBe('T'));
      } finally {
        await letGoOn(host(), target, pid);
      }
      await eventually(async () => expect(await state()).toMatch(/[SR]/));
    });

    it('sends no signal to another process', async () => {
      const stranger = spawn('sleep', ['60']);
      try {
        const sent = sendSignal(host(), 'qemu', stranger.pid ?? 0, 'SIGKILL');
        await expect(sent).rejects.toMatchObject({ code: 'CHAOS_FAULT_IMPOSSIBLE' });
        await letGoOn(host(), 'qemu', stranger.pid ?? 0);
        expect(stranger.signalCode).toBeNull();
      } finally {
        stranger.kill('SIGKILL');
        await once(stranger, 'exit');
      }
    });

    it.each(['both', 'in', 'out'] as const)('cuts a link, %s, and mends it', async (way) => {
      expect(await answers('a', HOST_ADDRESSES.b.repl)).toBe(true);
      await host().cut(['repl'], way);
      expect(await answers('a', HOST_ADDRESSES.b.repl)).toBe(false);
      expect(await answers('b', HOST_ADDRESSES.a.repl)).toBe(false);
      // The other link is another one.
      expect(await answers('a', HOST_ADDRESSES.b.lan)).toBe(true);
      await host().healLinks();
      await host().healLinks();
      await eventually(async () => expect(await answers('a', HOST_ADDRESSES.b.repl)).toBe(true));
    });

    it('cuts one way only', async () => {
      await host().cut(['repl'], 'out');
      // A question comes in; only its answer does not go out.
      expect(await arrived(() => answers('a', HOST_ADDRESSES.b.repl))).toBeGreaterThan(0);
    });

    it('fills a disk to its end, and empties it', async () => {
      const [directory = ''] = await directoriesToFill(host(), 'state', undefined);
      const before = await roomIn(host(), directory);
      try {
        await fillDisk(host(), directory);
        const { exitCode } = await host().run(`head -c 1000000 /dev/zero > ${directory}/more`);
        expect(exitCode).not.toBe(0);
      } finally {
        await host().run(`rm -f ${directory}/more`);
        await emptyDisk(host(), directory);
      }
      expect(await roomIn(host(), directory)).toBeGreaterThan(before * 0.9);
    });

    it('starts a libvirtd that was killed, with its guests, and no second one', async () => {
      const pid = await pidOf(host(), 'libvirtd', undefined);
      await host().ensureLibvirtd();
      expect(await pidOf(host(), 'libvirtd', undefined)).toBe(pid);
    });

    it('gives a new agent in place of a killed one', async () => {
      const pid = await pidOf(host(), 'agent', undefined);
      await sendSignal(host(), 'agent', pid, 'SIGKILL');
      await eventually(async () => {
        expect(await pidOf(host(), 'agent', undefined)).not.toBe(pid);
        expect((await host().status(DOMAIN))?.role).toBe('backup');
      });
    });
  });

  it('does not talk to a host whose key is another one than the known', async () => {
    await expect(sshTo('a', 'unknown')).rejects.toMatchObject({ code: 'CHAOS_HOST_UNREACHABLE' });
  });

  it('connects anew when its sshd is gone', async () => {
    servers.at(-1)?.kill('SIGKILL');
    for (const server of servers) server.kill('SIGKILL');
    await expect(hosts.ssh.run('true')).rejects.toMatchObject({ code: 'CHAOS_HOST_UNREACHABLE' });
    expect((await hosts.ssh.run('true')).exitCode).toBe(0);
  });

  it('says what a host lacks before it is touched', async () => {
    const host = { ...inventoryHost('a'), command: '/no/such/understudy' };
    const options = {
      peer: inventoryHost('b'),
      crash: 'b' as const,
      knownHosts: `${keys.directory}/known`,
      transport: () => sshdOf('a'),
    };
    await expect(SshHost.open(host, options)).rejects.toMatchObject({
      code: 'CHAOS_HOST_LACKS',
      message: expect.stringContaining('/no/such/understudy'),
    });
  });

  it('mends by itself what lasts, should nobody come back', async () => {
    await hosts.ssh.mendByItself(1, 'touch /run/understudy/mended');
    await eventually(async () => {
      expect((await hosts.ssh.run('rm /run/understudy/mended')).exitCode).toBe(0);
    });
  });

  it('crashes in the laboratory, boots, and is there again', async () => {
    await hosts.lab.crash();
    expect(await hosts.lab.status(DOMAIN)).toBeUndefined();
    await hosts.lab.boot();
    await eventually(async () => expect((await hosts.lab.run('true')).exitCode).toBe(0));
    expect(await pidOf(hosts.lab, 'agent', undefined)).toBeGreaterThan(1);
  });
});
