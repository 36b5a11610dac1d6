/** Reads an inventory: by Ansible itself where it is installed, so that every kind and plugin works. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../errors.js';
import { chaosError } from './errors.js';
import { hostsListed, hostsOfYaml, type InventoryHost } from './inventory.js';
import { runProgram } from './program.js';

/** @throws CHAOS_INVENTORY_INVALID, CHAOS_HOST_NOT_ALLOWED; nothing was connected to */
export async function readInventory(path: string, group?: string): Promise<InventoryHost[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw chaosError('CHAOS_INVENTORY_INVALID', messageOf(cause), { cause });
  });
  const listed = await runProgram('ansible-inventory', ['-i', path, '--list']);
  if (listed === undefined) return hostsOfYaml(text, group);
  if (listed.exitCode !== 0) {
    throw chaosError('CHAOS_INVENTORY_INVALID', `ansible-inventory: ${listed.stderr.trim()}`);
  }
  return hostsListed(listed.stdout, group);
}
