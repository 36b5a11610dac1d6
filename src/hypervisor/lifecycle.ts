/** libvirt's lifecycle events by name, without suspensions: a protected domain has one at every epoch. */
import type { NativeLifecycleEvent } from '../native.js';

/** virDomainEventType, in its order. */
const kinds = [
  'defined',
  'undefined',
  'started',
  'suspended',
  'resumed',
  'stopped',
  'shutdown',
  'pmsuspended',
  'crashed',
] as const;

export interface LifecycleEvent {
  domain: string;
  uuid: string;
  kind: (typeof kinds)[number] | 'unknown';
  /** virDomainEvent*DetailType of that kind. */
  detail: number;
}

export function lifecycleEvent(event: NativeLifecycleEvent): LifecycleEvent {
  return {
    domain: event.domain,
    uuid: event.uuid,
    kind: kinds[event.event] ?? 'unknown',
    detail: event.detail,
  };
}

/** True when after this event no QEMU of the domain is left. */
export function isGone(event: LifecycleEvent): boolean {
  return event.kind === 'stopped' || event.kind === 'crashed';
}
