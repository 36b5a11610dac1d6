/**
 * The demo's last question: is every write that the client was answered on the disk where the guest is in the
 * end? The guest is ended without warning, and what lies on its disk is read without it.
 */
import { REPLICA_DIR_DEFAULT } from '../../agent/limits.js';
import type { DomainStatus } from '../../agent/status.js';
import { messageOf, UnderstudyError } from '../../errors.js';
import { fsck, type Image } from '../disk-check.js';
import type { Host } from '../place.js';
import { RedisOnDisk } from '../redis-on-disk.js';
import type { ClientProcess } from './client-process.js';
import type { DiskFindings } from './figures.js';

const DISK = 'vda';

/**
 * Ends the guest on `host`, which runs it in the end. The client must have finished: it knows what it was answered.
 * @throws LAB_COMMAND_FAILED when there is no image to look at
 */
export async function auditDisk(
  host: Host,
  { domain, role, disks }: DomainStatus,
  client: ClientProcess,
  tell: (text: string) => void,
): Promise<DiskFindings> {
  const running = (await host.virsh('list', '--name')).split('\n');
  if (running.includes(domain)) await host.virsh('destroy', domain);
  // A host that did not take over may not say where its replica lies.
  const replica = `${REPLICA_DIR_DEFAULT}/${domain}/${DISK}.raw`;
  const path = disks?.find(({ name }) => name === DISK)?.path ?? replica;
  const image: Image = { path: `${host.runDir}${path}`, format: 'raw' };
  const { clean, output } = await fsck(image.path, image.format);
  const which = role === 'backup' ? 'the promoted guest' : 'the guest';
  tell(`${which} is ended; its file system is ${clean ? 'clean' : `damaged: ${output}`}`);
  const lostWrites = await lostOnDisk(image, client, tell);
  tell(`Redis, started anew from that disk, lacks ${lostWrites} of the answered writes`);
  return { lostWrites, fsckClean: clean };
}

/** A disk that Redis cannot start from has lost every write. */
async function lostOnDisk(
  image: Image,
  client: ClientProcess,
  tell: (text: string) => void,
): Promise<number> {
  let redis: RedisOnDisk;
  try {
    redis = await RedisOnDisk.start(image);
  } catch (error) {
    const isFinding = error instanceof UnderstudyError && error.code === 'LAB_DISK_UNREADABLE';
    if (!isFinding) throw error;
    tell(messageOf(error));
    return client.latest?.ackedWrites ?? 0;
  }
  try {
    return (await client.audit(redis.socket)).lostWrites;
  } finally {
    await redis.close();
  }
}
