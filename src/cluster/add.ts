/**
 * Makes another host one of the cluster, over ssh: looks whether it can be, gives it a certificate and the list,
 * starts its agent, and ends when that agent answers here. Every step may be repeated.
 */
import { stringify } from 'yaml';
import { AGENT_PORT_DEFAULT } from '../agent/limits.js';
import type { Config } from '../config/config-file.js';
import { type ClusterHost, renderHosts } from '../config/hosts-file.js';
import { CONFIG_FILE_DEFAULT, HOSTS_FILE_DEFAULT, PKI_DIR_DEFAULT } from '../config/paths.js';
import { issueCertificate } from '../pki/authority.js';
import { pkiFiles } from '../pki/files.js';
import { quoted } from '../shell-word.js';
import { clusterError } from './errors.js';
import { checkedHost, hostsOf, ownName, readAuthority, withHost, writeHosts } from './files.js';
import { type HostFacts, judgeProbe, PROBE_SCRIPT } from './requirements.js';
import { hookScript, startScript } from './service.js';
import type { SshConnection } from './ssh.js';
import { waitForAgent } from './wait-for-agent.js';

export interface AddRequest {
  /** Default: the host's own name. */
  name: string | undefined;
  /** Default: the one that ssh uses. */
  addresses: readonly string[];
  /** Of its agent. */
  agentPort: number;
}

export type AddStep = 'checked' | 'certified' | 'listed' | 'guarded' | 'started' | 'answers';

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

  onStep('guarded', await ssh.script('installing the hook', hookScript(facts)));
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
