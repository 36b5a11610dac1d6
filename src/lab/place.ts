/**
 * A place in the laboratory where programs run: the network namespace of a host or of the client,
 * for hosts together with their private mounts.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { type CommandOptions, type CommandResult, runCommand } from './command.js';
import {
  type HostName,
  hostDirectory,
  libvirtUri,
  mountNamespacePath,
  netnsName,
  netnsPath,
  type PlaceName,
} from './layout.js';

export class Place {
  readonly name: PlaceName;
  readonly netns: string;
  readonly #enter: readonly string[];

  constructor(prefix: string, name: PlaceName) {
    this.name = name;
    this.netns = netnsName(prefix, name);
    const mounts = name === 'c' ? [] : [`--mount=${mountNamespacePath(prefix, name)}`];
    this.#enter = [`--net=${netnsPath(prefix, name)}`, ...mounts];
  }

  /** Runs a command in this place to its end. @throws LAB_COMMAND_FAILED */
  exec(
    file: string,
    args: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    return runCommand('nsenter', this.#argumentsFor(file, args, process.cwd()), options);
  }

  /**
   * Starts a program in this place; its pid is the program's own (nsenter and env exec).
   * It is the caller's child; what still runs when the laboratory goes down is killed.
   */
  spawn(file: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const { cwd = process.cwd(), ...rest } = options;
    return spawn('nsenter', this.#argumentsFor(file, args, String(cwd)), rest);
  }

  // Entering a mount namespace moves the working directory to its root; `env -C` moves it back.
  #argumentsFor(file: string, args: readonly string[], cwd: string): string[] {
    return [...this.#enter, '--', 'env', '-C', cwd, file, ...args];
  }
}

export class Host extends Place {
  override readonly name: HostName;
  /** Reaches this host's libvirtd from inside and outside. */
  readonly libvirtUri: string;
  /** The host's private directories, seen from outside: `${runDir}/run/understudy` and so on. */
  readonly runDir: string;

  constructor(prefix: string, name: HostName) {
    super(prefix, name);
    this.name = name;
    this.libvirtUri = libvirtUri(prefix, name);
    this.runDir = hostDirectory(prefix, name);
  }

  /** Runs virsh against this host's libvirtd. @throws LAB_COMMAND_FAILED */
  async virsh(...args: string[]): Promise<string> {
    // From outside: entering the namespaces would only cost time.
    return (await runCommand('virsh', ['-q', '-c', this.libvirtUri, ...args])).stdout;
  }
}
