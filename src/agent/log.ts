/** Logs: an event name and an object, JSON lines on standard output; the names are listed here and nowhere else. */
import { pino } from 'pino';

export const LOG_EVENTS = {
  agentUp: 'agent-up',
  agentDown: 'agent-down',
  agentDied: 'agent-died',
  sessionUp: 'session-up',
  sessionFound: 'session-found',
  sessionEnded: 'session-ended',
  stateChanged: 'state-changed',
  syncDone: 'sync-done',
  holding: 'output-held',
  holdTrouble: 'hold-trouble',
  epoch: 'epoch',
  pauseFailed: 'pause-failed',
  backupLost: 'backup-lost',
  peerSilent: 'peer-silent',
  peerRefused: 'peer-refused',
  recovery: 'recovery',
  domainYielded: 'domain-yielded',
  domainClaimed: 'domain-claimed',
  connectionRefused: 'connection-refused',
  libvirtClosed: 'libvirt-closed',
  pathDown: 'heartbeat-path-down',
  pathUp: 'heartbeat-path-up',
  pathClosed: 'heartbeat-path-closed',
  stall: 'own-stall',
  takeover: 'takeover',
  devicesChanged: 'devices-changed',
  mirrorTrouble: 'mirror-trouble',
  ownMonitor: 'own-monitor',
  lane: 'lane',
  disksFound: 'disks-found',
  certificates: 'certificates-unusable',
  certificateExpires: 'certificate-expires',
  teardown: 'teardown-failed',
  faultPlanted: 'fault-planted',
  eventsLost: 'events-lost',
} as const;

export type LogEvent = (typeof LOG_EVENTS)[keyof typeof LOG_EVENTS];

export interface Log {
  debug(event: LogEvent, facts?: object): void;
  info(event: LogEvent, facts?: object): void;
  warn(event: LogEvent, facts?: object): void;
  error(event: LogEvent, facts?: object): void;
}

/** A log whose every line carries `base`. Level from UNDERSTUDY_LOG_LEVEL, default info. */
export function openLog(base: Record<string, unknown>): Log {
  const logger = pino({ base, level: process.env.UNDERSTUDY_LOG_LEVEL ?? 'info' });
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (event: LogEvent, facts: object = {}): void =>
      logger[level]({ event, ...facts });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
