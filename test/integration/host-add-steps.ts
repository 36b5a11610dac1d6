/** Laboratory hosts as an operator finds them: sshd, an init system, and nothing of understudy under /etc. */
import { once } from 'node:events';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/lab/command.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import type { Host } from '../../src/lab/place.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const INIT_SCRIPT = `${ROOT}deploy/init.d/understudyd`;

/** Places that a start of the agent would change on the machine itself. */
const OWN_DIRECTORIES = [
  '/etc/init.d',
  '/etc/default',
  ...['0', '1', '2', '3', '4', '5', '6', 'S'].map((level) => `/etc/rc${level}.d`),
];

export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs `understudy` on a host, as root there with a home of its own. */
export function understudyOn(host: Host): (...args: string[]) => Promise<Outcome> {
  const home = `${host.runDir}/root`;
  const { SSH_AUTH_SOCK: _agent, ...env } = process.env;
  return (...args) =>
    host.exec(process.execPath, [`${ROOT}bin/understudy`, ...args], {
      env: { ...env, HOME: home },
      exitCodes: [0, 1, 2, 3, 4, 5],
      timeoutMs: 60_000,
    });
}

/** What a service manager and a package would have brought. */
export async function furnish(host: Host): Promise<void> {
  for (const path of OWN_DIRECTORIES) {
    const own = `${host.runDir}${path}`;
    await mkdir(own, { recursive: true });
    await mkdir(path, { recursive: true });
    await host.exec('mount', ['--bind', own, path]);
  }
  await mkdir(`${host.runDir}/root`, { recursive: true });
  await mkdir(`${host.runDir}/bin`, { recursive: true });
  await symlink(`${ROOT}bin/understudy`, `${host.runDir}/bin/understudy`);
  const settings = `DAEMON=${ROOT}bin/understudyd\nLOGFILE=/run/understudy/agent.log\n`;
  await writeFile(`${host.runDir}/etc/default/understudyd`, settings);
}

export interface SshKeys {
  /** Private key that sshd lets in. */
  right: string;
  /** One that it does not. */
  wrong: string;
  /** Fingerprint of the host's own key. */
  fingerprint: string;
}

/** sshd on the replication address of the host, with keys of its own. */
export async function startSshd(host: Host): Promise<SshKeys> {
  const directory = `${host.runDir}/ssh`;
  await mkdir(directory, { recursive: true });
  const keygen = (name: string) =>
    runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${directory}/${name}`]);
  await Promise.all(['host_key', 'right', 'wrong'].map(keygen));
  await writeFile(`${directory}/authorized`, await readFile(`${directory}/right.pub`));
  const config = [
    `ListenAddress ${HOST_ADDRESSES[host.name].repl}`,
    `HostKey ${directory}/host_key`,
    `AuthorizedKeysFile ${directory}/authorized`,
    `PidFile ${directory}/sshd.pid`,
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    `SetEnv PATH=${host.runDir}/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  ];
  await writeFile(`${directory}/sshd_config`, `${config.join('\n')}\n`);
  // Where its unprivileged half lives (sshd(8)).
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const args = ['-D', '-e', '-f', `${directory}/sshd_config`];
  const sshd = host.spawn('/usr/sbin/sshd', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  // "Server listening on …" is its first word.
  await once(sshd.stderr as Readable, 'data');
  sshd.stderr?.resume();
  const { stdout } = await runCommand('ssh-keygen', ['-lf', `${directory}/host_key.pub`]);
  const fingerprint = stdout.split(' ')[1] ?? '';
  return { right: `${directory}/right`, wrong: `${directory}/wrong`, fingerprint };
}
