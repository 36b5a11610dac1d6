/** Starts a guest in the laboratory and asks the programs in it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { messageOf, UnderstudyError } from '../errors.js';
import { accelerator } from './accelerator.js';
import { waitUntilReady } from './console.js';
import { createDisks, type DiskOptions } from './disk-image.js';
import { domainXml, type GuestProgram, kernelArguments, type MachineType } from './domain-xml.js';
import { labError } from './errors.js';
import { guestImage } from './guest-image.js';
import { CLIENT_ADDRESS, CONSOLE_DIRECTORY, guestAddress } from './layout.js';
import { GUEST_READY_TIMEOUT_MS, GUEST_SILENT_TIMEOUT_MS } from './limits.js';
import type { Host } from './place.js';
import { BEACON_PORT } from './ports.js';
import type { GuestRecord } from './state.js';

export interface GuestOptions {
  name: string;
  memoryMib?: number;
  vcpus?: number;
  machine?: MachineType;
  /** What runs in the guest; default Redis, memstamp and a beacon to the client's port 7002. */
  run?: readonly GuestProgram[];
  /** `us.KEY=VALUE` of native/guest/init, such as { memstamp_mib: 64, beacon_hz: 500 }. */
  options?: Readonly<Record<string, string | number>>;
  /** Made anew on the guest's host; default none. */
  disks?: readonly DiskOptions[];
  /** Persistent: libvirt still knows the domain when it is not running (default false). */
  define?: boolean;
}

/** The guest is running and ready when this resolves. @throws LAB_GUEST_NOT_READY, LAB_GUEST_SILENT, LAB_COMMAND_FAILED */
export async function startGuest(
  host: Host,
  number: number,
  options: GuestOptions,
): Promise<GuestRecord> {
  const image = await guestImage();
  const accelerated = await accelerator(image);
  const { ip, ip6 } = guestAddress(number);
  const insidePath = `${CONSOLE_DIRECTORY}/${options.name}-console.log`;
  const guest: GuestRecord = {
    name: options.name,
    uuid: randomUUID(),
    host: host.name,
    ip,
    ip6,
    mac: randomMac(),
    consolePath: `${host.runDir}${insidePath}`,
    disks: await createDisks(host, options.name, options.disks ?? []),
  };
  const xml = domainXml({
    name: guest.name,
    uuid: guest.uuid,
    mac: guest.mac,
    memoryMib: options.memoryMib ?? 256,
    vcpus: options.vcpus ?? 1,
    machine: options.machine ?? 'q35',
    accelerator: accelerated,
    image,
    consolePath: insidePath,
    disks: guest.disks,
    kernelArguments: kernelArguments(accelerated, {
      ip,
      ip6,
      seed: randomBytes(32).toString('hex'),
      run: options.run ?? ['redis', 'memstamp', 'beacon'],
      options: {
        beacon_to: `${CLIENT_ADDRESS.lan}:${BEACON_PORT}`,
        talker_to: CLIENT_ADDRESS.lan,
        talker_to6: CLIENT_ADDRESS.lan6,
        ...options.options,
      },
    }),
  });
  const xmlPath = `${host.runDir}/run/${guest.name}.xml`;
  await writeFile(xmlPath, xml);
  if (options.define === true) await host.virsh('define', xmlPath);
  await boot(host, guest, () =>
    options.define === true ? host.virsh('start', guest.name) : host.virsh('create', xmlPath),
  );
  return guest;
}

/**
 * Starts a domain that a host knows and that does not run: the guest of that record, or its standby
 * after a takeover. Ready when this resolves. @throws LAB_GUEST_NOT_READY, LAB_GUEST_SILENT, LAB_COMMAND_FAILED
 */
export async function bootGuest(host: Host, guest: GuestRecord): Promise<GuestRecord> {
  const console = guest.consolePath.slice(guest.consolePath.indexOf(CONSOLE_DIRECTORY));
  const there = { ...guest, host: host.name, consolePath: `${host.runDir}${console}` };
  await boot(host, there, () => host.virsh('start', guest.name));
  return there;
}

/**
 * An emulated guest with two processors was seen to hang before its first word, once in a great many starts.
 * Nothing of ours is there yet: it gets a second start, and whoever watches is told where the first one stood.
 */
async function boot(
  host: Host,
  { name, consolePath }: GuestRecord,
  start: () => Promise<string>,
): Promise<void> {
  const once = async (timeoutMs: number): Promise<void> => {
    // An older guest of this name said its own `us-ready` there.
    await rm(consolePath, { force: true });
    await start();
    await waitUntilReady(consolePath, timeoutMs);
  };
  try {
    await once(GUEST_SILENT_TIMEOUT_MS);
  } catch (error) {
    if (!isSilent(error)) throw error;
    process.emitWarning(`${name}: ${messageOf(error)}; ${await whereItStands(host, name)}`);
    // A guest that reset before its first word is gone by itself.
    if ((await host.virsh('list', '--name')).split('\n').includes(name))
      await host.virsh('destroy', name);
    await once(GUEST_READY_TIMEOUT_MS).catch(async (again: unknown) => {
      if (!isSilent(again)) throw again;
      const where = await whereItStands(host, name);
      throw labError('LAB_GUEST_SILENT', `${messageOf(again)}; ${where}`, { cause: again });
    });
  }
}

function isSilent(error: unknown): boolean {
  return error instanceof UnderstudyError && error.code === 'LAB_GUEST_SILENT';
}

/** For people: its state, and at which instructions its processors are. */
async function whereItStands(host: Host, name: string): Promise<string> {
  try {
    const state = await host.virsh('domstate', name, '--reason');
    const ask = ['qemu-monitor-command', name, '--hmp', 'info registers -a'];
    const places = (await host.virsh(...ask)).match(/^CPU#\d+|RIP=[0-9a-f]+|HLT=\d/gm) ?? [];
    return `${state.trim()}: ${places.join(' ')}`;
  } catch (error) {
    return `its state is unknown: ${messageOf(error)}`;
  }
}

// QEMU's own prefix, which no real card has.
function randomMac(): string {
  const bytes = [...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0'));
  return ['52', '54', '00', ...bytes].join(':');
}
