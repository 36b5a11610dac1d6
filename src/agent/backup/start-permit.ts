/**
 * A standby has the name of the domain that it stands for, so the libvirt hook (deploy/libvirt) would refuse it. A
 * file in the run directory says that this start is the agent's own; a reboot takes it away.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';

export async function withStartPermit<T>(
  runDir: string,
  domain: string,
  start: () => Promise<T>,
): Promise<T> {
  const directory = `${runDir}/standby`;
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const permit = `${directory}/${encodeURIComponent(domain)}`;
  await writeFile(permit, domain, { mode: 0o600 });
  try {
    return await start();
  } finally {
    await rm(permit, { force: true });
  }
}
