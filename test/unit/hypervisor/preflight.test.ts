import { describe, expect, test } from 'vitest';
import { readDomainXml } from '../../../src/hypervisor/domain-xml.js';
import { MIRRORED_DISKS_MAX } from '../../../src/hypervisor/limits.js';
import {
  judgeDefinition,
  judgeRuntime,
  type RuntimeFacts,
  soundParts,
} from '../../../src/hypervisor/preflight.js';
import { BRIDGED_NIC, type DomainParts, liveXml } from './fixtures.js';

function refusalsOf(parts: DomainParts): string[] {
  return judgeDefinition(readDomainXml(liveXml(parts))).refusals.map(({ code }) => code);
}

const fileSource = "<source file='/x'/>";

function disk(attributes: string, inside: string): DomainParts {
  return { devices: `<disk ${attributes}><target dev='vda'/>${inside}</disk>` };
}

function manyDisks(count: number): DomainParts {
  const one = (_: unknown, index: number) =>
    `<disk type='file'>${fileSource}<target dev='vd${index}'/></disk>`;
  return { devices: Array.from({ length: count }, one).join('') };
}

const healthy: RuntimeFacts = {
  blockedReasons: [],
  migrationStatus: '',
  capabilities: ['events'],
  jobs: [],
  notCarried: ['pc.bios'],
};

describe('soundParts', () => {
  const partsOf = (parts: DomainParts): string[] =>
    soundParts(readDomainXml(liveXml(parts))).map(({ what }) => what);

  test('names what is as it must be, and leaves out what is refused', () => {
    const good = disk("type='file'", `${fileSource}<driver type='raw'/>`);
    const bad = disk("type='network'", fileSource);
    expect(partsOf(good)).toEqual(['machine', 'disk vda', 'interface net0']);
    expect(partsOf(bad)).toEqual(['machine', 'interface net0']);
    expect(partsOf({ ...good, arch: 'aarch64' })).toEqual(['disk vda', 'interface net0']);
    expect(partsOf({ nic: BRIDGED_NIC.replace("<target dev='vnet0'/>", '') })).toEqual(['machine']);
  });
});

describe('judgeDefinition', () => {
  test('has nothing against a plain guest', () => {
    expect(judgeDefinition(readDomainXml(liveXml()))).toEqual({ refusals: [], notes: [] });
  });

  const allowed: [string, DomainParts][] = [
    ['no interface', { nic: '' }],
    [
      'a libvirt network on a bridge, with vhost and queues',
      {
        nic: `<interface type='network'><mac address='52:54:00:55:00:01'/>
          <source network='default' portid='x' bridge='virbr0'/><target dev='vnet1'/>
          <model type='virtio'/><driver name='vhost' queues='4'/></interface>`,
      },
    ],
    [
      'an empty CD drive',
      { devices: "<disk type='file' device='cdrom'><target dev='sda'/></disk>" },
    ],
    [
      'a CD',
      {
        devices:
          "<disk type='file' device='cdrom'><source file='/a.iso'/><target dev='sda'/><readonly/></disk>",
      },
    ],
    [
      'a read-only disk',
      {
        devices:
          "<disk type='block' device='disk'><source dev='/dev/x'/><target dev='vda'/><readonly/></disk>",
      },
    ],
    ['a raw file', disk("type='file' device='disk'", fileSource)],
    [
      'a qcow2 file with a chain of snapshots',
      disk(
        "type='file' device='disk'",
        `<driver name='qemu' type='qcow2'/><source file='/x.snap'/>
         <backingStore type='file'><format type='qcow2'/><source file='/x'/></backingStore>`,
      ),
    ],
    ['a block device', disk("type='block' device='disk'", "<source dev='/dev/vg/x'/>")],
    [
      'a SCSI disk beside a controller with an I/O thread',
      {
        devices: `<controller type='scsi' index='1'><driver iothread='1'/></controller>
          <disk type='file'>${fileSource}<target dev='sda' bus='scsi'/>
          <address type='drive' controller='0'/></disk>`,
      },
    ],
    ['as many disks as are carried', manyDisks(MIRRORED_DISKS_MAX)],
    ['an ordinary DIMM', { devices: "<memory model='dimm'/>" }],
    ['memfd memory', { root: "<memoryBacking><source type='memfd'/></memoryBacking>" }],
    ['video and VNC', { devices: "<graphics type='vnc'/><video><model type='vga'/></video>" }],
  ];
  test.each(allowed)('allows %s', (_, parts) => {
    expect(refusalsOf(parts)).toEqual([]);
  });

  const nic = (type: string, inside: string) => ({
    nic: `<interface type='${type}'><mac address='52:54:00:55:00:01'/>${inside}</interface>`,
  });
  const refused: [string, string, DomainParts][] = [
    ['another architecture', 'CHECK_ARCH', { arch: 'aarch64' }],
    ['a passed-through CPU', 'CHECK_CPU_NOT_NAMED', { cpu: "<cpu mode='host-passthrough'/>" }],
    ['an unexpanded host model', 'CHECK_CPU_NOT_NAMED', { cpu: "<cpu mode='host-model'/>" }],
    ['UEFI flash', 'CHECK_UEFI', { os: "<loader type='pflash'>/OVMF.fd</loader>" }],
    ['UEFI variables', 'CHECK_UEFI', { os: '<nvram>/vars.fd</nvram>' }],
    ['encrypted memory', 'CHECK_ENCRYPTED_MEMORY', { root: "<launchSecurity type='sev'/>" }],
    ['huge pages', 'CHECK_HUGE_PAGES', { root: '<memoryBacking><hugepages/></memoryBacking>' }],
    [
      'memory in a file',
      'CHECK_FILE_MEMORY',
      { root: "<memoryBacking><source type='file'/></memoryBacking>" },
    ],
    [
      'free page reporting',
      'CHECK_FREE_PAGE_REPORTING',
      { balloon: "<memballoon model='virtio' freePageReporting='on'/>" },
    ],
    ['virtio-mem', 'CHECK_MEMORY_DEVICE', { devices: "<memory model='virtio-mem'/>" }],
    ['an NVDIMM', 'CHECK_MEMORY_DEVICE', { devices: "<memory model='nvdimm'/>" }],
    [
      'a network disk',
      'CHECK_DISK_NOT_LOCAL',
      disk("type='network' device='disk'", "<source protocol='rbd' name='p/x'/>"),
    ],
    [
      'a volume of a storage pool',
      'CHECK_DISK_NOT_LOCAL',
      disk("type='volume' device='disk'", "<source pool='p' volume='x'/>"),
    ],
    ['a directory as disk', 'CHECK_DISK_NOT_LOCAL', disk("type='dir'", "<source dir='/x'/>")],
    ['a vmdk image', 'CHECK_DISK_FORMAT', disk('', `${fileSource}<driver type='vmdk'/>`)],
    [
      'an encrypted disk',
      'CHECK_DISK_ENCRYPTED',
      disk('', "<source file='/x'><encryption format='luks'/></source>"),
    ],
    [
      'a disk encrypted the old way',
      'CHECK_DISK_ENCRYPTED',
      disk('', `${fileSource}<encryption format='qcow'/>`),
    ],
    ['a transient disk', 'CHECK_DISK_TRANSIENT', disk('', `${fileSource}<transient/>`)],
    ['a floppy', 'CHECK_DISK_REMOVABLE', disk("type='file' device='floppy'", fileSource)],
    [
      'a disk with an I/O thread',
      'CHECK_DISK_IOTHREAD',
      disk('', `${fileSource}<driver type='raw' iothread='1'/>`),
    ],
    [
      'a disk behind a controller with an I/O thread',
      'CHECK_DISK_IOTHREAD',
      {
        devices: `<controller type='scsi' index='2'><driver iothread='1'/></controller>
          <disk type='file'>${fileSource}<target dev='sda' bus='scsi'/>
          <address type='drive' controller='2'/></disk>`,
      },
    ],
    ['too many disks', 'CHECK_TOO_MANY_DISKS', manyDisks(MIRRORED_DISKS_MAX + 1)],
    [
      'a shared disk',
      'CHECK_SHARED_DISK',
      disk("type='block' device='disk'", "<source dev='/dev/x'/><shareable/>"),
    ],
    [
      'a vhost-user disk',
      'CHECK_SHARED_MEMORY_DEVICE',
      disk("type='vhostuser' device='disk'", "<source type='unix' path='/s'/>"),
    ],
    ['an NVMe disk', 'CHECK_HOST_DEVICE', disk("type='nvme' device='disk'", '<source/>')],
    ['a passed-through LUN', 'CHECK_HOST_DEVICE', disk("type='block' device='lun'", '<source/>')],
    ['vhost-user', 'CHECK_SHARED_MEMORY_DEVICE', nic('vhostuser', '')],
    ['vDPA', 'CHECK_SHARED_MEMORY_DEVICE', nic('vdpa', "<source dev='/dev/vhost-vdpa-0'/>")],
    ['a passed-through interface', 'CHECK_HOST_DEVICE', nic('hostdev', '')],
    ['macvtap', 'CHECK_NIC_NOT_ON_BRIDGE', nic('direct', "<source dev='eth0'/>")],
    [
      'a filtered interface',
      'CHECK_NIC_FILTERED',
      nic(
        'bridge',
        "<source bridge='br0'/><target dev='vnet0'/><filterref filter='clean-traffic'/>",
      ),
    ],
    ['user networking', 'CHECK_NIC_NOT_ON_BRIDGE', nic('user', '')],
    ['a bare tap', 'CHECK_NIC_NOT_ON_BRIDGE', nic('ethernet', "<target dev='tap0'/>")],
    [
      'an Open vSwitch port',
      'CHECK_NIC_NOT_ON_BRIDGE',
      nic('bridge', "<source bridge='o'/><target dev='vnet0'/><virtualport type='openvswitch'/>"),
    ],
    ['a PCI device', 'CHECK_HOST_DEVICE', { devices: "<hostdev mode='subsystem' type='pci'/>" }],
    ['a USB device', 'CHECK_HOST_DEVICE', { devices: "<hostdev mode='subsystem' type='usb'/>" }],
    ['redirected USB', 'CHECK_HOST_DEVICE', { devices: "<redirdev bus='usb' type='spicevmc'/>" }],
    ['virtiofs', 'CHECK_FILESYSTEM', { devices: "<filesystem type='mount'/>" }],
    ['shared memory', 'CHECK_SHARED_MEMORY_DEVICE', { devices: "<shmem name='s'/>" }],
    ['a TPM', 'CHECK_TPM', { devices: "<tpm model='tpm-crb'/>" }],
    ['vsock', 'CHECK_VSOCK', { devices: "<vsock model='virtio'/>" }],
    ['anything new', 'CHECK_DEVICE_UNKNOWN', { devices: "<teleporter model='mk1'/>" }],
  ];
  test.each(refused)('refuses %s', (_, code, parts) => {
    expect(refusalsOf(parts)).toEqual([code]);
  });

  test('names every reason at once, with the device and a remedy', () => {
    const { refusals } = judgeDefinition(
      readDomainXml(
        liveXml({
          nic: BRIDGED_NIC.replace("type='bridge'", "type='direct'"),
          devices: "<tpm><alias name='tpm0'/></tpm><vsock/>",
        }),
      ),
    );
    expect(refusals.map(({ code }) => code)).toEqual([
      'CHECK_NIC_NOT_ON_BRIDGE',
      'CHECK_TPM',
      'CHECK_VSOCK',
    ]);
    expect(refusals[0]?.message).toContain('net0');
    expect(refusals[1]?.message).toContain('tpm0');
    expect(refusals.every(({ remedy }) => remedy.length > 0)).toBe(true);
  });

  test('names every fault of a disk at once', () => {
    const parts = disk("type='network'", "<source/><driver type='qed' iothread='1'/><transient/>");
    expect(refusalsOf(parts)).toEqual([
      'CHECK_DISK_NOT_LOCAL',
      'CHECK_DISK_FORMAT',
      'CHECK_DISK_TRANSIENT',
      'CHECK_DISK_IOTHREAD',
    ]);
  });

  test('says that a disk ignores flushes, if it is carried', () => {
    const notesOf = (inside: string) =>
      judgeDefinition(
        readDomainXml(liveXml(disk('', `<driver cache='unsafe'/>${fileSource}${inside}`))),
      );
    expect(notesOf('').refusals).toEqual([]);
    expect(notesOf('').notes.map(({ code }) => code)).toEqual(['CHECK_NOTE_DISK_CACHE_UNSAFE']);
    expect(notesOf('<readonly/>').notes).toEqual([]);
  });

  test('says that a serial port is not held', () => {
    const { refusals, notes } = judgeDefinition(
      readDomainXml(liveXml({ devices: "<serial type='pty'><alias name='serial0'/></serial>" })),
    );
    expect(refusals).toEqual([]);
    expect(notes.map(({ code }) => code)).toEqual(['CHECK_NOTE_UNHELD_OUTPUT']);
  });
});

describe('judgeRuntime', () => {
  const domain = readDomainXml(liveXml());

  test('has nothing against a healthy guest', () => {
    expect(judgeRuntime(domain, healthy)).toEqual({ refusals: [], notes: [] });
    const finished = {
      ...healthy,
      migrationStatus: 'completed',
      balloonActualBytes: 256 * 2 ** 20,
    };
    expect(judgeRuntime(domain, finished).refusals).toEqual([]);
  });

  const cases: [string, Partial<RuntimeFacts>][] = [
    ['CHECK_MIGRATION_BLOCKED', { blockedReasons: ['invtsc'] }],
    ['CHECK_MIGRATION_ACTIVE', { migrationStatus: 'active' }],
    ['CHECK_USERFAULT_IN_USE', { capabilities: ['postcopy-ram'] }],
    ['CHECK_JOB_ACTIVE', { jobs: [{ id: 'drive-vda', type: 'mirror' }] }],
    ['CHECK_BALLOON_INFLATED', { balloonActualBytes: 128 * 2 ** 20 }],
    ['CHECK_RAM_MAP', { ramMapProblem: 'pc.ram is nowhere mapped' }],
  ];
  test.each(cases)('%s', (code, facts) => {
    const { refusals } = judgeRuntime(domain, { ...healthy, ...facts });
    expect(refusals.map((refusal) => refusal.code)).toEqual([code]);
  });

  test('says that video memory is not carried', () => {
    const { notes } = judgeRuntime(domain, { ...healthy, notCarried: ['0000:00:02.0/vga.vram'] });
    expect(notes.map(({ code }) => code)).toEqual(['CHECK_NOTE_DISPLAY']);
  });
});
