import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/config-file.js';
import { findHost, parseHosts, renderHosts } from '../../../src/config/hosts-file.js';
import { HostsFile, readConfig, readHosts } from '../../../src/config/read-config.js';

const coded = (code: string, message: RegExp | string) =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(message),
    remedy: expect.stringMatching(/\S/),
  });

describe('config.yaml', () => {
  it('may be empty: everything has a default', () => {
    for (const text of ['', '# nothing\n', '{}']) {
      expect(parseConfig('c.yaml', text)).toEqual({
        listen: '0.0.0.0:7788',
        libvirt: 'qemu:///system',
        directories: {
          run: '/run/understudy',
          state: '/var/lib/understudy',
          replicas: '/var/lib/understudy/replicas',
        },
        pki: '/etc/understudy/pki',
        hosts: '/etc/understudy/hosts.yaml',
        heartbeat: { interval: 50, missed: 5 },
        replication: { encrypt: true },
      });
    }
  });

  it('keeps the defaults beside what is given', () => {
    const text = 'host: a\nheartbeat:\n  missed: 8\nreplication: { encrypt: false }\n';
    expect(parseConfig('c.yaml', text)).toMatchObject({
      host: 'a',
      heartbeat: { interval: 50, missed: 8 },
      replication: { encrypt: false },
      listen: '0.0.0.0:7788',
    });
  });

  it.each([
    ['CONFIG_UNKNOWN_KEY', 'host: a\nlisten: x\nhots: b\n', /^c\.yaml:3: hots is not a key/],
    [
      'CONFIG_UNKNOWN_KEY',
      'heartbeat:\n  interval: 50\n  mised: 5\n',
      /^c\.yaml:3: heartbeat\.mised is not a key/,
    ],
    [
      'CONFIG_WRONG_VALUE',
      'host: a\n\nheartbeat:\n  interval: fast\n',
      /^c\.yaml:4: heartbeat\.interval: /,
    ],
    ['CONFIG_WRONG_VALUE', 'heartbeat: { interval: 1 }\n', /^c\.yaml:1: heartbeat\.interval: /],
    ['CONFIG_WRONG_VALUE', 'replication:\n  encrypt: "no"\n', /^c\.yaml:2: replication\.encrypt: /],
    ['CONFIG_WRONG_VALUE', 'host: Upper\n', /^c\.yaml:1: host: /],
    ['CONFIG_WRONG_VALUE', '- a\n- list\n', /^c\.yaml:1: /],
    ['CONFIG_NOT_YAML', 'heartbeat:\n\tinterval: 50\n', /^c\.yaml:2: /],
    ['CONFIG_NOT_YAML', 'host: a\nhost: b\n', /^c\.yaml:2: /],
    ['CONFIG_NOT_YAML', 'host: &x a\nlisten: *x\n', /^c\.yaml:1: aliases/],
  ])('is refused with %s, file and line: %j', (code, text, message) => {
    expect(() => parseConfig('c.yaml', text)).toThrow(coded(code, message));
  });
});

describe('hosts.yaml', () => {
  const hosts = [
    { name: 'a', addresses: ['10.87.1.1', '10.86.0.1'], port: 7788 },
    { name: 'b', addresses: ['fd87::2', 'b.example.org'], port: 7790 },
  ];

  it('is read as it was written', () => {
    expect(parseHosts('h.yaml', renderHosts(hosts))).toEqual(hosts);
    expect(parseHosts('h.yaml', 'hosts:\n- {name: a, addresses: [10.0.0.1]}\n')).toEqual([
      { name: 'a', addresses: ['10.0.0.1'], port: 7788 },
    ]);
  });

  it('finds a host by name and by address', () => {
    expect(findHost(hosts, 'b')?.port).toBe(7790);
    expect(findHost(hosts, 'FD87::2')?.name).toBe('b');
    expect(findHost(hosts, '10.87.1.9')).toBeUndefined();
  });

  it.each([
    [
      'hosts:\n- name: a\n  addresses: [10.0.0.1]\n- name: a\n  addresses: [10.0.0.2]\n',
      /^h\.yaml:4: /,
    ],
    ['hosts:\n- {name: a, addresses: [x]}\n- {name: b, addresses: [x]}\n', /^h\.yaml:3: /],
    ['hosts:\n- name: a\n  addresses: []\n', /^h\.yaml:3: hosts\.0\.addresses: /],
    [
      'hosts:\n- name: a\n  addresses: ["10.0.0.1:7788/x"]\n',
      /^h\.yaml:3: hosts\.0\.addresses\.0: /,
    ],
    ['hosts:\n- name: a\n', /^h\.yaml:2: hosts\.0\.addresses: /],
  ])('is refused with file and line: %j', (text, message) => {
    expect(() => parseHosts('h.yaml', text)).toThrow(coded('CONFIG_WRONG_VALUE', message));
  });
});

describe('on disk', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'understudy-config-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('a configuration that was named must be there, and be a file', async () => {
    const path = join(directory, 'none.yaml');
    await expect(readConfig(path)).rejects.toEqual(coded('CONFIG_MISSING', path));
    await expect(readConfig(directory)).rejects.toEqual(coded('CONFIG_UNREADABLE', directory));
    expect(await readHosts(path)).toBeUndefined();
  });

  it('hosts are read again when the file changed, appeared or went', async () => {
    const path = join(directory, 'hosts.yaml');
    const file = new HostsFile(path);
    expect(await file.read()).toBeUndefined();
    const one = { name: 'a', addresses: ['10.0.0.1'], port: 7788 };
    await writeFile(path, renderHosts([one]));
    expect(await file.read()).toEqual([one]);
    await writeFile(path, renderHosts([one, { ...one, name: 'b', addresses: ['10.0.0.2'] }]));
    expect((await file.read())?.map(({ name }) => name)).toEqual(['a', 'b']);
    await rm(path);
    expect(await file.read()).toBeUndefined();
  });
});
