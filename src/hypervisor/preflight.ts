/**
 * Pure: may this domain be protected? Facts in, every refusal at once out.
 *
 * Devices are allowed by name, so a kind that did not exist when this was written is refused.
 * vhost-net is allowed: the host kernel writes guest memory through QEMU's own address space,
 * which the tracking sees, and it is stopped with the vCPUs.
 */
import {
  type Finding,
  note,
  type Refusal,
  type RefusalCode,
  refusal,
  type Verdict,
} from './check-codes.js';
import { isMirrored, judgeDisks } from './disk-preflight.js';
import type { DomainDefinition, Nic, OtherDevice } from './domain-xml.js';

/** What only a running QEMU knows. */
export interface RuntimeFacts {
  /** `query-migrate` blocked-reasons */
  blockedReasons: readonly string[];
  /** `query-migrate` status, empty when there never was one. */
  migrationStatus: string;
  /** Migration capabilities that are on. */
  capabilities: readonly string[];
  jobs: readonly { id: string; type: string }[];
  /** Undefined without a balloon device. */
  balloonActualBytes?: number;
  /** RAM blocks that exist but are not carried. */
  notCarried: readonly string[];
  /** Why the RAM map could not be made. */
  ramMapProblem?: string;
}

/** Judges what the XML says. */
export function judgeDefinition(domain: DomainDefinition): Verdict {
  const disks = judgeDisks(domain.disks);
  const devices = domain.otherDevices.map(judgeDevice);
  return {
    refusals: [
      ...judgeMachine(domain),
      ...disks.refusals,
      ...domain.nics.flatMap(judgeNic),
      ...devices.flatMap((verdict) => verdict.refusals),
    ],
    notes: [...disks.notes, ...devices.flatMap((verdict) => verdict.notes)],
  };
}

/** What of the definition is as it must be, by the same judgement, part by part. */
export function soundParts(domain: DomainDefinition): Finding[] {
  const { machine, vcpus, cpu, memoryBytes, disks, nics } = domain;
  const found: Finding[] = [];
  if (judgeMachine(domain).length === 0) {
    const mib = Math.round(memoryBytes / 1024 ** 2);
    const detail = `${machine}, ${vcpus} vCPU, CPU ${cpu.mode}, ${mib} MiB`;
    found.push({ what: 'machine', detail });
  }
  for (const disk of disks.filter((one) => judgeDisks([one]).refusals.length === 0)) {
    const { name, format, path = 'no medium' } = disk;
    const detail = isMirrored(disk) ? `${format}, ${path}` : `${path}, read-only: not mirrored`;
    found.push({ what: `${disk.device} ${name}`, detail });
  }
  for (const nic of nics.filter((one) => judgeNic(one).length === 0)) {
    const detail = `tap ${nic.tap} on bridge ${nic.bridge}`;
    found.push({ what: `interface ${nic.name}`, detail });
  }
  return found;
}

/** Judges what QEMU says. */
export function judgeRuntime(domain: DomainDefinition, runtime: RuntimeFacts): Verdict {
  const refusals = runtime.blockedReasons.map((why) => refusal('CHECK_MIGRATION_BLOCKED', why));
  if (ACTIVE_MIGRATION.has(runtime.migrationStatus)) {
    refusals.push(refusal('CHECK_MIGRATION_ACTIVE', `migration is ${runtime.migrationStatus}`));
  }
  for (const capability of runtime.capabilities.filter((name) => USERFAULT_USERS.has(name))) {
    refusals.push(refusal('CHECK_USERFAULT_IN_USE', `migration capability ${capability} is on`));
  }
  for (const { id, type } of runtime.jobs) {
    refusals.push(refusal('CHECK_JOB_ACTIVE', `${type} job ${id} is active`));
  }
  const balloonBytes = runtime.balloonActualBytes ?? domain.memoryBytes;
  if (balloonBytes < domain.memoryBytes) {
    refusals.push(
      refusal(
        'CHECK_BALLOON_INFLATED',
        `the guest has ${balloonBytes} of ${domain.memoryBytes} bytes of memory`,
      ),
    );
  }
  if (runtime.ramMapProblem !== undefined) {
    refusals.push(refusal('CHECK_RAM_MAP', runtime.ramMapProblem));
  }
  const video = runtime.notCarried.filter((name) => name.endsWith('vram'));
  return {
    refusals,
    notes: video.map((name) => note('CHECK_NOTE_DISPLAY', `${name} is not carried`)),
  };
}

const ACTIVE_MIGRATION = new Set([
  'setup',
  'active',
  'device',
  'pre-switchover',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover',
  'wait-unplug',
  'cancelling',
  'colo',
]);
const USERFAULT_USERS = new Set(['postcopy-ram', 'background-snapshot', 'x-colo']);

function judgeMachine(domain: DomainDefinition): Refusal[] {
  const rows: [boolean, RefusalCode, string][] = [
    [domain.arch !== 'x86_64', 'CHECK_ARCH', `the guest is ${domain.arch}`],
    [domain.cpu.mode !== 'custom', 'CHECK_CPU_NOT_NAMED', `the CPU mode is ${domain.cpu.mode}`],
    [domain.firmware === 'uefi', 'CHECK_UEFI', 'the firmware is UEFI with flash memory'],
    [
      domain.launchSecurity !== undefined,
      'CHECK_ENCRYPTED_MEMORY',
      `memory is encrypted (${domain.launchSecurity})`,
    ],
    [domain.hugePages, 'CHECK_HUGE_PAGES', 'guest memory is on huge pages'],
    [domain.memorySource === 'file', 'CHECK_FILE_MEMORY', 'guest memory is a file'],
    [domain.freePageReporting, 'CHECK_FREE_PAGE_REPORTING', 'the balloon reports free pages'],
  ];
  return rows.filter(([wrong]) => wrong).map(([, code, message]) => refusal(code, message));
}

function judgeNic(nic: Nic): Refusal[] {
  const what = `interface ${nic.name} (${nic.mac})`;
  if (nic.type === 'vhostuser' || nic.type === 'vdpa') {
    return [refusal('CHECK_SHARED_MEMORY_DEVICE', `${what} is ${nic.type}`)];
  }
  if (nic.type === 'hostdev') return [refusal('CHECK_HOST_DEVICE', `${what} is passed through`)];
  const bridged = nic.type === 'bridge' || nic.type === 'network';
  if (!bridged || nic.bridge === undefined || nic.tap === undefined) {
    return [
      refusal('CHECK_NIC_NOT_ON_BRIDGE', `${what} is of type ${nic.type} without a bridge and tap`),
    ];
  }
  if (nic.virtualPort !== undefined) {
    return [refusal('CHECK_NIC_NOT_ON_BRIDGE', `${what} is a ${nic.virtualPort} port`)];
  }
  if (nic.filter !== undefined) {
    return [refusal('CHECK_NIC_FILTERED', `${what} has the filter ${nic.filter}`)];
  }
  return [];
}

/** Emulated wholly inside QEMU, with state that migrates, and without a word to the outside. */
const CARRIED_DEVICES = new Set([
  'controller',
  'input',
  'graphics',
  'video',
  'audio',
  'sound',
  'memballoon',
  'rng',
  'watchdog',
  'panic',
  'hub',
  'iommu',
  // A second name for the first serial port.
  'console',
]);
const UNHELD_DEVICES = new Set(['serial', 'parallel', 'channel']);
const REFUSED_DEVICES = new Map<string, RefusalCode>([
  ['hostdev', 'CHECK_HOST_DEVICE'],
  ['redirdev', 'CHECK_HOST_DEVICE'],
  ['smartcard', 'CHECK_HOST_DEVICE'],
  ['filesystem', 'CHECK_FILESYSTEM'],
  ['shmem', 'CHECK_SHARED_MEMORY_DEVICE'],
  ['tpm', 'CHECK_TPM'],
  ['nvram', 'CHECK_UEFI'],
  ['vsock', 'CHECK_VSOCK'],
]);

function judgeDevice(device: OtherDevice): Verdict {
  const what = `${device.element} ${device.name}${device.detail ? ` (${device.detail})` : ''}`;
  if (CARRIED_DEVICES.has(device.element)) return { refusals: [], notes: [] };
  if (UNHELD_DEVICES.has(device.element)) {
    return {
      refusals: [],
      notes: [note('CHECK_NOTE_UNHELD_OUTPUT', `output of ${what} is not held`)],
    };
  }
  if (device.element === 'memory') {
    const ordinary = device.detail === 'dimm';
    return {
      refusals: ordinary ? [] : [refusal('CHECK_MEMORY_DEVICE', `${what} is present`)],
      notes: [],
    };
  }
  const code = REFUSED_DEVICES.get(device.element) ?? 'CHECK_DEVICE_UNKNOWN';
  return { refusals: [refusal(code, `${what} is present`)], notes: [] };
}
