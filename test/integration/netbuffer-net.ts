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

export interface Host {
  readonly v4: string;
  readonly v6: string;
  readonly mac: string;
  readonly space: string;
  /** The end of its cable on the outside: the bridge port of the client, the far end of the tap of a guest. */
  readonly cable: string;
}

export interface GuestHost extends Host {
  readonly tap: string;
  readonly qemuTap: string;
}

export const bridge = 'us3br';
export const guest: GuestHost = {
  v4: '10.77.0.2',
  v6: 'fd77::2',
  mac: '52:54:00:77:00:02',
  space: 'us3-guest',
  cable: 'us3gv',
  tap: 'us3tap',
  qemuTap: 'us3gin',
};
/** Or the second interface of the first guest: the hold knows interfaces, not guests. */
export const secondGuest: GuestHost = {
  v4: '10.77.0.4',
  v6: 'fd77::4',
  mac: '52:54:00:77:00:04',
  space: 'us3-guest2',
  cable: 'us3gv2',
  tap: 'us3tap2',
  qemuTap: 'us3gin2',
};
export const client: Host = {
  v4: '10.77.0.3',
  v6: 'fd77::3',
  mac: '52:54:00:77:00:03',
  space: 'us3-client',
  cable: 'us3cl',
};
export const { tap } = guest;
export const clientSpace = client.space;

/** Emulated, in a kernel VM, everything takes ten times as long. */
const answerTimeoutMs = 15_000;

/** The shell of a kernel VM would take applets of its own, which know less. */
const realTools = 'ip() { /usr/sbin/ip "$@"; }; tc() { /usr/sbin/tc "$@"; }\n';

export async function sh(script: string): Promise<string> {
  const options = { timeout: answerTimeoutMs };
  const { stdout } = await execute('sh', ['-ec', realTools + script], options);
  return stdout;
}

export async function inSpace(space: string, script: string): Promise<string> {
  return sh(`ip netns exec ${space} sh -ec '${realTools}${script}'`);
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

/** One guest's interface, as QEMU and libvirt would have it; a port of the bridge. */
export class LabGuest {
  #qemu: NativeTapHolder | undefined;
  constructor(readonly host: GuestHost) {}

  async plug(): Promise<void> {
    const { tap, qemuTap, cable, mac } = this.host;
    this.#qemu = native.net.openTapHolder({
      readTap: qemuTap,
      bridgeTap: tap,
      epoch: 1,
      limitPackets: 100_000,
      limitBytes: 64 * 1024 * 1024,
      onWaiting: () => undefined,
      onFilling: () => undefined,
      onTrouble: () => undefined,
    });
    this.#qemu.setPassing(true);
    await sh(`
      ip link set ${tap} address fe${mac.slice(2)} master ${bridge} up
      tc qdisc del dev ${cable} clsact 2>/dev/null || true
      tc qdisc add dev ${cable} clsact
      # Multicast reports come when they like: into an interface that is down, which drops them.
      tc filter add dev ${cable} ingress protocol ipv6 pref 1 u32 match ip6 protocol 0 0xff action mirred egress redirect dev us3null
      tc filter add dev ${cable} ingress protocol all pref 2 u32 match u32 0 0 at -12 action mirred egress redirect dev ${qemuTap}
      tc qdisc add dev ${tap} clsact
      tc filter add dev ${tap} egress protocol all pref 9 u32 match u32 0 0 at -12 action mirred egress redirect dev ${cable}`);
  }

  /** The tap goes, as at a hot-unplug or the end of QEMU. */
  async unplug(): Promise<void> {
    const qemu = this.#qemu;
    this.#qemu = undefined;
    await qemu?.close();
  }

  /** How often the guest's link has gone up or down since its tap was made. */
  async carrierChanges(): Promise<number> {
    return Number(await readFile(`/sys/class/net/${this.host.tap}/carrier_changes`, 'utf8'));
  }
}

export class GuestNetwork {
  readonly guest = new LabGuest(guest);
  #second: LabGuest | undefined;

  static async make(): Promise<GuestNetwork> {
    await tearDown();
    await sh(`
      ip link add ${bridge} type bridge stp_state 0
      ip link set ${bridge} addrgenmode none up
      ip link add us3null type bridge`);
    await addSpace(guest);
    await addSpace(client);
    await sh(`ip link set ${client.cable} master ${bridge}`);
    await knowEachOther(guest, client);
    const network = new GuestNetwork();
    await network.guest.plug();
    return network;
  }

  async second(): Promise<LabGuest> {
    if (this.#second !== undefined) return this.#second;
    await addSpace(secondGuest);
    this.#second = new LabGuest(secondGuest);
    await this.#second.plug();
    return this.#second;
  }

  async close(): Promise<void> {
    await this.guest.unplug();
    await this.#second?.unplug();
    await tearDown();
  }
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

async function addSpace(host: Host): Promise<void> {
  await sh(`
    ip netns add ${host.space}
    ip link add ${host.cable} type veth peer name eth0 netns ${host.space}
    ip link set ${host.cable} addrgenmode none up`);
  await inSpace(
    host.space,
    `
    ip link set lo up
    ip link set eth0 address ${host.mac} addrgenmode none up
    ip addr add ${host.v4}/24 dev eth0
    ip addr add ${host.v6}/64 dev eth0 nodad`,
  );
}

/** Fixed neighbours, so that the only frames on the wire are those that a test sends. */
async function knowEachOther(one: Host, other: Host): Promise<void> {
  const known = (to: Host) => `
    ip neigh replace ${to.v4} lladdr ${to.mac} dev eth0 nud permanent
    ip neigh replace ${to.v6} lladdr ${to.mac} dev eth0 nud permanent`;
  await inSpace(one.space, known(other));
  await inSpace(other.space, known(one));
}

/** Also of what a killed run has left; links first, because namespaces go in the background. */
async function tearDown(): Promise<void> {
  const links = [bridge, guest.cable, secondGuest.cable, client.cable, 'us3null'];
  const spaces = [guest.space, secondGuest.space, client.space];
  await sh(
    [
      ...links.map((link) => `! ip link show ${link} >/dev/null 2>&1 || ip link del ${link}`),
      ...spaces.map((space) => `! ip netns list | grep -qw '^${space}' || ip netns del ${space}`),
    ].join('\n'),
  );
}
