/** The parts of QMP replies that are used, as schemas (qapi/*.json in QEMU). Unknown fields are ignored. */
import { z } from 'zod';

/** query-version */
export const versionReply = z.object({
  qemu: z.object({ major: z.number(), minor: z.number(), micro: z.number() }),
  package: z.string(),
});

/** query-cpus-fast; thread-id is the host's thread id (gettid). */
export const cpusReply = z.array(z.object({ 'thread-id': z.int().positive() })).min(1);

/** query-status */
export const statusReply = z.object({ status: z.string(), running: z.boolean() });

/** query-migrate */
export const migrateReply = z.object({
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  'blocked-reasons': z.array(z.string()).optional(),
});

/** query-migrate-capabilities */
export const capabilitiesReply = z.array(z.object({ capability: z.string(), state: z.boolean() }));

/** query-balloon */
export const balloonReply = z.object({ actual: z.int().nonnegative() });

/** query-jobs */
export const jobsReply = z.array(
  z.object({ id: z.string(), type: z.string(), status: z.string() }),
);

/** query-block-jobs; `offset` and `len` are bytes. `error` is there when the job has failed. */
export const blockJobsReply = z.array(
  z.object({
    device: z.string(),
    type: z.string(),
    ready: z.boolean(),
    status: z.string(),
    'io-status': z.string(),
    offset: z.number().nonnegative(),
    len: z.number().nonnegative(),
    error: z.string().optional(),
  }),
);

/** query-memdev */
export const memoryBackendsReply = z.array(
  z.object({ id: z.string().optional(), size: z.int().positive(), share: z.boolean() }),
);

/** query-memory-size-summary */
export const memorySizeReply = z.object({
  'base-memory': z.int().positive(),
  'plugged-memory': z.int().nonnegative().default(0),
});

/** add-fd */
export const addFdReply = z.object({ 'fdset-id': z.int().nonnegative() });
