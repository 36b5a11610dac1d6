/** What the parts of one host's agent share: its options, its durable records, its way to libvirt. */
import { DiskRecords } from '../diskmirror/disk-record.js';
import { messageOf } from '../errors.js';
import { TermStore } from '../failover/term-store.js';
import { type Hypervisor, openHypervisor } from '../hypervisor/connection.js';
import { ClusterTrust } from '../pki/cluster-trust.js';
import type { HeartbeatPolicy } from '../wire/messages.js';
import type { Holdings } from './domain/copies.js';
import { DomainRecords } from './domain/domain-record.js';
import { LOG_EVENTS, type Log } from './log.js';
import type { PeerSettings } from './session/session-config.js';

export interface AgentOptions {
  libvirtUri: string;
  runDir: string;
  stateDir: string;
  /** Where other hosts reach this agent and its backup sessions. */
  listen: { host: string; port: number };
  /** Where replicas of disks are made. */
  replicaDir: string;
  allowFaults: boolean;
  peers: PeerSettings;
  /** Of a protection that names none. */
  heartbeat: HeartbeatPolicy;
}

export class Host {
  readonly terms: TermStore;
  readonly disks: DiskRecords;
  readonly records: DomainRecords;
  readonly holdings: Holdings;
  /** Who the other hosts are. */
  readonly trust: ClusterTrust;

  constructor(
    readonly options: AgentOptions,
    readonly log: Log,
  ) {
    const { stateDir, replicaDir, peers } = options;
    this.trust = new ClusterTrust(peers);
    this.terms = new TermStore(stateDir);
    this.disks = new DiskRecords(stateDir);
    this.records = new DomainRecords(stateDir);
    this.holdings = { terms: this.terms, disks: this.disks, replicaDir, trust: this.trust };
  }

  /** A connection to libvirt for the time of `use`. */
  async withHypervisor<T>(use: (hypervisor: Hypervisor) => Promise<T>): Promise<T> {
    const hypervisor = await openHypervisor({
      uri: this.options.libvirtUri,
      onClosed: (reason) => this.log.warn(LOG_EVENTS.libvirtClosed, { reason: messageOf(reason) }),
    });
    try {
      return await use(hypervisor);
    } finally {
      await hypervisor.close();
    }
  }
}
