/** Gathers what src/failover/recovery.ts decides upon. */
import { messageOf } from '../../errors.js';
import type { Situation } from '../../failover/recovery.js';
import { native } from '../../native.js';
import type { Host } from '../host.js';
import { LOG_EVENTS } from '../log.js';
import type { DomainRecord } from './domain-record.js';
import { askReport } from './report-request.js';

/** Without the other host's word: that is asked for only when it counts. */
export async function situationHere(
  host: Host,
  record: DomainRecord,
  session: Situation['session'],
): Promise<Situation> {
  const { domain, role, wanted, established, settings } = record;
  const { ours, startable, term } = await host.terms.read(domain);
  const automatic = wanted === 'protected' && established && settings.recovery === 'automatic';
  return {
    role,
    automatic,
    ours,
    startable,
    // Disks that went live may be newer than the other host's, whatever became of the promotion.
    unfinished: promotionIsOpen(record, { ours, term }) && !isLive(host, domain),
    session,
    // A session that lives knows better.
    guest:
      automatic && (session === 'none' || session === 'promoted')
        ? await guest(host, domain)
        : 'unknown',
    peer: 'unasked',
  };
}

/** Its term, too: what is newer than ours decides. */
export async function askOtherHost(
  host: Host,
  { domain, peer }: DomainRecord,
): Promise<{ peer: Situation['peer']; term: number }> {
  try {
    const answer = await askReport(peer, domain, [], host.trust);
    const { term, ours, mayTakeOver, undecided, free } = answer;
    const own = await host.terms.read(domain);
    // A newer term that is not its own was given back.
    return { peer: { newerTerm: ours && term > own.term, mayTakeOver, undecided, free }, term };
  } catch (error) {
    host.log.debug(LOG_EVENTS.peerSilent, { domain, peer, error: messageOf(error) });
    return { peer: 'silent', term: 0 };
  }
}

/** This host took its term to promote its standby, and has no takeover of that term to show. */
export function promotionIsOpen(
  { role, takeover }: DomainRecord,
  { ours, term }: { ours: boolean; term: number },
): boolean {
  return role === 'backup' && ours && takeover?.term !== term;
}

function isLive({ holdings }: Host, domain: string): boolean {
  return native.disks.readRecord(holdings.disks.journalDirectory(domain)).state === 'live';
}

async function guest(host: Host, domain: string): Promise<Situation['guest']> {
  try {
    return await host.withHypervisor((hypervisor) => hypervisor.presence(domain));
  } catch (error) {
    host.log.warn(LOG_EVENTS.libvirtClosed, { domain, error: messageOf(error) });
    return 'unknown';
  }
}
