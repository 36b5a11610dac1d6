/** What the laboratory's hosts have under /etc/understudy: a CA of their own, certificates, configuration, hosts. */
import { stringify } from 'yaml';
import { AGENT_PORT_DEFAULT } from '../agent/limits.js';
import type { Config } from '../config/config-file.js';
import { type ClusterHost, renderHosts } from '../config/hosts-file.js';
import { CONFIG_FILE_DEFAULT, HOSTS_FILE_DEFAULT, PKI_DIR_DEFAULT } from '../config/paths.js';
import { writeDurable } from '../durable-file.js';
import { issueCertificate, makeAuthority } from '../pki/authority.js';
import { pkiFiles } from '../pki/files.js';
import type { Lab } from './lab.js';
import { HOST_ADDRESSES, HOST_NAMES } from './layout.js';

const HOSTS: readonly ClusterHost[] = HOST_NAMES.map((name) => ({
  name,
  addresses: [HOST_ADDRESSES[name].repl, HOST_ADDRESSES[name].lan],
  port: AGENT_PORT_DEFAULT,
}));

/** Host a is where the CA was made, as after `understudy host init` there and `host add` for b. */
export async function writeHostFiles(
  lab: Lab,
  { encrypt, heartbeat }: { encrypt: boolean; heartbeat: Config['heartbeat'] | undefined },
): Promise<void> {
  const authority = await makeAuthority();
  for (const subject of HOSTS) {
    const { name } = subject;
    const host = lab.host(name as 'a' | 'b');
    const { certificate, key } = await issueCertificate(authority, subject);
    const files = pkiFiles(`${host.runDir}${PKI_DIR_DEFAULT}`);
    await writeDurable(files.ca, authority.certificate);
    if (name === 'a') await writeDurable(files.caKey, authority.key);
    await writeDurable(files.certificate, certificate);
    await writeDurable(files.key, key);
    await writeDurable(`${host.runDir}${HOSTS_FILE_DEFAULT}`, renderHosts(HOSTS));
    const config = {
      ...{ host: name, libvirt: host.libvirtUri, replication: { encrypt } },
      ...(heartbeat === undefined ? {} : { heartbeat }),
    };
    await writeDurable(`${host.runDir}${CONFIG_FILE_DEFAULT}`, stringify(config));
  }
}
