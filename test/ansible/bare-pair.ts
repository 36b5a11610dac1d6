/**
 * Two bare Debian systems, a network of two links between them and a client beside them, made from
 * namespaces: each system has its own files, processes, name, network and sshd, and no systemd. Names,
 * addresses and tear-down are the laboratory's (src/lab/layout.ts); unlike its hosts these have nothing installed.
 *
 * A system has three cards: `lan` with its address, `repl` to the other system, and `guests`, without an
 * address, for a bridge.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type CommandResult, runCommand } from '../../src/lab/command.js';
import {
  CLIENT_ADDRESS,
  HOST_ADDRESSES,
  HOST_NAMES,
  type HostName,
  hostDirectory,
  netnsName,
  netnsPath,
  PLACE_NAMES,
  runDirectory,
} from '../../src/lab/layout.js';
import { Host, Place } from '../../src/lab/place.js';
import { killProcessesIn, processesIn } from '../../src/lab/processes.js';
import { tearDown } from '../../src/lab/tear-down.js';

/** Making the root downloads a Debian and its packages once. */
const ROOT_TIMEOUT_MS = 900_000;
/** A boot brings the network up and makes a host key. */
const BOOT_TIMEOUT_MS = 20_000;
const SSH_TIMEOUT_MS = 120_000;
/** What the systems write: packages, a guest's disk twice. In memory. */
const WRITTEN_BYTES_MAX = '6g';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export class BarePair {
  /** Where the controller is: outside both systems, on their LAN. */
  readonly controller: Place;
  readonly #prefix: string;
  readonly #root: string;
  readonly #inits = new Map<HostName, ChildProcess>();

  private constructor(prefix: string, root: string) {
    this.#prefix = prefix;
    this.#root = root;
    this.controller = new Place(prefix, 'c');
  }

  /** Both systems answer over ssh when this resolves. `packages` lie there as files, not installed. */
  static async up(prefix: string, packages: readonly string[]): Promise<BarePair> {
    await tearDown(prefix);
    const made = await runCommand(here('bare-root'), packages, { timeoutMs: ROOT_TIMEOUT_MS });
    const pair = new BarePair(prefix, made.stdout.trim());
    try {
      await pair.#prepare();
      await Promise.all(HOST_NAMES.map((name) => pair.boot(name)));
      return pair;
    } catch (error) {
      await pair.down();
      throw error;
    }
  }

  /** As the laboratory sees it: its files below `runDir`, its libvirt once it has one. */
  host(name: HostName): Host {
    return new Host(this.#prefix, name);
  }

  get directory(): string {
    return runDirectory(this.#prefix);
  }

  get identity(): string {
    return `${this.directory}/id`;
  }

  /** Options for ssh, and for programs that call it. */
  get sshOptions(): string[] {
    const known = `UserKnownHostsFile=${this.directory}/known_hosts`;
    return ['-i', this.identity, '-o', known, '-o', 'StrictHostKeyChecking=accept-new'];
  }

  /** Runs a command line on a system as an operator would. @throws LAB_COMMAND_FAILED */
  ssh(name: HostName, command: string, exitCodes?: readonly number[]): Promise<CommandResult> {
    const to = ['-o', 'BatchMode=yes', `root@${HOST_ADDRESSES[name].lan}`, command];
    return this.controller.exec('ssh', [...this.sshOptions, ...to], {
      timeoutMs: SSH_TIMEOUT_MS,
      ...(exitCodes === undefined ? {} : { exitCodes }),
    });
  }

  /** Starts a system, the first time or after `kill`; what it had written is still there. */
  async boot(name: HostName): Promise<void> {
    const directory = `${this.directory}/system-${name}`;
    await batch(
      ['-n', netnsName(this.#prefix, name)],
      CARDS.map((card) => `link set ${card} up`),
    );
    const namespaces = ['--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child=SIGKILL'];
    const init = spawn(
      'nsenter',
      [
        `--net=${netnsPath(this.#prefix, name)}`,
        'unshare',
        ...namespaces,
        ...['--propagation', 'private', here('enter-system'), this.#root, directory],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    );
    this.#inits.set(name, init);
    await bootedUp(init, name);
    const [pid] = await childrenOf(init.pid);
    if (pid === undefined) throw new Error(`system ${name} has no init`);
    // From outside, the system's files are where the laboratory looks for a host's.
    await rm(hostDirectory(this.#prefix, name), { force: true });
    await symlink(`/proc/${pid}/root`, hostDirectory(this.#prefix, name));
  }

  /** The whole system dies at once; its cards fall silent. */
  async kill(name: HostName): Promise<void> {
    await killProcessesIn([netnsPath(this.#prefix, name)]);
    await batch(
      ['-n', netnsName(this.#prefix, name)],
      CARDS.map((card) => `link set ${card} down`),
    );
  }

  async isDead(name: HostName): Promise<boolean> {
    return (await processesIn([netnsPath(this.#prefix, name)])).length === 0;
  }

  down(): Promise<void> {
    return tearDown(this.#prefix);
  }

  async #prepare(): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    const size = `size=${WRITTEN_BYTES_MAX},mode=700`;
    await runCommand('mount', ['-t', 'tmpfs', '-o', size, 'understudy-lab', this.directory]);
    const key = ['-q', '-t', 'ed25519', '-N', '', '-f', this.identity];
    await runCommand('ssh-keygen', key);
    await this.#createNetwork();
    const publicKey = await readFile(`${this.identity}.pub`, 'utf8');
    for (const name of HOST_NAMES) {
      const directory = `${this.directory}/system-${name}`;
      const etc = `${directory}/upper/etc`;
      const ssh = `${directory}/upper/root/.ssh`;
      for (const path of ['root', 'work', 'upper/etc/network', 'upper/root/.ssh']) {
        await mkdir(`${directory}/${path}`, { recursive: true, mode: 0o755 });
      }
      await chmod(`${directory}/upper/root`, 0o700);
      await chmod(ssh, 0o700);
      await writeFile(`${ssh}/authorized_keys`, publicKey, { mode: 0o600 });
      await writeFile(`${etc}/hostname`, `${name}\n`);
      await writeFile(`${etc}/hosts`, `127.0.0.1 localhost\n127.0.1.1 ${name}\n`);
      await writeFile(`${etc}/network/interfaces`, interfaces(name));
    }
  }

  async #createNetwork(): Promise<void> {
    const [a, b, c] = PLACE_NAMES.map((place) => netnsName(this.#prefix, place));
    await batch(
      [],
      [
        ...PLACE_NAMES.map((place) => `netns add ${netnsName(this.#prefix, place)}`),
        `link add lan netns ${a} type veth peer name to-a netns ${c}`,
        `link add lan netns ${b} type veth peer name to-b netns ${c}`,
        `link add guests netns ${a} type veth peer name guests-a netns ${c}`,
        `link add guests netns ${b} type veth peer name guests-b netns ${c}`,
        `link add repl netns ${a} type veth peer name repl netns ${b}`,
      ],
    );
    await batch(
      ['-n', `${c}`],
      [
        'link set lo up',
        'link add lan type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
        ...['to-a', 'to-b', 'guests-a', 'guests-b'].map((port) => `link set ${port} master lan up`),
        'link set lan up',
        `addr add ${CLIENT_ADDRESS.lan}/16 brd + dev lan`,
        `addr add ${CLIENT_ADDRESS.lan6}/64 dev lan nodad`,
      ],
    );
  }
}

const CARDS = ['lan', 'guests', 'repl'] as const;

/** A static network as a Debian installer writes it. */
function interfaces(name: HostName): string {
  const { lan, repl } = HOST_ADDRESSES[name];
  return `source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

auto lan
iface lan inet static
    address ${lan}/16

auto repl
iface repl inet static
    address ${repl}/30

auto guests
iface guests inet manual
    up ip link set guests up
`;
}

async function bootedUp(init: ChildProcess, name: HostName): Promise<void> {
  let said = '';
  const signal = AbortSignal.timeout(BOOT_TIMEOUT_MS);
  const up = new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      if (/^up$/m.test(said)) resolve();
    };
    init.stdout?.on('data', hear);
    init.stderr?.on('data', hear);
    init.once('exit', (code) => reject(new Error(`system ${name} ended with ${code}: ${said}`)));
    signal.addEventListener('abort', () =>
      reject(new Error(`system ${name} is not up after ${BOOT_TIMEOUT_MS} ms: ${said}`)),
    );
  });
  try {
    await Promise.race([up, once(init, 'error').then(([error]) => Promise.reject(error))]);
  } finally {
    init.unref();
  }
}

async function childrenOf(pid: number | undefined): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

async function batch(args: readonly string[], lines: readonly string[]): Promise<void> {
  await runCommand('ip', [...args, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
