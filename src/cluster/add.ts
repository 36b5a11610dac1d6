/**
 * Makes another host one of the cluster, over ssh: looks whether it can be, gives it a certificate and the list,
 * starts its agent, and ends when that agent answers here. Every step may be repeated.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { AGENT_PORT_DEFAULT } from '../agent/limits.js';
import {
  CONFIG_FILE_DEFAULT,
  type Config,
  HOSTS_FILE_DEFAULT,
  PKI_DIR_DEFAULT,
} from '../config/config-file.js';
import { type ClusterHost, renderHosts } from '../config/hosts-file.js';
import { messageOf } from '../errors.js';
import { issueCertificate } from '../pki/authority.js';
import { ClusterTrust } from '../pki/cluster-trust.js';
import { pkiFiles } from '../pki/files.js';
import { quoted } from '../shell-word.js';
import { clusterError } from './errors.js';
import { checkedHost, hostsOf, ownName, readAuthority, withHost, writeHosts } from './files.js';
import { greetAgent } from './greet-agent.js';
import { AGENT_ANSWER_RETRY_MS, AGENT_ANSWER_TIMEOUT_MS } from './limits.js';
import { type HostFacts, judgeProbe, PROBE_SCRIPT } from './requirements.js';
import type { SshConnection } from './ssh.js';

export interface AddRequest {
  /** Default: the host's own name. */
  name: string | undefined;
  /** Default: the one that ssh uses. */
  addresses: readonly string[];
  /** Of its agent. */
  agentPort: number;
}

export type AddStep = 'checked' | 'certified' | 'listed' | 'started' | 'answers';

export interface Added {
  host: ClusterHost;
  /** Hosts whose list is to be brought up to date by hand. */
  others: string[];
}

/**
 * @throws HOST_NOT_READY with everything that is missing; PKI_NO_AUTHORITY, HOST_EXISTS, HOST_NAME_INVALID,
 *   HOST_COMMAND_FAILED, HOST_SSH_FAILED, HOST_AGENT_SILENT
 */
export async function addHost(
  ssh: SshConnection,
  sshHost: string,
  config: Config,
  request: AddRequest,
  onStep: (step: AddStep, detail: string) => void,
): Promise<Added> {
  const authority = await readAuthority(config.pki);
  const hosts = await hostsOf(config);
  const facts = await probe(ssh, sshHost);
  onStep('checked', `understudy ${facts.understudy}, clock ${facts.apartMs} ms apart`);
  const host = checkedHost({
    name: request.name ?? facts.hostname,
    addresses: request.addresses.length > 0 ? [...request.addresses] : [sshHost],
    port: request.agentPort,
  });
  const all = withHost(hosts, host);

  const issued = await issueCertificate(authority, host);
  const { ca, certificate, key } = pkiFiles(PKI_DIR_DEFAULT);
  await ssh.writeFile(ca, authority.certificate);
  await ssh.writeFile(key, issued.key);
  await ssh.writeFile(certificate, issued.certificate);
  onStep('certified', certificate);

  await ssh.writeFile(HOSTS_FILE_DEFAULT, renderHosts(all));
  await writeConfigIfAbsent(ssh, host);
  await writeHosts(config, all);
  onStep('listed', all.map(({ name }) => name).join(', '));

  onStep('started', await ssh.script('starting the agent', startScript(facts)));
  await waitForAgent(config, host);
  onStep('answers', `${host.addresses[0]}:${host.port}`);
  const others = hosts.filter(({ name }) => name !== host.name && name !== ownName(config));
  return { host, others: others.map(({ name }) => name) };
}

async function probe(
  ssh: SshConnection,
  sshHost: string,
): Promise<HostFacts & { apartMs: number }> {
  const beganMs = Date.now();
  const output = await ssh.script('looking at the host', PROBE_SCRIPT);
  const { facts, lacks } = judgeProbe(output, (beganMs + Date.now()) / 2);
  if (lacks.length > 0) {
    throw clusterError('HOST_NOT_READY', `${sshHost}: ${lacks.join('; ')}`);
  }
  return { ...facts, apartMs: Math.round(Math.abs(facts.timeMs - beganMs)) };
}

async function writeConfigIfAbsent(ssh: SshConnection, { name, port }: ClusterHost): Promise<void> {
  const { exitCode } = await ssh.run(`test -e ${quoted(CONFIG_FILE_DEFAULT)}`);
  if (exitCode === 0) return;
  const listen = port === AGENT_PORT_DEFAULT ? {} : { listen: `0.0.0.0:${port}` };
  await ssh.writeFile(CONFIG_FILE_DEFAULT, stringify({ host: name, ...listen }));
}

/** An agent that runs goes on: it reads new certificates and lists by itself. */
function startScript({ systemd, packageDir }: HostFacts): string {
  const shipped = (path: string): string => quoted(`${packageDir}/deploy/${path}`);
  const installed = (path: string, from: string, mode: string): string =>
    `[ -e ${path} ] || install -m ${mode} ${shipped(from)} ${path}`;
  const steps = systemd
    ? [
        installed('/etc/systemd/system/understudyd.service', 'systemd/understudyd.service', '644'),
        'systemctl daemon-reload',
        'systemctl enable --now understudyd.service',
        'echo systemd',
      ]
    : [
        installed('/etc/init.d/understudyd', 'init.d/understudyd', '755'),
        'if command -v update-rc.d >/dev/null; then update-rc.d understudyd defaults >/dev/null; fi',
        '/etc/init.d/understudyd start >/dev/null',
        'echo init script',
      ];
  return ['set -e', 'PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin', ...steps].join(
    '\n',
  );
}

/** Over TLS, as sessions will: it proves certificates, list and firewall in one. @throws HOST_AGENT_SILENT */
async function waitForAgent(config: Config, { name, addresses, port }: ClusterHost): Promise<void> {
  const trust = new ClusterTrust(config);
  const deadlineMs = performance.now() + AGENT_ANSWER_TIMEOUT_MS;
  for (;;) {
    try {
      await greetAgent({ host: addresses[0] ?? name, port }, trust);
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) {
        const message = `${name} at ${addresses[0]}:${port}: ${messageOf(error)}`;
        throw clusterError('HOST_AGENT_SILENT', message, { cause: error });
      }
      await delay(AGENT_ANSWER_RETRY_MS);
    }
  }
}
