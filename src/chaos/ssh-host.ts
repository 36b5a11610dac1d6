/**
 * A real host for the chaos script, over ssh. Links are cut by dropping what comes from or goes to the other host’s
 * addresses: our own connection and other guests’ packets pass.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ProtectBody } from '../agent/control/client.js';
import { controlSocket } from '../agent/control/control-socket.js';
import type { DomainStatus } from '../agent/status.js';
import { UnderstudyError } from '../errors.js';
import { quoted } from '../shell-word.js';
import type { ChaosHost } from './chaos-host.js';
import { chaosError } from './errors.js';
import type { ChaosLink, Way } from './faults.js';
import { roomIn, runChecked } from './host-commands.js';
import type { InventoryHost } from './inventory.js';
import {
  BOOT_MS_MAX,
  CHECKPOINT_MS_MAX,
  COMMAND_MS_MAX,
  FILL_BYTES_MAX,
  STATUS_MS_MAX,
} from './limits.js';
import { addressRules, applyScript, HEAL_SCRIPT } from './link-rules.js';
import type { Outcome } from './program.js';
import { SshConnection, type SshOptions } from './ssh-connection.js';

export interface SshHostOptions extends SshOptions {
  peer: InventoryHost;
  /** sysrq(8): b reboots at once, c panics. */
  crash: 'b' | 'c';
}

/** Programs that faults need, and the Debian package of each. */
const PROGRAMS = {
  nft: 'nftables',
  ss: 'iproute2',
  fallocate: 'util-linux',
  setsid: 'util-linux',
} as const;

const RETRY_MS = 1_000;
/** What `understudy status` ends with when it could answer: protected, not protected. */
const STATUS_EXIT_CODES = [0, 4];

export class SshHost implements ChaosHost {
  readonly name: string;
  readonly directories: { run: string; state: string };
  readonly #ssh: SshConnection;
  #bootId = '';

  private constructor(
    private readonly host: InventoryHost,
    private readonly options: SshHostOptions,
  ) {
    this.name = host.clusterName;
    this.directories = host.directories;
    this.#ssh = new SshConnection(host.ssh, options);
  }

  /** Reached, and equipped for every fault. @throws CHAOS_HOST_UNREACHABLE, CHAOS_HOST_LACKS */
  static async open(target: InventoryHost, options: SshHostOptions): Promise<SshHost> {
    const host = new SshHost(target, options);
    try {
      await host.#requirePrograms();
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  run(script: string, timeoutMs = COMMAND_MS_MAX): Promise<Outcome> {
    return this.#ssh.run(script, timeoutMs);
  }

  async status(domain: string): Promise<DomainStatus | undefined> {
    try {
      const answer = await this.#understudy(`status ${quoted(domain)}`, STATUS_MS_MAX);
      if (!STATUS_EXIT_CODES.includes(answer.exitCode)) return undefined;
      return JSON.parse(answer.stdout) as DomainStatus;
    } catch (error) {
      // A host that is down or stands still has no status.
      if (error instanceof UnderstudyError) return undefined;
      throw error;
    }
  }

  async checkpoint(domain: string): Promise<number> {
    const command = `checkpoint ${quoted(domain)} --wait`;
    const { exitCode, stdout } = await this.#understudy(command, CHECKPOINT_MS_MAX);
    if (exitCode === 0) return (JSON.parse(stdout) as { epoch?: number }).epoch ?? 0;
    throw chaosError('CHAOS_COMMAND_FAILED', `host ${this.name}: checkpoint: ${stdout.trim()}`);
  }

  async protect(
    domain: string,
    _backup: ChaosHost,
    _options: Pick<ProtectBody, 'faults'>,
  ): Promise<void> {
    const [address = this.options.peer.ssh.host] = this.options.peer.addresses;
    const heartbeats = this.options.peer.addresses.map((path) => `--heartbeat-host ${path}`);
    const command = `protect ${quoted(domain)} --backup ${address} ${heartbeats.join(' ')}`;
    const { exitCode, stdout } = await this.#understudy(command, BOOT_MS_MAX);
    if (exitCode === 0) return;
    throw chaosError('CHAOS_COMMAND_FAILED', `host ${this.name}: protect: ${stdout.trim()}`);
  }

  async crash(): Promise<void> {
    this.#bootId = await this.#readBootId();
    const key = this.options.crash;
    // In the background, so that the command ends before its host does.
    const script = `echo 1 > /proc/sys/kernel/sysrq
      setsid sh -c 'sleep 0.2; echo ${key} > /proc/sysrq-trigger' < /dev/null > /dev/null 2>&1 &`;
    await runChecked(this, script);
    // Nobody says goodbye on the other side.
    this.#ssh.close();
  }

  async boot(): Promise<void> {
    const deadlineMs = performance.now() + BOOT_MS_MAX;
    for (;;) {
      try {
        if ((await this.#readBootId()) !== this.#bootId) return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
      }
      await delay(RETRY_MS);
    }
  }

  async ensureLibvirtd(): Promise<void> {
    await runChecked(
      this,
      `for file in /run/libvirtd.pid /run/virtqemud.pid /run/libvirt/libvirtd.pid; do
         kill -0 "$(cat $file 2>/dev/null)" 2>/dev/null && exit 0
       done
       systemctl start libvirtd 2>/dev/null || service libvirtd start`,
    );
  }

  async cut(links: readonly ChaosLink[], way: Way): Promise<void> {
    await runChecked(this, applyScript(addressRules(this.#peerAddresses(links), way)));
  }

  async healLinks(): Promise<void> {
    await runChecked(this, HEAL_SCRIPT);
  }

  async mayFill(directory: string): Promise<boolean> {
    return (await roomIn(this, directory)) <= FILL_BYTES_MAX;
  }

  async mendByItself(afterMs: number, script: string): Promise<void> {
    const seconds = Math.ceil(afterMs / 1000);
    const later = quoted(`sleep ${seconds}\n${script}`);
    await runChecked(this, `setsid sh -c ${later} < /dev/null > /dev/null 2>&1 &`);
  }

  async close(): Promise<void> {
    this.#ssh.close();
  }

  /** @throws CHAOS_FAULT_IMPOSSIBLE when the inventory names no address on that link */
  #peerAddresses(links: readonly ChaosLink[]): string[] {
    const [repl, lan] = this.options.peer.addresses;
    return links.map((link) => {
      const address = link === 'repl' ? repl : lan;
      if (address !== undefined) return address;
      const why = `understudy_addresses of ${this.options.peer.name} has no address on ${link}`;
      throw chaosError('CHAOS_FAULT_IMPOSSIBLE', why);
    });
  }

  async #readBootId(): Promise<string> {
    return (await runChecked(this, 'cat /proc/sys/kernel/random/boot_id')).stdout.trim();
  }

  #understudy(command: string, timeoutMs: number): Promise<Outcome> {
    const { command: program, directories } = this.host;
    const socket = quoted(controlSocket(directories.run));
    return this.run(`${quoted(program)} --socket ${socket} ${command} --json`, timeoutMs);
  }

  async #requirePrograms(): Promise<void> {
    const asked = [...Object.keys(PROGRAMS), this.host.command];
    const script = asked
      .map((name) => `command -v ${quoted(name)} > /dev/null || echo ${quoted(name)}`)
      .join('\n');
    const { stdout } = await this.run(script);
    const missing = stdout.split('\n').filter((name) => name !== '');
    if (missing.length === 0) return;
    const packages = missing.map((name) => PROGRAMS[name as keyof typeof PROGRAMS] ?? name);
    const why = `${missing.join(', ')} (Debian: ${packages.join(', ')})`;
    throw chaosError('CHAOS_HOST_LACKS', `host ${this.name} has no ${why}`);
  }
}
