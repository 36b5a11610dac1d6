/**
 * Two hosts and a client on one machine: network and mount namespaces, a libvirtd of its own on
 * each host, real QEMU guests. Used by the demo, tests and benchmarks; layout.ts has the picture.
 *
 * What a laboratory leaves behind can always be removed by its prefix (`Lab.tearDown`), also after
 * its owner was killed; the next `Lab.up` does that by itself.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { runCommand } from './command.js';
import { labError } from './errors.js';
import { bootGuest, type GuestOptions, startGuest } from './guest.js';
import { guestImage } from './guest-image.js';
import {
  checkedPrefix,
  DEFAULT_PREFIX,
  guestAddress,
  HOST_NAMES,
  type HostName,
  mountNamespacePath,
  netnsPath,
  runDirectory,
  stateFile,
} from './layout.js';
import { createMounts, type HostFileSystem, MOUNT_SOURCE, startLibvirtd } from './libvirtd.js';
import { GUESTS_MAX } from './limits.js';
import { createNetwork, LINKS, type Link, setLinks } from './network.js';
import { Host, Place } from './place.js';
import { killProcessesIn, processesIn, sendSignal } from './processes.js';
import {
  freshState,
  type GuestRecord,
  type LabState,
  ownerLives,
  readState,
  writeState,
} from './state.js';
import { tearDown } from './tear-down.js';

export interface LabOptions {
  /** Starts every name; default UNDERSTUDY_LAB_PREFIX, else `uslab`. */
  prefix?: string;
  /** Tear down on SIGINT, SIGTERM and SIGHUP, then end by that signal (default true). */
  tearDownOnSignal?: boolean;
  /** Directories of both hosts that are file systems of their own with a bound, outer ones first; default none. */
  fileSystems?: readonly HostFileSystem[];
}

export interface HostDeath {
  /** CLOCK_MONOTONIC when the last signal was sent, ns. */
  diedAtNs: bigint;
  killedPids: number[];
}

export class Lab {
  readonly prefix: string;
  readonly client: Place;
  readonly #hosts: Readonly<Record<HostName, Host>>;
  #state: LabState;
  #signals: SignalWatch | undefined;
  /** Numbers of guests that are being started. */
  readonly #reserved = new Set<number>();

  private constructor(state: LabState) {
    this.prefix = state.prefix;
    this.#state = state;
    this.client = new Place(state.prefix, 'c');
    this.#hosts = { a: new Host(state.prefix, 'a'), b: new Host(state.prefix, 'b') };
  }

  /**
   * Starts both hosts and the client; removes a dead owner's laboratory of the same prefix first.
   * On failure nothing is left. @throws LAB_NOT_ROOT, LAB_PREFIX_BUSY, LAB_COMMAND_FAILED
   */
  static async up(options: LabOptions = {}): Promise<Lab> {
    const prefix = checkedPrefix(
      options.prefix ?? process.env.UNDERSTUDY_LAB_PREFIX ?? DEFAULT_PREFIX,
    );
    if (process.getuid?.() !== 0) throw labError('LAB_NOT_ROOT', 'the laboratory needs root');
    await refuseLivingOwner(prefix);
    await tearDown(prefix);
    const lab = new Lab(await freshState(prefix));
    if (options.tearDownOnSignal !== false) lab.#signals = new SignalWatch(() => tearDown(prefix));
    try {
      await lab.#start(options.fileSystems ?? []);
    } catch (error) {
      await lab.down();
      throw error;
    }
    return lab;
  }

  /** A laboratory that another process started. @throws LAB_NOT_UP */
  static async open(prefix: string): Promise<Lab> {
    return new Lab(await readState(checkedPrefix(prefix)));
  }

  static tearDown(prefix: string): Promise<void> {
    return tearDown(prefix);
  }

  host(name: HostName): Host {
    return this.#hosts[name];
  }

  guests(): readonly GuestRecord[] {
    return this.#state.guests;
  }

  /** The guest is up and what it was told to run answers. @throws LAB_GUEST_NOT_READY */
  async startGuest(options: GuestOptions, host: HostName = 'a'): Promise<GuestRecord> {
    // Reserved before the first await: two starts at once get two addresses.
    const number = this.#freeGuestNumber();
    this.#reserved.add(number);
    try {
      const guest = await startGuest(this.#hosts[host], number, options);
      this.#state = { ...this.#state, guests: [...this.#state.guests, guest] };
      await writeState(this.#state);
      return guest;
    } finally {
      this.#reserved.delete(number);
    }
  }

  /** Starts a guest again that its host knows (`define`, or promoted there). @throws LAB_GUEST_NOT_READY */
  async bootGuest(name: string, host: HostName = 'a'): Promise<GuestRecord> {
    const known = this.#state.guests.find((guest) => guest.name === name);
    if (known === undefined) throw labError('LAB_OPTION_INVALID', `no guest ${name} was started`);
    const guest = await bootGuest(this.#hosts[host], known);
    const guests = this.#state.guests.map((other) => (other === known ? guest : other));
    this.#state = { ...this.#state, guests };
    await writeState(this.#state);
    return guest;
  }

  /**
   * The host loses power: its cables go silent first, as no dying host says goodbye, then
   * everything that runs on it (agent, QEMU, libvirtd) is killed at once.
   */
  async killHost(name: HostName): Promise<HostDeath> {
    const namespaces = this.#namespacesOf(name);
    const [killedPids] = await Promise.all([
      processesIn(namespaces),
      setLinks(this.prefix, name, LINKS, false),
    ]);
    for (const pid of killedPids) sendSignal(pid, 'SIGKILL');
    const diedAtNs = process.hrtime.bigint();
    await killProcessesIn(namespaces);
    return { diedAtNs, killedPids };
  }

  /** A killed host comes back: cables, libvirtd; /run is empty, its disks are as they were. */
  async bootHost(name: HostName): Promise<void> {
    await setLinks(this.prefix, name, LINKS, true);
    await startLibvirtd(this.#hosts[name]);
  }

  /** Pulls or plugs in one cable of a host. */
  setLink(name: HostName, link: Link, up: boolean): Promise<void> {
    return setLinks(this.prefix, name, [link], up);
  }

  /** Removes everything. Idempotent. */
  async down(): Promise<void> {
    this.#signals?.close();
    await tearDown(this.prefix);
  }

  async #start(fileSystems: readonly HostFileSystem[]): Promise<void> {
    const directory = runDirectory(this.prefix);
    await mkdir(directory, { recursive: true });
    // tmpfs because libvirt rewrites its records at every state change; private because a kept
    // mount namespace must not be copied into itself (unshare(1)).
    const mount = ['-t', 'tmpfs', '-o', 'mode=0755', '--make-private', MOUNT_SOURCE, directory];
    await runCommand('mount', mount);
    await Promise.all([writeState(this.#state), createNetwork(this.prefix), guestImage()]);
    await Promise.all(
      HOST_NAMES.map(async (name) => {
        await createMounts(this.prefix, name, fileSystems);
        await startLibvirtd(this.#hosts[name]);
      }),
    );
  }

  #namespacesOf(name: HostName): string[] {
    return [netnsPath(this.prefix, name), mountNamespacePath(this.prefix, name)];
  }

  #freeGuestNumber(): number {
    const taken = new Set(this.#state.guests.map((guest) => guest.ip));
    for (let number = 1; number <= GUESTS_MAX; number++) {
      if (!taken.has(guestAddress(number).ip) && !this.#reserved.has(number)) return number;
    }
    throw labError('LAB_OPTION_INVALID', `no more than ${GUESTS_MAX} guests in one laboratory`);
  }
}

async function refuseLivingOwner(prefix: string): Promise<void> {
  if (!existsSync(stateFile(prefix))) return;
  const state = await readState(prefix).catch(() => undefined);
  // An unreadable record is a crash's: nobody answers for it.
  if (state === undefined || !(await ownerLives(state))) return;
  throw labError('LAB_PREFIX_BUSY', `process ${state.owner.pid} owns laboratory "${prefix}"`);
}

/** Runs `cleanUp` once on a signal that ends the process, then ends it by that signal. */
class SignalWatch {
  readonly #listener: (signal: NodeJS.Signals) => void;
  static readonly #signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

  constructor(cleanUp: () => Promise<void>) {
    this.#listener = (signal) => {
      this.close();
      const end = () => process.kill(process.pid, signal);
      cleanUp().then(end, (error: unknown) => {
        process.stderr.write(`laboratory: ${String(error)}\n`);
        end();
      });
    };
    for (const signal of SignalWatch.#signals) process.on(signal, this.#listener);
  }

  close(): void {
    for (const signal of SignalWatch.#signals) process.off(signal, this.#listener);
  }
}
