import { describe, expect, test } from 'vitest';
import { readDomainXml } from '../../../src/hypervisor/domain-xml.js';
import {
  hasOwnMonitor,
  portableDefinition,
  type RewriteXml,
  standbyXml,
} from '../../../src/hypervisor/standby-xml.js';
import { at, attribute, children, elements, parseDomainXml } from '../../../src/hypervisor/xml.js';
import { liveXml } from './fixtures.js';

/** The same domain as libvirt gives it for a migration. */
function migratableXml(root = ''): string {
  return liveXml({ root, cpu: "<cpu mode='host-model' check='partial'/>" })
    .replace(" id='1'", '')
    .replace("<target dev='vnet0'/>", '')
    .replaceAll(/<alias name='[^']*'\/>/g, '');
}

function incomingArgs(xml: string): string[] {
  const lines = elements(parseDomainXml(xml).root).filter((e) => e.localName === 'commandline');
  return lines.flatMap((line) => elements(line).map((arg) => attribute(arg, 'value') ?? ''));
}

function backing(xml: string): (string | undefined)[] {
  const element = at(parseDomainXml(xml).root, 'memoryBacking');
  expect(children(element, 'source')).toHaveLength(1);
  return [attribute(at(element, 'source'), 'type'), attribute(at(element, 'access'), 'mode')];
}

describe('portableDefinition', () => {
  test('takes the CPU that the guest was shown and drops labels', () => {
    const definition = portableDefinition(migratableXml(), liveXml());
    expect(readDomainXml(definition).cpu).toEqual(readDomainXml(liveXml()).cpu);
    expect(definition).not.toContain('seclabel');
  });

  test('keeps PCI addresses', () => {
    const definition = portableDefinition(migratableXml(), liveXml());
    const nic = at(parseDomainXml(definition).root, 'devices', 'interface');
    expect(attribute(at(nic, 'address'), 'bus')).toBe('0x01');
  });

  test('forgets the port and bridge behind a network', () => {
    const xml = migratableXml().replace(
      /<interface type='bridge'>([\s\S]*)<source bridge='br0'\/>/,
      "<interface type='network'>$1<source network='default' portid='p' bridge='virbr0'/>",
    );
    const definition = portableDefinition(xml, liveXml());
    const source = at(parseDomainXml(definition).root, 'devices', 'interface', 'source');
    expect(attribute(source, 'network')).toBe('default');
    expect(attribute(source, 'portid')).toBeUndefined();
    expect(attribute(source, 'bridge')).toBeUndefined();
  });

  test('leaves nothing of an earlier life as a standby on the command line', () => {
    const once = standbyXml(portableDefinition(migratableXml(), liveXml()));
    expect(incomingArgs(portableDefinition(once, liveXml()))).toEqual([]);
  });
});

describe('standbyXml', () => {
  const definition = portableDefinition(migratableXml(), liveXml());

  test('puts RAM into a shared memfd and waits for device state', () => {
    expect(backing(standbyXml(definition))).toEqual(['memfd', 'shared']);
    expect(incomingArgs(standbyXml(definition))).toEqual(['-incoming', 'defer']);
  });

  test('is the same when made from itself', () => {
    const once = standbyXml(definition);
    expect(incomingArgs(standbyXml(once))).toEqual(['-incoming', 'defer']);
    expect(backing(standbyXml(once))).toEqual(['memfd', 'shared']);
  });

  test('keeps the other memory settings and command line arguments', () => {
    const xml = migratableXml('<memoryBacking><nosharepages/></memoryBacking>').replace(
      '</domain>',
      `<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
        <qemu:arg value='-msg'/><qemu:arg value='timestamp=off'/></qemu:commandline></domain>`,
    );
    const standby = standbyXml(portableDefinition(xml, liveXml()));
    expect(at(parseDomainXml(standby).root, 'memoryBacking', 'nosharepages')).toBeDefined();
    expect(incomingArgs(standby)).toEqual(['-msg', 'timestamp=off', '-incoming', 'defer']);
  });

  describe('with a monitor of our own', () => {
    const ownMonitor = { path: '/run/a,b/m.qmp', qemu: '7.2.22' };
    const standby = standbyXml(definition, { ownMonitor });

    test('has QEMU connect it, again and again', () => {
      expect(incomingArgs(standby).slice(2)).toEqual([
        '-chardev',
        'socket,id=understudy,path=/run/a,,b/m.qmp,reconnect=1',
        '-mon',
        'chardev=understudy,mode=control',
      ]);
    });

    test.each([
      ['9.1.9', 'reconnect=1'],
      ['9.2.0', 'reconnect-ms=1000'],
      ['10.0.2', 'reconnect-ms=1000'],
    ])('says so in the words of QEMU %s', (qemu, words) => {
      const xml = standbyXml(definition, { ownMonitor: { ...ownMonitor, qemu } });
      expect(incomingArgs(xml)[3]).toMatch(new RegExp(`,${words}$`));
    });

    test('is known again, by its place', () => {
      expect(hasOwnMonitor(standby, ownMonitor.path)).toBe(true);
      expect(hasOwnMonitor(standby, '/run/a')).toBe(false);
      expect(hasOwnMonitor(definition, ownMonitor.path)).toBe(false);
    });

    test('does not take it along to another host', () => {
      expect(incomingArgs(portableDefinition(standby, liveXml()))).toEqual([]);
      const other = { path: '/run/c/m.qmp', qemu: '7.2.22' };
      const next = standbyXml(portableDefinition(standby, liveXml()), { ownMonitor: other });
      expect(incomingArgs(next)).toHaveLength(6);
      expect(hasOwnMonitor(next, ownMonitor.path)).toBe(false);
    });
  });

  test('lets the host rewrite what is its own', () => {
    const rewrite: RewriteXml = (document) => {
      const devices = at(document.documentElement ?? undefined, 'devices');
      at(devices, 'interface', 'source')?.setAttribute('bridge', 'br-other');
    };
    const standby = standbyXml(definition, { rewrite });
    expect(readDomainXml(standby).nics[0]?.bridge).toBe('br-other');
  });
});
