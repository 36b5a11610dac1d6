/** What the programs in the guest answer (native/guest), one line each. Pure. */

export interface MemstampReport {
  /** Pages rewritten since the start. */
  generation: bigint;
  /** Pages checked. */
  checks: bigint;
  /** Pages that did not hold what was last written to them: must be 0. */
  mismatches: bigint;
  uptimeS: number;
}

export interface DiskstampReport {
  /** Writes made since the start, of all disks. */
  writes: bigint;
  /** Blocks of 4 KiB checked. */
  checks: bigint;
  /** Blocks that did not hold what memory says was last written to them: must be 0. */
  mismatches: bigint;
  uptimeS: number;
}

export interface TalkerReport {
  /** The newest one that was given to a packet. */
  counter: bigint;
  /** Random, of this start of the talker. */
  boot: string;
  /** TCP connections that were begun. */
  connections: number;
}

/** As native/guest/diskload.c describes them. */
export type DiskloadMode = 'randwrite' | 'dsync' | 'randwrite8' | 'seqwrite' | 'trim';

export interface DiskloadReport {
  writes: number;
  seconds: number;
  /** Latency of one write, microseconds. */
  p50Us: number;
  p99Us: number;
  megabytesPerSecond: number;
}

/** "GENERATION CHECKS MISMATCHES UPTIME_S" */
export function parseMemstamp(line: string): MemstampReport | undefined {
  const report = parseStamps(line);
  if (report === undefined) return undefined;
  const { written: generation, ...rest } = report;
  return { generation, ...rest };
}

/** "WRITES CHECKS MISMATCHES UPTIME_S" */
export function parseDiskstamp(line: string): DiskstampReport | undefined {
  const report = parseStamps(line);
  if (report === undefined) return undefined;
  const { written: writes, ...rest } = report;
  return { writes, ...rest };
}

/** "COUNTER BOOT CONNECTIONS" */
export function parseTalker(line: string): TalkerReport | undefined {
  const fields = /^(\d{1,20}) ([0-9a-f]{16}) (\d{1,9})\n?$/.exec(line);
  if (fields === null) return undefined;
  const [, counter = '', boot = '', connections = ''] = fields;
  return { counter: BigInt(counter), boot, connections: Number(connections) };
}

/** "COUNT SECONDS P50_US P99_US MB_PER_S" */
export function parseDiskload(line: string): DiskloadReport | undefined {
  const fields = /^(\d{1,15}) (\d+\.\d{3}) (\d+\.\d) (\d+\.\d) (\d+\.\d{3})\n?$/.exec(line);
  if (fields === null) return undefined;
  const [writes = 0, seconds = 0, p50Us = 0, p99Us = 0, megabytesPerSecond = 0] = fields
    .slice(1)
    .map(Number);
  return { writes, seconds, p50Us, p99Us, megabytesPerSecond };
}

function parseStamps(line: string) {
  const fields = /^(\d{1,20}) (\d{1,20}) (\d{1,20}) (\d{1,12}\.\d{3})\n?$/.exec(line);
  if (fields === null) return undefined;
  const [, written = '', checks = '', mismatches = '', uptime = ''] = fields;
  return {
    written: BigInt(written),
    checks: BigInt(checks),
    mismatches: BigInt(mismatches),
    uptimeS: Number(uptime),
  };
}
