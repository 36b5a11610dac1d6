/** Hosts know each other: who is not of the cluster is refused, and what travels cannot be read on the way. */
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AGENT_PORT_DEFAULT } from '../../src/agent/limits.js';
import { parseHosts, renderHosts } from '../../src/config/hosts-file.js';
import { HOSTS_FILE_DEFAULT, PKI_DIR_DEFAULT } from '../../src/config/paths.js';
import { writeDurable } from '../../src/durable-file.js';
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { HOST_ADDRESSES } from '../../src/lab/layout.js';
import type { Host } from '../../src/lab/place.js';
import type { GuestRecord } from '../../src/lab/state.js';
import {
  type CertifiedKey,
  issueCertificate,
  makeAuthority,
  type Validity,
} from '../../src/pki/authority.js';
import { pkiFiles } from '../../src/pki/files.js';
import { PROTOCOL_VERSIONS } from '../../src/wire/messages.js';
import { eventually, killQemu, labPrefix, PATIENT, waitTakeover } from './lab-steps.js';
import { Peer, type PeerManners, type PeerReply, prepareMessage } from './peer.js';

const PREFIX = labPrefix('pt');
const DAY_MS = 86_400_000;
const B = HOST_ADDRESSES.b.repl;

/** Certificates of host a as `authority` makes them, in a directory of host a; its path there. */
async function plantCertificates(
  host: Host,
  name: string,
  authority: CertifiedKey,
  validity?: Validity,
): Promise<string> {
  const subject = { name: 'a', addresses: [HOST_ADDRESSES.a.repl] };
  const { certificate, key } = await issueCertificate(authority, subject, validity);
  const files = pkiFiles(`${host.runDir}/etc/understudy/${name}`);
  await writeDurable(files.ca, authority.certificate);
  await writeDurable(files.certificate, certificate);
  await writeDurable(files.key, key);
  return `/etc/understudy/${name}`;
}

async function authorityOf(host: Host): Promise<CertifiedKey> {
  const { ca, caKey } = pkiFiles(`${host.runDir}${PKI_DIR_DEFAULT}`);
  return { certificate: await readFile(ca, 'utf8'), key: await readFile(caKey, 'utf8') };
}

/** Records what passes an interface of the host while `action` runs; how many frames of ours can be read in it. */
async function readableFrames(
  host: Host,
  device: string,
  action: () => Promise<unknown>,
): Promise<number> {
  const path = `${host.runDir}/run/${device}.pcap`;
  // Else the kernel keeps up to a second's packets back, and they are lost when it ends.
  const args = ['-i', device, '--immediate-mode', '-U', '-s', '256', '-w', path, 'tcp'];
  const recorder = host.spawn('tcpdump', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  // "listening on …" is its first word.
  if (recorder.stderr !== null) await once(recorder.stderr, 'data');
  await action();
  // A domain is protected before its last heartbeat path is open.
  await eventually(async () => expect((await stat(path)).size).toBeGreaterThan(2_000));
  recorder.kill('SIGINT');
  await once(recorder, 'exit');
  const bytes = await readFile(path);
  let found = 0;
  for (let at = bytes.indexOf('USdy'); at >= 0; at = bytes.indexOf('USdy', at + 4)) found += 1;
  return found;
}

describe('of two hosts', () => {
  let lab: Lab;
  let pair: HostPair;
  const guest = (): GuestRecord => lab.guests()[0] as GuestRecord;
  const logOfB = () => readFile(`${lab.host('b').runDir}/run/understudy/agent.log`, 'utf8');

  beforeAll(async () => {
    lab = await Lab.up({ prefix: PREFIX });
    pair = await HostPair.start(lab, PATIENT);
    await lab.startGuest({ name: 'web1', run: ['redis'] });
  });
  afterAll(() => Lab.tearDown(PREFIX));

  const hello = Peer.message('hello', prepareMessage('web1'));
  const ask = (manners: PeerManners): Promise<PeerReply[]> =>
    new Peer(lab.host('a'), B, manners).talk(AGENT_PORT_DEFAULT, [hello]);

  async function refusedAs(code: string, manners: PeerManners): Promise<void> {
    const replies = await ask(manners);
    expect(replies.map(({ type }) => type)).not.toContain('welcome');
    expect(replies.find(({ type }) => type === 'refuse')?.text).toContain(code);
    expect(await logOfB()).toContain(code);
  }

  it('a caller with a certificate of another CA is refused', async () => {
    const pki = await plantCertificates(lab.host('a'), 'foreign', await makeAuthority());
    await refusedAs('WIRE_FOREIGN_CA', { pki });
  });

  it('a caller whose certificate expired is refused', async () => {
    const validity = {
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() - DAY_MS),
    };
    const authority = await authorityOf(lab.host('a'));
    const pki = await plantCertificates(lab.host('a'), 'expired', authority, validity);
    await refusedAs('WIRE_CERTIFICATE_EXPIRED', { pki });
  });

  it('a caller without a certificate is refused', async () => {
    await refusedAs('WIRE_NO_CERTIFICATE', { pki: null });
  });

  it('a caller that does not speak TLS is hung up on', async () => {
    const replies = await ask({ plain: true });
    expect(replies.map(({ type }) => type)).toEqual([undefined]);
    expect(await logOfB()).toContain('WIRE_NOT_TLS');
  });

  it('one that hosts.yaml does not have any more is refused, and known again without a restart', async () => {
    const path = `${lab.host('b').runDir}${HOSTS_FILE_DEFAULT}`;
    const text = await readFile(path, 'utf8');
    const others = parseHosts(path, text).filter(({ name }) => name !== 'a');
    await writeDurable(path, renderHosts(others));
    await refusedAs('WIRE_UNKNOWN_HOST', {});
    await writeDurable(path, text);
    expect((await ask({})).map(({ type }) => type)).toContain('welcome');
  });

  it('a host with certificates of its own that do not hold says so', async () => {
    const { certificate } = pkiFiles(`${lab.host('a').runDir}${PKI_DIR_DEFAULT}`);
    const right = await readFile(certificate, 'utf8');
    const foreign = await readFile(
      `${lab.host('a').runDir}/etc/understudy/foreign/host.crt`,
      'utf8',
    );
    await writeDurable(certificate, foreign);
    const report = await pair.agent('a').client.check('web1', B);
    expect(report.refusals).toContainEqual(
      expect.objectContaining({ code: 'PKI_KEY_MISMATCH', remedy: expect.stringMatching(/\S/) }),
    );
    await writeDurable(certificate, right);
    expect((await pair.agent('a').client.check('web1', B)).refusals).toEqual([]);
  });

  it('a session asks for its token as well, and takes it once', async () => {
    const peer = new Peer(lab.host('a'), B);
    const first = await peer.helloFor(lab, guest());
    const { port, token } = await peer.prepare(AGENT_PORT_DEFAULT, 'web1');
    const wrongMachine = { ...first, identity: { ...first.identity, qemuVersion: '1.0.0' } };
    const say = (shown: string) =>
      peer.talk(port, [Peer.message('hello', { ...wrongMachine, token: shown })], 15_000);
    const beat = {
      purpose: 'heartbeat',
      versions: [...PROTOCOL_VERSIONS],
      domain: 'web1',
      path: 0,
    };
    const [early] = await peer.talk(port, [
      Peer.message('hello', { ...beat, token: '0'.repeat(64) }),
    ]);
    expect(early?.text).toContain('WIRE_BAD_TOKEN');
    expect((await say('0'.repeat(64)))[0]?.text).toContain('WIRE_BAD_TOKEN');
    expect((await say(token))[0]?.text).toContain('AGENT_BACKUP_DIFFERS');
  });

  it('a domain is protected by a host’s name; nothing of it can be read on the way; it is taken over', async () => {
    const { client } = pair.agent('a');
    const frames = await readableFrames(lab.host('b'), 'repl', async () => {
      await client.protect('web1', { backup: { host: 'b', port: AGENT_PORT_DEFAULT } });
      await pair.waitFor('a', 'web1', ({ state }) => state === 'protected', 60_000);
    });
    expect(frames).toBe(0);
    await killQemu(pair, 'a', 'web1');
    await waitTakeover(pair, 'b', 'web1');
  });
});

describe('of two hosts with a replication link of their own', () => {
  const prefix = labPrefix('pp');
  let lab: Lab;
  let pair: HostPair;

  beforeAll(async () => {
    lab = await Lab.up({ prefix });
    pair = await HostPair.start(lab, { ...PATIENT, encrypt: false });
    await lab.startGuest({ name: 'web1', run: ['redis'] });
  });
  afterAll(() => Lab.tearDown(prefix));

  it('checkpoints travel there as they are, and heartbeats elsewhere do not', async () => {
    let elsewhere = 0;
    const frames = await readableFrames(lab.host('b'), 'repl', async () => {
      elsewhere = await readableFrames(lab.host('b'), 'br0', () => pair.protect('web1'));
    });
    expect(frames).toBeGreaterThan(10);
    expect(elsewhere).toBe(0);
  });

  it('a session still asks for its token', async () => {
    const beat = {
      purpose: 'heartbeat',
      versions: [...PROTOCOL_VERSIONS],
      domain: 'web1',
      path: 0,
    };
    const { stdout } = await lab.host('b').exec('ss', ['-Hltn']);
    const ports = [...stdout.matchAll(/:(\d+)\s/g)].map(([, port]) => Number(port));
    const sessions = [...new Set(ports)].filter((port) => port > 10_000);
    const refusals: unknown[] = [];
    for (const port of sessions) {
      const peer = new Peer(lab.host('a'), B, { plain: true });
      const frame = Peer.message('hello', { ...beat, token: '0'.repeat(64) });
      refusals.push(...(await peer.talk(port, [frame])).map(({ text }) => text));
    }
    expect(refusals.join('\n')).toContain('WIRE_BAD_TOKEN');
  });

  it('a takeover works as ever', async () => {
    await killQemu(pair, 'a', 'web1');
    await waitTakeover(pair, 'b', 'web1');
    await eventually(async () =>
      expect(await lab.host('b').virsh('domstate', 'web1')).toContain('running'),
    );
  });
});
