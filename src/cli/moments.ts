/** Moments and lengths of time, as people write and read them. Pure. */

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** The moment that an age (`90s`, `10m`, `2h`, `3d`) or an ISO 8601 time means; undefined for neither. */
export function parseAge(text: string, now: Date): Date | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([smhd])$/.exec(text.trim()) ?? [];
  const ms =
    number === undefined || unit === undefined
      ? isoMs(text)
      : now.getTime() - Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS];
  const moment = new Date(ms);
  return Number.isNaN(moment.getTime()) ? undefined : moment;
}

/** Date.parse alone takes nearly everything for a date, "10" for one. */
function isoMs(text: string): number {
  return /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
}

/** "2026-11-22 00:30:12.345" in the time zone of the machine. */
export function localTime(moment: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = [moment.getFullYear(), moment.getMonth() + 1, moment.getDate()].map(two).join('-');
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(':');
  return `${date} ${time}.${String(moment.getMilliseconds()).padStart(3, '0')}`;
}

/** The two largest units: "4s", "3m12s", "2h05m", "6d03h". */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}
