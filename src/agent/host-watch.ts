/**
 * Tells when something of a domain may have changed on this host: a session's state, or the domain itself. What it
 * was is for whoever is told to find out.
 */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { messageOf } from '../errors.js';
import { type Hypervisor, openHypervisor } from '../hypervisor/connection.js';
import type { LifecycleEvent } from '../hypervisor/lifecycle.js';
import { RECOVERY_DELAY_MS_MAX, RECOVERY_DELAY_MS_MIN } from './limits.js';
import { LOG_EVENTS, type Log } from './log.js';

/** Pauses come and go with every epoch of some guests, and mean nothing here. */
const TELLING: ReadonlySet<LifecycleEvent['kind']> = new Set([
  'defined',
  'started',
  'stopped',
  'shutdown',
  'crashed',
]);

export interface HostWatchOptions {
  libvirtUri: string;
  runDir: string;
  log: Log;
}

export class HostWatch {
  #files: FSWatcher | undefined;
  #hypervisor: Hypervisor | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    private readonly options: HostWatchOptions,
    /** `undefined`: any of them. */
    private readonly onChanged: (domain: string | undefined) => void,
  ) {}

  async start(): Promise<void> {
    const directory = `${this.options.runDir}/sessions`;
    await mkdir(directory, { recursive: true, mode: 0o711 });
    this.#files = watch(directory, (_event, file) => {
      const domain = file === null ? undefined : domainOfStatusFile(file);
      if (domain !== undefined) this.onChanged(domain);
    });
    this.#files.on('error', (error) => {
      this.options.log.error(LOG_EVENTS.teardown, { directory, error: messageOf(error) });
    });
    await this.#connect(RECOVERY_DELAY_MS_MIN);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#files?.close();
    await this.#hypervisor?.close();
  }

  /** While libvirt is away nothing can be known of domains; when it is back, anything may have changed. */
  async #connect(retryMs: number): Promise<void> {
    const again = (): void => {
      if (this.#closed) return;
      const next = Math.min(retryMs * 2, RECOVERY_DELAY_MS_MAX);
      this.#timer = setTimeout(() => void this.#connect(next), retryMs);
    };
    const { libvirtUri, log } = this.options;
    try {
      const hypervisor = await openHypervisor({
        uri: libvirtUri,
        onClosed: (reason) => {
          log.warn(LOG_EVENTS.libvirtClosed, { reason });
          this.#hypervisor = undefined;
          hypervisor.close().catch(() => undefined);
          if (!this.#closed) void this.#connect(RECOVERY_DELAY_MS_MIN);
        },
      });
      if (this.#closed) return await hypervisor.close();
      this.#hypervisor = hypervisor;
      hypervisor.onLifecycle(({ domain, kind }) => {
        if (TELLING.has(kind)) this.onChanged(domain);
      });
      this.onChanged(undefined);
    } catch (error) {
      log.debug(LOG_EVENTS.libvirtClosed, { error: messageOf(error) });
      again();
    }
  }
}

/** Written anew at every change of a session's state. Pure. */
export function domainOfStatusFile(file: string): string | undefined {
  const encoded = /^(.+)\.(?:primary|backup)\.status\.json$/.exec(file)?.[1];
  return encoded === undefined ? undefined : decodeURIComponent(encoded);
}
