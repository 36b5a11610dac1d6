/**
 * A small real network for the output hold's tests, in this process's network namespace:
 *
 *   guest namespace -- guest's tap (a real tun device) -- bridge -- client namespace
 *
 * The tap's far side is a tap holder that passes everything, which does what QEMU does: it
 * writes frames with virtio-net headers, so that the guest's output is ingress on its tap.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { type NativeTapHolder, native } from '../../src/native.js';

const execute = promisify(execFile);

export const bridge = 'us3br';
export const tap = 'us3tap';
export const guestSpace = 'us3-guest';
export const clientSpace = 'us3-client';
export const guest = { v4: '10.77.0.2', v6: 'fd77::2', mac: '52:54:00:77:00:02' };
export const client = { v4: '10.77.0.3', v6: 'fd77::3', mac: '52:54:00:77:00:03' };

const answerTimeoutMs = 15_000;

export async function sh(script: string): Promise<string> {
  const { stdout } = await execute('sh', ['-ec', script], { timeout: answerTimeoutMs });
  return stdout;
}

export async function inSpace(space: string, script: string): Promise<string> {
  return sh(`exec ip netns exec ${space} sh -ec '${script}'`);
}

/** Waits for a condition, never for a time. */
export async function until(
  what: string | (() => string),
  isTrue: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadlineMs = performance.now() + answerTimeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs)
      throw new Error(`never came true: ${typeof what === 'string' ? what : what()}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

export class GuestNetwork {
  readonly #peers: Peer[] = [];
  private constructor(private readonly qemu: NativeTapHolder) {}

  static async make(): Promise<GuestNetwork> {
    await tearDown();
    await sh(`
      ip link add ${bridge} type bridge stp_state 0
      ip link set ${bridge} addrgenmode none up`);
    await addSpace(guestSpace, 'us3gv', guest);
    await addSpace(clientSpace, 'us3cl', client);
    await sh(`ip link set us3cl master ${bridge}`);
    await neighbours();
    const qemu = native.net.openTapHolder({
      readTap: 'us3gin',
      bridgeTap: tap,
      epoch: 1,
      limitPackets: 100_000,
      limitBytes: 64 * 1024 * 1024,
      onWaiting: () => undefined,
      onTrouble: () => undefined,
    });
    qemu.setPassing(true);
    await sh(`
      ip link set ${tap} address fe:54:00:77:00:02 master ${bridge} up
      ip link add us3null type bridge
      tc qdisc add dev us3gv clsact
      # Multicast reports come when they like: into an interface that is down, which drops them.
      tc filter add dev us3gv ingress protocol ipv6 pref 1 u32 match ip6 protocol 0 0xff action mirred egress redirect dev us3null
      tc filter add dev us3gv ingress protocol all pref 2 u32 match u32 0 0 at -12 action mirred egress redirect dev us3gin
      tc qdisc add dev ${tap} clsact
      tc filter add dev ${tap} egress protocol all pref 9 u32 match u32 0 0 at -12 action mirred egress redirect dev us3gv`);
    return new GuestNetwork(qemu);
  }

  async peer(space: string, ...args: string[]): Promise<Peer> {
    const peer = await Peer.start(space, args);
    this.#peers.push(peer);
    return peer;
  }

  /** Everything the guest has sent so far has been written to its tap. */
  async sent(): Promise<void> {
    const { openEpoch } = this.qemu.stats();
    this.qemu.closeEpoch(openEpoch);
    await this.qemu.release(openEpoch);
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.kill();
    await this.qemu.close();
    await tearDown();
  }
}

/** A process in a namespace that answers commands (netbuffer-peer.mjs). */
export class Peer {
  readonly #waiting: ((line: string) => void)[] = [];
  private constructor(private readonly child: ChildProcess) {
    if (child.stdout === null) throw new Error('the peer has no output');
    createInterface({ input: child.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
  }

  static async start(space: string, args: readonly string[]): Promise<Peer> {
    const script = new URL('netbuffer-peer.mjs', import.meta.url).pathname;
    const child = spawn('ip', ['netns', 'exec', space, process.execPath, script, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const peer = new Peer(child);
    await peer.#line();
    return peer;
  }

  async ask<T>(command: string, options: Record<string, unknown> = {}): Promise<T> {
    const answer = this.#line();
    this.child.stdin?.write(`${JSON.stringify({ command, ...options })}\n`);
    const { value, error } = JSON.parse(await answer) as { value: T; error?: string };
    if (error !== undefined) throw new Error(`${command}: ${error}`);
    return value;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  #line(): Promise<string> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the peer is silent')), answerTimeoutMs);
      this.#waiting.push((line) => {
        clearTimeout(late);
        resolve(line);
      });
    });
  }
}

let marks = 0;

/**
 * The numbers a receiver has got. A mark it sends to itself comes behind every packet that has
 * reached its socket by now, so what is missing has not been delivered.
 */
export async function received(receiver: Peer): Promise<number[]> {
  const mark = -++marks;
  await receiver.ask('send', { to: '::1', number: mark });
  let seen: number[] = [];
  await until('the mark is back', async () => {
    seen = await receiver.ask<number[]>('seen');
    return seen.includes(mark);
  });
  return seen.filter((number) => number > 0);
}

/** What a real capture in the client's namespace sees of the guest, one line per frame. */
export class Capture {
  readonly lines: string[] = [];
  private constructor(private readonly child: ChildProcess) {
    if (child.stdout === null) throw new Error('the capture has no output');
    createInterface({ input: child.stdout }).on('line', (line) => this.lines.push(line));
  }

  static async start(filter: string): Promise<Capture> {
    const args = ['netns', 'exec', clientSpace, 'tcpdump', '-i', 'eth0', '-lnnet'];
    const child = spawn('ip', [...args, '--immediate-mode', filter], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const capture = new Capture(child);
    let said = '';
    child.stderr.on('data', (text: Buffer) => {
      said += text.toString();
    });
    await until('tcpdump listens', () => said.includes('listening'));
    return capture;
  }

  async stop(): Promise<readonly string[]> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGINT');
    await ended;
    return this.lines;
  }
}

/** How often the guest's link has gone up or down since its tap was made. */
export async function carrierChanges(): Promise<number> {
  return Number(await readFile(`/sys/class/net/${tap}/carrier_changes`, 'utf8'));
}

async function addSpace(space: string, outside: string, host: typeof guest): Promise<void> {
  await sh(`
    ip netns add ${space}
    ip link add ${outside} type veth peer name eth0 netns ${space}
    ip link set ${outside} addrgenmode none up`);
  await inSpace(
    space,
    `
    ip link set lo up
    ip link set eth0 address ${host.mac} addrgenmode none up
    ip addr add ${host.v4}/24 dev eth0
    ip addr add ${host.v6}/64 dev eth0 nodad
    ip route add 224.0.0.0/4 dev eth0`,
  );
}

/** Fixed neighbours, so that the only frames on the wire are those that a test sends. */
async function neighbours(): Promise<void> {
  const known = (to: typeof guest) => `
    ip neigh replace ${to.v4} lladdr ${to.mac} dev eth0 nud permanent
    ip neigh replace ${to.v6} lladdr ${to.mac} dev eth0 nud permanent`;
  await inSpace(guestSpace, known(client));
  await inSpace(clientSpace, known(guest));
}

/** Also of what a killed run has left; links first, because namespaces go in the background. */
async function tearDown(): Promise<void> {
  for (const link of [bridge, 'us3gv', 'us3cl', 'us3null']) {
    await sh(`! ip link show ${link} >/dev/null 2>&1 || ip link del ${link}`);
  }
  for (const space of [guestSpace, clientSpace]) {
    await sh(`! ip netns list | grep -q '^${space}' || ip netns del ${space}`);
  }
}
