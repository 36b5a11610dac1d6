import { describe, vi } from 'vitest';
import { provesOutputCommit } from './suite.js';

// A shipper's frames are most of what a schedule would allocate; the model's chunks are tiny.
vi.mock('../../../src/epoch/limits.js', async (original) => ({
  ...(await original<object>()),
  SHIP_CHUNK_BYTES: 256,
}));

describe('output commit under the holder', () => provesOutputCommit('holder'));
