/** A takeover that failed: the other host took a newer term and gave it back, so the domain is this one's still. */
import type { UnderstudyError } from '../../errors.js';
import type { PeerTrust } from '../../wire/trust.js';
import { askReport } from '../domain/report-request.js';
import type { PrimaryConfig } from '../session/session-config.js';
import type { OwnTerm } from './own-term.js';

/** Resolves when the term after the one that was given back is ours. @throws `superseded` when it was not */
export async function takeGivenBack(
  superseded: UnderstudyError,
  own: OwnTerm,
  { config, trust }: { config: PrimaryConfig; trust: PeerTrust },
): Promise<void> {
  const asked = askReport(config.backup, config.domain, [], trust);
  // Without an answer it is tried again, and asked again.
  const there = await asked.catch(() => undefined);
  if (there?.ours === true) throw superseded;
  if (there !== undefined) await own.takeAfter(there.term);
}
