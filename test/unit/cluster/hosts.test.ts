import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DomainStatus } from '../../../src/agent/status.js';
import { issueInto } from '../../../src/cluster/certificate.js';
import { hostsOf, withHost, writeHosts } from '../../../src/cluster/files.js';
import { initCluster } from '../../../src/cluster/init.js';
import { removeHost } from '../../../src/cluster/remove.js';
import { type Config, parseConfig } from '../../../src/config/config-file.js';
import { UnderstudyError } from '../../../src/errors.js';
import { HostCredentials } from '../../../src/pki/credentials.js';
import { pkiFiles } from '../../../src/pki/files.js';

const A = { name: 'a', addresses: ['10.0.0.1'], port: 7788 };
const B = { name: 'b', addresses: ['10.0.0.2', '192.168.1.2'], port: 7788 };
const coded = (code: string) => expect.objectContaining({ code });

let directory = '';
let config: Config;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-cluster-'));
  const text = `{host: a, pki: ${directory}/pki, hosts: ${directory}/hosts.yaml}`;
  config = parseConfig('config.yaml', text);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const init = () =>
  initCluster(
    config,
    { name: undefined, addresses: ['10.0.0.1'], port: 7788 },
    join(directory, 'config.yaml'),
  );

describe('the list of hosts', () => {
  it('takes a host in, or anew under its name', () => {
    expect(withHost([A], B)).toEqual([A, B]);
    const moved = { ...B, addresses: ['10.0.0.3'] };
    expect(withHost([B, A], moved)).toEqual([moved, A]);
  });

  it('gives no address twice, and takes no name that cannot be one', () => {
    expect(() => withHost([A, B], { ...B, name: 'c' })).toThrow(coded('HOST_EXISTS'));
    expect(() => withHost([], { ...A, name: 'Big' })).toThrow(coded('HOST_NAME_INVALID'));
    expect(() => withHost([], { ...A, addresses: ['a b'] })).toThrow(coded('HOST_NAME_INVALID'));
  });
});

describe('the first host', () => {
  it('has everything that it needs, and its configuration', async () => {
    expect(await init()).toEqual(A);
    expect(await hostsOf(config)).toEqual([A]);
    await new HostCredentials(pkiFiles(config.pki)).read();
    expect((await stat(pkiFiles(config.pki).caKey)).mode & 0o777).toBe(0o600);
    expect(await readFile(join(directory, 'config.yaml'), 'utf8')).toBe('host: a\n');
  });

  it('is not made twice', async () => {
    await init();
    await expect(init()).rejects.toEqual(coded('PKI_EXISTS'));
  });
});

describe('a certificate for another host', () => {
  const request = () => ({ ...B, out: join(directory, 'b') });

  it('is issued once, and again when it is not right any more', async () => {
    await expect(issueInto(config.pki, request())).rejects.toEqual(coded('PKI_NO_AUTHORITY'));
    await init();
    expect(await issueInto(config.pki, request())).toMatchObject({ changed: true });
    await new HostCredentials(pkiFiles(request().out)).read();
    expect(await issueInto(config.pki, request())).toMatchObject({ changed: false });
    const more = { ...request(), addresses: [...B.addresses, 'b.example.org'] };
    expect(await issueInto(config.pki, more)).toMatchObject({ changed: true });
    await rm(pkiFiles(request().out).key);
    expect(await issueInto(config.pki, more)).toMatchObject({ changed: true });
  });
});

describe('removing a host', () => {
  const status = (facts: Partial<DomainStatus>): DomainStatus => ({
    domain: 'web1',
    role: 'primary',
    state: 'protected',
    term: 1,
    since: '',
    sessionPid: 1,
    peer: '192.168.1.2:40000',
    ...facts,
  });
  const remove = (domains: DomainStatus[], name = 'b', force = false) =>
    removeHost(config, name, { client: { list: async () => domains }, force });
  beforeEach(() => writeHosts(config, [A, B]));

  it('takes it off the list', async () => {
    await remove([
      status({ state: 'unprotected' }),
      status({ over: true }),
      // Of another host, whose address begins like one of its own.
      status({ peer: '192.168.1.20:40000' }),
    ]);
    expect(await hostsOf(config)).toEqual([A]);
  });

  it('refuses while a domain is protected with it, in either role', async () => {
    await expect(remove([status({})])).rejects.toEqual(coded('HOST_IN_USE'));
    const backup = status({ role: 'backup', peer: '::ffff:10.0.0.2:5' });
    await expect(remove([backup])).rejects.toEqual(coded('HOST_IN_USE'));
    expect(await hostsOf(config)).toEqual([A, B]);
    await remove([status({})], 'b', true);
    expect(await hostsOf(config)).toEqual([A]);
  });

  it('refuses when the agent cannot be asked, and what is not there', async () => {
    const gone = new UnderstudyError('AGENT_UNREACHABLE', 'nobody', 'start it');
    const client = { list: () => Promise.reject(gone) };
    await expect(removeHost(config, 'b', { client, force: false })).rejects.toEqual(
      coded('HOST_IN_USE'),
    );
    await expect(remove([], 'c')).rejects.toEqual(coded('HOST_UNKNOWN'));
    await expect(remove([], 'a')).rejects.toEqual(coded('HOST_IS_SELF'));
  });
});
