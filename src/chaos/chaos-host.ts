/**
 * A host as the chaos script sees it: one interface, two adapters (lab-host.ts, ssh-host.ts), one suite of tests.
 * What both do in the same way is in host-commands.ts.
 */
import type { ProtectBody } from '../agent/control/client.js';
import type { DomainStatus } from '../agent/status.js';
import type { ChaosLink, Way } from './faults.js';
import type { Outcome } from './program.js';

export interface ChaosHost {
  readonly name: string;
  /** Directories of its own. */
  readonly directories: { run: string; state: string };

  /** `sh -c SCRIPT` as root, to its end, whatever its exit code. @throws CHAOS_HOST_UNREACHABLE */
  run(script: string, timeoutMs?: number): Promise<Outcome>;
  /** Undefined when no agent answers within STATUS_MS_MAX, or none knows the domain. */
  status(domain: string): Promise<DomainStatus | undefined>;
  /** The epoch in which the state of this moment is committed. Rejects when there is none. */
  checkpoint(domain: string): Promise<number>;
  /** Asks for protection, with what was given for this run. */
  protect(domain: string, backup: ChaosHost, options: Pick<ProtectBody, 'faults'>): Promise<void>;

  /** Falls without a word; resolves when nothing of it runs, or when it can no longer be reached. */
  crash(): Promise<void>;
  /** Up again, with libvirt and agent. @throws CHAOS_HOST_UNREACHABLE after BOOT_MS_MAX */
  boot(): Promise<void>;
  /** What an init does: starts it if it does not run. */
  ensureLibvirtd(): Promise<void>;

  cut(links: readonly ChaosLink[], way: Way): Promise<void>;
  /** Every link of it carries packets. Idempotent. */
  healLinks(): Promise<void>;
  /** Whether the file system of a directory may be filled to its end. */
  mayFill(directory: string): Promise<boolean>;

  /**
   * Runs a script on the host after that time even if we are gone by then: what lasts must end. A laboratory
   * does not need it.
   */
  mendByItself(afterMs: number, script: string): Promise<void>;

  /** Lets go of what the adapter holds; the host stays as it is. */
  close(): Promise<void>;
}
