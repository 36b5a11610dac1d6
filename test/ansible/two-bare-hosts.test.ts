/**
 * From two bare Debian systems to a survived primary kill: the playbook, three commands, a real guest. The steps
 * build on each other; the first one that fails ends the run.
 */
import { cp, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { monotonicMs } from '../../src/clock.js';
import { runCommand } from '../../src/lab/command.js';
import { ClientProcess } from '../../src/lab/demo/client-process.js';
import { startGuest } from '../../src/lab/guest.js';
import { guestImage } from '../../src/lab/guest-image.js';
import { HOST_NAMES, type HostName } from '../../src/lab/layout.js';
import { BarePair } from './bare-pair.js';
import { runPlaybook, writeInventory } from './playbook.js';

const PREFIX = 'usan';
const ROLE = fileURLToPath(new URL('../../deploy/ansible/roles/understudy', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../../script/package', import.meta.url));
/** Compiling and packing takes half a minute. */
const PACKAGE_TIMEOUT_MS = 180_000;
/** TCP's own retransmission takes up to 3 s after a second's silence. */
const ANSWER_TIMEOUT_MS = 15_000;
/** The client talks to the guest this long before and after each change. */
const TALK_MS = 2_000;
/** A boot, the agents' finding each other, a copy of the guest. */
const RECOVERY_TIMEOUT_MS = 90_000;
const LOOK_EVERY_MS = 500;

let pair: BarePair;
let inventory: string;
let client: ClientProcess | undefined;
let protectAskedAtMs = 0;
let protectedAtMs = 0;
let killedAtMs = 0;

beforeAll(async () => {
  pair = await BarePair.up(PREFIX, await packagesOfTheRole());
});

afterAll(async () => {
  client?.kill();
  await pair?.down();
});

describe('two bare hosts', () => {
  it('have neither libvirt nor node, and no systemd', async () => {
    for (const name of HOST_NAMES) {
      const found = await pair.ssh(name, 'command -v virsh qemu-system-x86_64 node systemctl', [1]);
      expect(found.stdout).toBe('');
    }
  });

  it('get a package that was made here', async () => {
    const { stdout } = await runCommand(PACKAGE, ['--no-setup', pair.directory], {
      timeoutMs: PACKAGE_TIMEOUT_MS,
    });
    inventory = await writeInventory(pair, stdout.trim().split('\n').at(-1) ?? '');
  });

  it('are left as they are in check mode', async () => {
    const { recap } = await runPlaybook(pair, inventory, 'site.yml', ['--check']);
    for (const name of HOST_NAMES) {
      expect(recap[name]).toMatchObject({ failed: 0, unreachable: 0 });
      await pair.ssh(name, 'test ! -e /opt/understudy && test ! -e /etc/understudy');
    }
  });

  it('become a pair by one run of the playbook', async () => {
    const { recap } = await runPlaybook(pair, inventory, 'site.yml');
    for (const name of HOST_NAMES) {
      expect(recap[name]).toMatchObject({ failed: 0, unreachable: 0 });
      expect(recap[name].changed).toBeGreaterThan(5);
    }
  });

  it.each([[[]], [['--check']]])('are not changed by another run (%j)', async (options) => {
    const { recap, output } = await runPlaybook(pair, inventory, 'site.yml', options);
    for (const name of HOST_NAMES) {
      expect(recap[name], output).toMatchObject({ changed: 0, failed: 0, unreachable: 0 });
    }
  });

  it('keep the key of the CA on the first host', async () => {
    await pair.ssh('a', 'test -s /etc/understudy/pki/ca.key');
    await pair.ssh(
      'b',
      'test -s /etc/understudy/pki/host.key && ! test -e /etc/understudy/pki/ca.key',
    );
    expect((await pair.ssh('a', 'ls /etc/understudy')).stdout).not.toContain('issued');
  });

  it('run a guest that serves Redis from its disk', async () => {
    await copyGuestImage();
    const guest = await startGuest(pair.host('a'), 1, {
      name: 'vm1',
      define: true,
      run: ['redis', 'beacon'],
      disks: [{ name: 'vda', format: 'raw', mib: 128, filesystem: 'ext4' }],
      options: { data: 'vda', redis_disk: 1 },
    });
    client = await ClientProcess.start({ client: pair.controller }, guest.ip);
    await delay(TALK_MS);
  });
});

describe('three commands protect it', () => {
  it('understudy check vm1', async () => {
    const { stdout } = await pair.ssh('a', 'understudy check vm1');
    expect(stdout).toContain('vm1: can be protected');
  });

  it('understudy protect vm1 --backup b', async () => {
    protectAskedAtMs = monotonicMs();
    await pair.ssh('a', 'understudy protect vm1 --backup b');
    protectedAtMs = monotonicMs();
    client?.mark();
  });

  it('understudy status', async () => {
    const { stdout } = await pair.ssh('a', 'understudy status');
    expect(stdout).toMatch(/^vm1\s+primary\s+protected\b/m);
    await delay(TALK_MS);
  });
});

describe('the primary dies', () => {
  it('and the guest answers on over the same connection', async () => {
    killedAtMs = monotonicMs();
    await pair.kill('a');
    expect(await pair.isDead('a')).toBe(true);
    expect(await client?.waited(killedAtMs, monotonicMs(), ANSWER_TIMEOUT_MS)).toBeDefined();
  });

  it('and nothing that was answered is lost', async () => {
    await delay(TALK_MS);
    const moments = { askedAtMs: protectAskedAtMs, protectedAtMs, killedAtMs };
    const final = await client?.finish({ ...moments, resumedAtMs: killedAtMs });
    expect(final).toMatchObject({
      tcpSurvived: true,
      sameRedis: true,
      lostWrites: 0,
      forgottenBeacons: 0,
    });
  });
});

describe('afterwards', () => {
  it('the old host comes back and the guest is protected again, without anyone’s help', async () => {
    await pair.boot('a');
    await waitForState('b', 'primary', 'protected');
    await waitForState('a', 'backup', 'protected');
  });

  it('switchover brings the guest home', async () => {
    await pair.ssh('b', 'understudy switchover vm1');
    await waitForState('a', 'primary', 'protected');
    expect(await ping()).toBe('+PONG');
  });

  it('an upgrade moves it away and brings it back', async () => {
    const { recap, output } = await runPlaybook(pair, inventory, 'upgrade.yml');
    for (const name of HOST_NAMES) expect(recap[name], output).toMatchObject({ failed: 0 });
    await waitForState('a', 'primary', 'protected');
    expect(await ping()).toBe('+PONG');
  });

  it('a removal leaves it running and nothing of ours', async () => {
    const { recap } = await runPlaybook(pair, inventory, 'remove.yml');
    for (const name of HOST_NAMES) {
      expect(recap[name]).toMatchObject({ failed: 0 });
      const left =
        'ls -d /opt/understudy /etc/understudy /etc/init.d/understudyd /usr/local/bin/understudy';
      expect((await pair.ssh(name, `${left} 2>/dev/null`, [2])).stdout).toBe('');
      // Neither the shell that asks nor the guest, whose disk may lie under our name.
      const processes = "pgrep -af '[u]nderstudy' | grep -v '^[0-9]* [^ ]*qemu-system'";
      expect((await pair.ssh(name, processes, [0, 1])).stdout).toBe('');
    }
    expect((await pair.ssh('a', 'virsh -q list --name')).stdout).toContain('vm1');
    expect((await pair.ssh('b', 'virsh -q list --name')).stdout).not.toContain('vm1');
    expect(await ping()).toBe('+PONG');
  });
});

/** What the guest's Redis says to somebody new. */
async function ping(): Promise<string> {
  const script = 'exec 3<>/dev/tcp/10.86.1.1/6379 && echo PING >&3 && head -1 <&3';
  return (await pair.controller.exec('bash', ['-c', script])).stdout.trim();
}

async function waitForState(name: HostName, role: string, state: string): Promise<void> {
  const deadlineMs = performance.now() + RECOVERY_TIMEOUT_MS;
  for (;;) {
    const { stdout } = await pair.ssh(name, 'understudy status vm1 --json', [0, 1, 4, 5]);
    const found: unknown = JSON.parse(stdout || '{}');
    const seen = found as { role?: string; state?: string };
    if (seen.role === role && seen.state === state) return;
    if (performance.now() > deadlineMs) {
      throw new Error(`vm1 on ${name} is not ${role} and ${state}: ${stdout}`);
    }
    await delay(LOOK_EVERY_MS);
  }
}

/** What the role installs, from its own defaults, and what it adds for these hosts. */
async function packagesOfTheRole(): Promise<string[]> {
  const defaults: unknown = parse(await readFile(`${ROLE}/defaults/main.yml`, 'utf8'));
  const { understudy_packages: packages } = defaults as { understudy_packages: string[] };
  return [...packages, 'libvirt-daemon-system-sysv', 'bridge-utils', 'nftables'];
}

/** The guest's kernel, under the same path on both hosts, as its definition names it. */
async function copyGuestImage(): Promise<void> {
  const { kernel, initrd } = await guestImage();
  for (const name of HOST_NAMES) {
    const { runDir } = pair.host(name);
    await mkdir(`${runDir}${dirname(kernel)}`, { recursive: true });
    for (const path of [kernel, initrd]) await cp(path, `${runDir}${path}`);
  }
}
