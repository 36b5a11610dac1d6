/**
 * Gives a waiting QEMU its device state, through a pipe.
 *
 * QEMU gets the reading end (`getfd`), so it opens no path and neither its user nor a
 * security profile matters. Once `migrate-incoming` runs, the stream is either loaded whole or
 * QEMU exits; there is no second try with the same process.
 */
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../errors.js';
import { native } from '../native.js';
import type { ProtectedDomain } from './domain.js';
import { hypervisorError } from './errors.js';
import { LOAD_POLL_MS, LOAD_TIMEOUT_MS } from './limits.js';
import { readReply } from './monitor.js';
import { migrateReply } from './qmp-replies.js';

const DESCRIPTOR_NAME = 'understudy-incoming';

/** Resolves when QEMU has loaded `stream` and stands paused. @throws HYP_LOAD_FAILED */
export async function loadDeviceState(domain: ProtectedDomain, stream: Buffer): Promise<void> {
  const pipe = native.openGate({});
  let written: Promise<{ error: unknown } | undefined> | undefined;
  try {
    await domain.qmpWithFiles('getfd', { fdname: DESCRIPTOR_NAME }, [pipe.readFd]);
    written = writeAll(pipe.path, stream).catch((error: unknown) => ({ error }));
    await domain.qmp('migrate-incoming', { uri: `fd:${DESCRIPTOR_NAME}` });
    await loaded(domain);
  } catch (error) {
    throw failed(domain, error);
  } finally {
    // Ends a write that QEMU will not read any more.
    pipe.close();
  }
  const failure = await written;
  if (failure !== undefined) throw failed(domain, failure.error);
}

async function writeAll(path: string, stream: Buffer): Promise<undefined> {
  const writer = await open(path, 'w');
  try {
    await writer.writeFile(stream);
  } finally {
    await writer.close();
  }
}

async function loaded(domain: ProtectedDomain): Promise<void> {
  const deadline = performance.now() + LOAD_TIMEOUT_MS;
  const names = { operation: 'query-migrate', domain: domain.name };
  for (;;) {
    const reply = readReply(migrateReply, await domain.qmp('query-migrate'), names);
    if (reply.status === 'completed') return;
    if (reply.status === 'failed') throw failed(domain, reply['error-desc'] ?? 'no reason given');
    if (performance.now() > deadline) {
      throw failed(
        domain,
        `not loaded within ${LOAD_TIMEOUT_MS} ms (${reply.status ?? 'no status'})`,
      );
    }
    await delay(LOAD_POLL_MS);
  }
}

function failed(domain: ProtectedDomain, cause: unknown) {
  return hypervisorError('HYP_LOAD_FAILED', `standby of ${domain.name}: ${messageOf(cause)}`, {
    operation: 'load device state',
    domain: domain.name,
    cause,
  });
}
