/**
 * The libvirt binding against a real libvirtd (alone in its own network and mount namespace) and
 * a small guest under TCG: every call, typed errors, events in order, descriptors, a daemon that
 * hangs, a daemon that dies.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { libvirtError } from '../../src/hypervisor/libvirt-error.js';
import {
  type NativeBlockJobEvent,
  type NativeConnection,
  type NativeLifecycleEvent,
  native,
} from '../../src/native.js';

const dir = mkdtempSync(join(tmpdir(), 'us1-libvirt-'));
const uri = `qemu+unix:///system?socket=${dir}/libvirt-sock`;
const KEEPALIVE_INTERVAL_S = 1;
const KEEPALIVE_COUNT = 2;
const VIR_DOMAIN_UNDEFINE_NVRAM = 4;
/** virDomainBlockCopyFlags: reuse what is there, as a transient job. */
const COPY_FLAGS = 2 | 4;
const BLOCK_JOB_TYPE_COPY = 2;
const BLOCK_JOB = { canceled: 2, ready: 3 };
const EVENT = { defined: 0, undefined: 1, started: 2, stopped: 5 };
/** virDomainXMLFlags */
const XML_INACTIVE = 2;

const guestXml = (name: string, disk = '') => `<domain type='qemu'><name>${name}</name>
  <memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu mode='custom'><model>qemu64</model></cpu>
  <devices><controller type='usb' model='none'/><memballoon model='none'/>${disk}</devices></domain>`;

/** Starts a libvirtd that sees only its own state; the process is libvirtd itself after `exec`. */
function startDaemon(): ChildProcess {
  writeFileSync(
    join(dir, 'libvirtd.conf'),
    `listen_tls=0\nlisten_tcp=0\nunix_sock_dir="${dir}"\nauth_unix_ro="none"\nauth_unix_rw="none"\n` +
      'host_uuid="5e5aaf40-0000-4000-8000-0000000000a1"\n',
  );
  writeFileSync(
    join(dir, 'qemu.conf'),
    'security_driver="none"\nuser="root"\ngroup="root"\ndynamic_ownership=0\nremember_owner=0\n' +
      'cgroup_controllers=[]\nnamespaces=[]\nstdio_handler="file"\n',
  );
  const script = `set -e
    mount --make-rprivate /
    mkdir -p /run/libvirt && mount -t tmpfs us1-run /run/libvirt
    for part in lib cache log; do
      mkdir -p ${dir}/$part /var/$part/libvirt && mount --bind ${dir}/$part /var/$part/libvirt
    done
    mkdir -p ${dir}/etc/hooks && cp ${dir}/*.conf ${dir}/etc && mount --bind ${dir}/etc /etc/libvirt
    ip link set lo up
    exec libvirtd --pid-file ${dir}/pid`;
  return spawn('unshare', ['--net', '--mount', 'bash', '-c', script], { stdio: 'ignore' });
}

/** The first start takes seconds: libvirtd asks every QEMU binary what it can do. */
async function openWhenReady(): Promise<NativeConnection> {
  for (const deadline = Date.now() + 60_000; ; await delay(100)) {
    try {
      return await open();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

const open = (onClosed: (reason: number) => void = () => undefined) =>
  native.libvirt.open({
    uri,
    keepaliveIntervalS: KEEPALIVE_INTERVAL_S,
    keepaliveCount: KEEPALIVE_COUNT,
    onClosed,
  });

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

let daemon: ChildProcess;
let connection: NativeConnection;

beforeAll(async () => {
  daemon = startDaemon();
  connection = await openWhenReady();
});

afterAll(async () => {
  for (const { name } of await connection.listDomains(0)) {
    await (await connection.lookupByName(name)).destroy(0);
  }
  await connection.close();
  if (daemon.exitCode === null && daemon.signalCode === null) {
    const ended = once(daemon, 'exit');
    daemon.kill('SIGTERM');
    await ended;
  }
  rmSync(dir, { recursive: true, force: true });
});

describe('connection', () => {
  it('answers what the host is', async () => {
    const host = { arch: 'x86_64', machine: 'q35', virtType: 'qemu' };
    expect(native.libvirt.libraryVersion()).toBeGreaterThan(7_000_000);
    expect(await connection.libvirtVersion()).toBe(native.libvirt.libraryVersion());
    expect(await connection.hypervisorVersion()).toBeGreaterThan(6_000_000);
    expect(await connection.isAlive()).toBe(true);
    expect(await connection.hostname()).not.toBe('');
    expect(await connection.capabilities()).toContain('<capabilities>');
    expect(await connection.domainCapabilities(host)).toContain('<domainCapabilities>');
    const cpuXml = "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>";
    expect(await connection.compareHypervisorCpu({ ...host, cpuXml, flags: 0 })).toBe(2);
  });

  it('types every failure', async () => {
    const codeOf = async (call: Promise<unknown>) => libvirtError(await failure(call), 'test').code;
    expect(await codeOf(connection.lookupByName('nobody'))).toBe('LIBVIRT_NO_DOMAIN');
    expect(await codeOf(connection.createXml('<domain/>', 0))).toBe('LIBVIRT_XML_REFUSED');
    expect(await codeOf(connection.createXml('<', 0))).toBe('LIBVIRT_XML_REFUSED');
    const nowhere = { keepaliveIntervalS: 1, keepaliveCount: 1, onClosed: () => undefined };
    const socket = `qemu+unix:///system?socket=${dir}/nowhere`;
    expect(await codeOf(native.libvirt.open({ ...nowhere, uri: socket }))).toBe(
      'LIBVIRT_CONNECT_FAILED',
    );
    expect(() => native.libvirt.open({ ...nowhere, uri: 'a\0b' })).toThrow(TypeError);
    expect(() => connection.listDomains(-1)).toThrow(TypeError);
  });

  it('finishes the calls in flight before it closes, and refuses later ones', async () => {
    const other = await open();
    const calls = Array.from({ length: 40 }, () => other.capabilities());
    const closed = other.close();
    expect(await failure(other.isAlive())).toMatchObject({ code: 'CLOSED' });
    expect(await failure(other.hostname())).toMatchObject({ code: 'CLOSED' });
    await closed;
    await other.close();
    expect((await Promise.all(calls)).every((xml) => xml.includes('<host>'))).toBe(true);
  });
});

describe('domain', () => {
  it('is defined, started, paused, resumed, destroyed and undefined', async () => {
    const domain = await connection.defineXml(guestXml('us1-life'), 0);
    expect([await domain.id(), await domain.isPersistent()]).toEqual([-1, true]);
    await domain.create(0);
    expect(await domain.id()).toBeGreaterThan(0);
    expect(await domain.state()).toMatchObject({ state: 1 });
    const again = await failure(connection.createXml(guestXml('us1-life'), 0));
    expect(libvirtError(again, 'create').code).toBe('LIBVIRT_DOMAIN_EXISTS');
    await domain.suspend();
    expect(await domain.state()).toEqual({ state: 3, reason: 1 });
    await domain.resume();
    expect(await domain.xml(0)).toContain('<name>us1-life</name>');
    const same = await connection.lookupByUuid(domain.uuid);
    expect([same.name, same.uuid]).toEqual([domain.name, domain.uuid]);
    expect((await connection.listDomains(0)).map((each) => each.name)).toContain('us1-life');
    await domain.destroy(0);
    expect(libvirtError(await failure(domain.suspend()), 'pause').code).toBe('LIBVIRT_WRONG_STATE');
    await domain.undefine(VIR_DOMAIN_UNDEFINE_NVRAM);
    expect(libvirtError(await failure(domain.xml(0)), 'xml').code).toBe('LIBVIRT_NO_DOMAIN');
  });

  it('delivers 400 lifecycle events, none lost, in order', async () => {
    const watcher = await open();
    const seen: NativeLifecycleEvent[] = [];
    let arrived: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    await watcher.onLifecycle((event) => {
      seen.push(event);
      if (event.event === EVENT.stopped) arrived();
    });
    expect(await failure(watcher.onLifecycle(() => undefined))).toMatchObject({
      code: 'SUBSCRIBED',
    });
    const domain = await connection.createXml(guestXml('us1-events'), 0);
    // Suspensions, of which a protected guest has some every second, are not told.
    await domain.suspend();
    await domain.resume();
    const xml = await domain.xml(XML_INACTIVE);
    for (let i = 0; i < 199; i++) {
      await connection.defineXml(xml, 0);
      await domain.undefine(0);
    }
    await domain.destroy(0);
    await all;
    const middle = Array.from({ length: 199 }, () => [EVENT.defined, EVENT.undefined]).flat();
    const codes = seen.map((event) => event.event);
    expect(codes[0]).toBe(EVENT.started);
    expect(codes.slice(1, 1 + middle.length)).toEqual(middle);
    // QEMU's own shutdown event may come before the end.
    expect(codes.at(-1)).toBe(EVENT.stopped);
    expect(seen.every((event) => event.uuid === domain.uuid)).toBe(true);
    await watcher.close();
  });

  it('copies a disk, and delivers every event of the jobs in order until closed', async () => {
    const mib = 2 ** 20;
    const files = ['source', 'copy'].map((name) => join(dir, `us1-${name}.raw`));
    for (const file of files) writeFileSync(file, Buffer.alloc(mib));
    const disk = (path = '') =>
      `<disk type='file'><driver name='qemu' type='raw'/><source file='${path}'/>` +
      "<target dev='vda' bus='virtio'/></disk>";
    const domain = await connection.createXml(guestXml('us1-disk', disk(files[0])), 0);
    expect(await domain.blockInfo('vda')).toMatchObject({ capacity: mib, physical: mib });
    expect(await domain.blockJobInfo('vda')).toBeUndefined();
    expect(await failure(domain.blockInfo('vdz'))).toMatchObject({ libvirtCode: 8 });
    expect(await failure(domain.blockJobInfo('vdz'))).toMatchObject({ libvirtCode: 8 });
    expect(await failure(domain.blockJobAbort('vda', 0))).toMatchObject({ libvirtDomain: 10 });
    const copy = { disk: 'vda', destinationXml: disk(files[1]), flags: COPY_FLAGS };
    expect(() => domain.blockCopy({ ...copy, granularityBytes: -1 })).toThrow(TypeError);
    // Not a power of two.
    expect(await failure(domain.blockCopy({ ...copy, granularityBytes: 5 }))).toBeDefined();

    const watcher = await open();
    const seen: NativeBlockJobEvent[] = [];
    const waiting = new Map<number, () => void>();
    await watcher.onBlockJob((event) => {
      seen.push(event);
      waiting.get(seen.length)?.();
    });
    const arrived = (count: number) =>
      seen.length >= count
        ? Promise.resolve()
        : new Promise<void>((resolve) => waiting.set(count, resolve));
    expect(await failure(watcher.onBlockJob(() => undefined))).toMatchObject({
      code: 'SUBSCRIBED',
    });
    // The other kind of event has its own subscription.
    await watcher.onLifecycle(() => undefined);
    const ROUNDS = 20;
    for (let round = 0; round < ROUNDS; round += 1) {
      await domain.blockCopy({ ...copy, granularityBytes: 65536 });
      await arrived(2 * round + 1);
      const job = await domain.blockJobInfo('vda');
      expect(job).toEqual({ type: BLOCK_JOB_TYPE_COPY, cursor: mib, end: mib });
      await domain.blockJobAbort('vda', 0);
      await arrived(2 * round + 2);
    }
    const statuses = Array.from({ length: ROUNDS }, () => [BLOCK_JOB.ready, BLOCK_JOB.canceled]);
    expect(seen.map(({ status }) => status)).toEqual(statuses.flat());
    const { name, uuid } = domain;
    const names = { domain: name, uuid, disk: 'vda', type: BLOCK_JOB_TYPE_COPY };
    for (const event of seen) expect(event).toMatchObject(names);

    const other = await open();
    const late: NativeBlockJobEvent[] = [];
    await other.onBlockJob((event) => late.push(event));
    await domain.blockCopy(copy);
    // A job that is ended before it is ready has one event only.
    await arrived(2 * ROUNDS + 1);
    const closed = other.close();
    late.length = 0;
    await domain.blockJobAbort('vda', 0);
    await closed;
    await arrived(2 * ROUNDS + 2);
    expect(late).toEqual([]);
    await watcher.close();
    await domain.destroy(0);
  });

  it('carries monitor commands and descriptors', async () => {
    const domain = await connection.createXml(guestXml('us1-monitor'), 0);
    const status = '{"execute":"query-status"}';
    expect(JSON.parse(await domain.monitorCommand(status, 0))).toMatchObject({
      return: { running: true },
    });
    expect(await domain.monitorCommand('info status', 1)).toContain('running');
    const prepared = domain.prepareMonitorCommand(status, 0);
    expect(prepared.begunAtNs()).toBe(0n);
    expect([prepared.fire(), prepared.fire(), prepared.cancel()]).toEqual([true, false, false]);
    expect(JSON.parse(await prepared.reply)).toMatchObject({ return: { running: true } });
    expect(prepared.begunAtNs()).toBeGreaterThan(0n);
    const cancelled = domain.prepareMonitorCommand('{"execute":"quit"}', 0);
    expect([cancelled.cancel(), cancelled.fire()]).toEqual([true, false]);
    expect(await failure(cancelled.reply)).toMatchObject({ code: 'CANCELLED' });
    expect(await domain.monitorCommand('{"execute":"no-such"}', 0)).toContain('CommandNotFound');

    const file = openSync('/dev/null', 'r');
    const passed = domain.monitorCommandWithFiles(
      '{"execute":"getfd","arguments":{"fdname":"us1"}}',
      [file],
      0,
    );
    closeSync(file); // the call has its own copy
    const { reply, descriptors } = await passed;
    expect(JSON.parse(reply)).toMatchObject({ return: {} });
    expect(descriptors).toEqual([]);
    expect(await failure(domain.monitorCommandWithFiles(status, [1_000_000], 0))).toMatchObject({
      code: 'EBADF',
      syscall: 'fcntl',
    });
    await domain.destroy(0);
  });
});

describe('a daemon in trouble', () => {
  const daemonPid = () => Number(readFileSync(join(dir, 'pid'), 'utf8'));
  const keepaliveMsMax = (KEEPALIVE_INTERVAL_S * (KEEPALIVE_COUNT + 1) + 3) * 1000;

  it('hangs: every call ends by keepalive and the event loop stays free', async () => {
    const reasons: number[] = [];
    const other = await open((reason) => reasons.push(reason));
    const started = performance.now();
    let ticks = 0;
    const ticker = setInterval(() => ticks++, 10);
    process.kill(daemonPid(), 'SIGSTOP');
    try {
      const errors = await Promise.all(Array.from({ length: 12 }, () => failure(other.hostname())));
      expect(performance.now() - started).toBeLessThan(keepaliveMsMax);
      for (const error of errors) {
        expect(libvirtError(error, 'ask').code).toBe('LIBVIRT_CONNECTION_LOST');
      }
      expect(reasons).toEqual([2]); // VIR_CONNECT_CLOSE_REASON_KEEPALIVE, once
      expect(await other.isAlive()).toBe(false);
      expect(ticks).toBeGreaterThan(100);
      await other.close();
    } finally {
      clearInterval(ticker);
      process.kill(daemonPid(), 'SIGCONT');
    }
  });

  it('dies: the connection reports it once, and closes', async () => {
    await connection.close(); // silent for longer than keepalive, it is lost as well
    const reasons: number[] = [];
    let reported: () => void = () => undefined;
    const lost = new Promise<void>((resolve) => {
      reported = resolve;
    });
    const other = await open((reason) => {
      reasons.push(reason);
      reported();
    });
    await other.onLifecycle(() => undefined);
    process.kill(daemonPid(), 'SIGKILL');
    await lost;
    expect(await failure(other.hostname())).toMatchObject({ libvirtDomain: 7 });
    await other.close();
    expect(reasons).toEqual([1]); // VIR_CONNECT_CLOSE_REASON_EOF
    daemon = startDaemon();
    connection = await openWhenReady();
  });
});
