/** One libvirt call: bounded in time, its failure typed. Every call to `native.libvirt` goes through here. */
import { UnderstudyError } from '../errors.js';
import { libvirtError } from './libvirt-error.js';
import { bounded, type CallNames } from './monitor.js';

/** @throws HYP_MONITOR_TIMED_OUT, LIBVIRT_… */
export async function callLibvirt<T>(
  names: CallNames,
  timeoutMs: number,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await bounded(start(), timeoutMs, names);
  } catch (error) {
    if (error instanceof UnderstudyError) throw error;
    throw libvirtError(error, names.operation, names.domain);
  }
}
