/** Runs the playbooks of deploy/ansible from the controller's place and reads their recap. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { HOST_ADDRESSES, HOST_NAMES, type HostName } from '../../src/lab/layout.js';
import type { BarePair } from './bare-pair.js';

export interface Recap {
  ok: number;
  changed: number;
  unreachable: number;
  failed: number;
}

/** An upgrade goes host by host: two minutes on two idle cores, twice that on busy ones. */
const PLAYBOOK_TIMEOUT_MS = 560_000;
const DEPLOY = fileURLToPath(new URL('../../deploy/ansible', import.meta.url));

/** What differs from a real pair is said here: namespaces confine these systems, cgroups and AppArmor do not. */
const TEST_QEMU_SETTINGS = {
  security_driver: '"none"',
  user: '"root"',
  group: '"root"',
  dynamic_ownership: '0',
  remember_owner: '0',
  cgroup_controllers: '[]',
  namespaces: '[]',
  stdio_handler: '"file"',
};

/** An inventory as an operator writes one; JSON is YAML. */
export async function writeInventory(pair: BarePair, tarball: string): Promise<string> {
  const path = `${pair.directory}/inventory.yml`;
  const hosts = Object.fromEntries(
    HOST_NAMES.map((name) => [
      name,
      {
        ansible_host: HOST_ADDRESSES[name].lan,
        understudy_addresses: [HOST_ADDRESSES[name].repl, HOST_ADDRESSES[name].lan],
      },
    ]),
  );
  const vars = {
    ansible_user: 'root',
    ansible_ssh_private_key_file: pair.identity,
    ansible_ssh_common_args: pair.sshOptions.slice(2).join(' '),
    ansible_python_interpreter: '/usr/bin/python3',
    understudy_package: tarball,
    understudy_node_binary: process.execPath,
    understudy_qemu_settings: TEST_QEMU_SETTINGS,
    understudy_bridge: 'br0',
    understudy_bridge_ports: ['guests'],
    understudy_firewall: true,
    understudy_apt_cache_valid_s: 100 * 86_400,
  };
  await writeFile(path, JSON.stringify({ understudy: { hosts, vars } }, null, 2));
  return path;
}

/** Resolves with what it did on each host. @throws LAB_COMMAND_FAILED with what ansible-playbook said */
export async function runPlaybook(
  pair: BarePair,
  inventory: string,
  playbook: string,
  options: readonly string[] = [],
): Promise<{ recap: Record<HostName, Recap>; output: string }> {
  const {
    stdout: output,
    exitCode,
    stderr,
  } = await pair.controller.exec(
    'ansible-playbook',
    ['-i', inventory, `${DEPLOY}/${playbook}`, ...options],
    {
      timeoutMs: PLAYBOOK_TIMEOUT_MS,
      exitCodes: [0, 1, 2, 4],
      env: {
        ...process.env,
        ANSIBLE_CONFIG: `${DEPLOY}/ansible.cfg`,
        ANSIBLE_SSH_CONTROL_PATH_DIR: `${pair.directory}/ssh`,
        ANSIBLE_LOCAL_TEMP: `${pair.directory}/ansible`,
        ANSIBLE_NOCOLOR: '1',
      },
    },
  );
  if (exitCode !== 0) throw new Error(`${playbook}: exit code ${exitCode}\n${output}\n${stderr}`);
  return { recap: { a: recapOf(output, 'a'), b: recapOf(output, 'b') }, output };
}

function recapOf(output: string, host: HostName): Recap {
  const line = new RegExp(`^${host}\\s+:(.*)$`, 'm').exec(output)?.[1];
  if (line === undefined) throw new Error(`no recap of ${host} in:\n${output}`);
  const count = (name: string): number =>
    Number(new RegExp(`${name}=(\\d+)`).exec(line)?.[1] ?? Number.NaN);
  return {
    ok: count('ok'),
    changed: count('changed'),
    unreachable: count('unreachable'),
    failed: count('failed'),
  };
}
