/** Which of two hosts has the newer disks of a domain. Pure. */
import type { DiskRecord } from '../wire/messages.js';

/** What a host holds of a domain. */
export interface Copy {
  term: number;
  /** That term is the host’s to run the domain under: its disks are at least as new as any other’s of that term. */
  ours: boolean;
  record: DiskRecord;
}

/**
 * A term belongs to one host only, and its disks are ahead of every replica made of them; a later term
 * began where a replica stood, and is what the world has seen since.
 */
export function newerCopy(here: Copy, there: Copy): 'here' | 'there' | 'same' | 'unknown' {
  const [one, other] = [rank(here), rank(there)];
  const at = one.findIndex((value, index) => value !== other[index]);
  if (at >= 0) return (one[at] as number) > (other[at] as number) ? 'here' : 'there';
  if (here.record.position === undefined || there.record.position === undefined) return 'unknown';
  if (here.record.position.session !== there.record.position.session) return 'unknown';
  const difference = here.record.position.epoch - there.record.position.epoch;
  return difference === 0 ? 'same' : difference > 0 ? 'here' : 'there';
}

/** What decides, most important first. A replica that is not whole is worth nothing. */
function rank({ term, ours, record }: Copy): number[] {
  const usable = ours || record.state === 'consistent' || record.state === 'live';
  const of = ours ? term : (record.position?.term ?? 0);
  return [usable ? 1 : 0, usable ? of : 0, ours ? 1 : 0];
}
