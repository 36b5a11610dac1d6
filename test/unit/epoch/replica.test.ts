import { describe, expect, it } from 'vitest';
import { ReplicaReceiver } from '../../../src/epoch/replica.js';
import type { NativeHasher, NativeReplica } from '../../../src/native.js';

/** Remembers what was applied; nothing of QEMU or the network stands behind the decisions tested here. */
class Applied implements Pick<NativeReplica, 'apply' | 'validate'> {
  readonly chunks: string[] = [];
  failWith: Error | undefined;
  validate(chunk: Buffer): { dataPages: number; zeroPages: number } {
    if (chunk.toString() === 'bad') throw new Error('malformed');
    return { dataPages: 1, zeroPages: 0 };
  }
  async apply(
    chunks: readonly Buffer[],
  ): Promise<{ dataPages: number; zeroPages: number; us: number }> {
    if (this.failWith !== undefined) throw this.failWith;
    this.chunks.push(...chunks.map(String));
    return { dataPages: chunks.length, zeroPages: 0, us: 1 };
  }
}

/** Joins what it saw, so that an expected digest can be written down. */
function joiner(): NativeHasher {
  let seen = '';
  return {
    update: (bytes) => {
      seen += `${bytes.toString()};`;
    },
    digest: () => seen,
  };
}

function receiver(stagingBytesMax = 1_000) {
  const replica = new Applied();
  const failures: Error[] = [];
  const recycled: string[] = [];
  const made = new ReplicaReceiver(stagingBytesMax, {
    replica,
    newHasher: joiner,
    applyStateDelta: (base, delta) => {
      if (delta.toString() === 'bad') throw new Error('outside');
      return Buffer.from(`${base}${delta}`);
    },
    checkDeviceState: (state) => {
      if (state.toString() === 'cut off') throw new Error('not whole');
    },
    recycle: (chunk) => recycled.push(chunk.toString()),
    onApplyFailed: (error) => failures.push(error),
  });
  return { receiver: made, replica, failures, recycled };
}

function send(to: ReplicaReceiver, epoch: number, chunks: string[], digest?: string): void {
  for (const chunk of chunks) to.onChunk(epoch, Buffer.from(chunk));
  to.onDeviceState(epoch, Buffer.from('device'));
  const right = `${[...chunks, 'device'].join(';')};`;
  to.onCheckpoint(epoch, {
    digest: digest ?? right,
    chunks: chunks.length,
    disks: [],
    addresses: [],
  });
}

describe('the replica receiver', () => {
  it('applies whole checkpoints, in order', async () => {
    const { receiver: to, replica } = receiver();
    send(to, 1, ['a', 'b']);
    send(to, 2, ['c']);
    await to.finishApplying();
    expect(replica.chunks).toEqual(['a', 'b', 'c']);
    expect(to.committed?.epoch).toBe(2);
    expect(to.appliedEpoch).toBe(2);
  });

  it('never applies an incomplete one', async () => {
    const { receiver: to, replica, recycled } = receiver();
    send(to, 1, ['a']);
    to.onChunk(2, Buffer.from('b'));
    to.onDeviceState(2, Buffer.from('device'));
    expect(to.discardIncomplete()).toBe(1);
    await to.finishApplying();
    expect(replica.chunks).toEqual(['a']);
    expect(to.committed?.epoch).toBe(1);
    expect(recycled).toContain('b');
  });

  it.each([
    [
      'another digest',
      (to: ReplicaReceiver) => send(to, 1, ['a'], 'wrong'),
      'WIRE_DIGEST_MISMATCH',
    ],
    [
      'a missing chunk',
      (to: ReplicaReceiver) => {
        to.onDeviceState(1, Buffer.from('device'));
        to.onCheckpoint(1, { digest: 'device;', chunks: 1, disks: [], addresses: [] });
      },
      'WIRE_DIGEST_MISMATCH',
    ],
    [
      'no device state',
      (to: ReplicaReceiver) =>
        to.onCheckpoint(1, { digest: '', chunks: 0, disks: [], addresses: [] }),
      'EPOCH_NO_DEVICE_STATE',
    ],
    [
      'more than the guest can have',
      (to: ReplicaReceiver) => send(to, 1, ['x'.repeat(2_000)]),
      'EPOCH_STAGING_FULL',
    ],
    [
      'an older epoch after a newer one',
      (to: ReplicaReceiver) => {
        to.onChunk(2, Buffer.from('a'));
        to.onChunk(1, Buffer.from('b'));
      },
      'EPOCH_OUT_OF_ORDER',
    ],
  ])('refuses %s and touches nothing', async (_what, act, code) => {
    const { receiver: to, replica } = receiver();
    expect(() => act(to)).toThrow(expect.objectContaining({ code }));
    await to.finishApplying();
    expect(replica.chunks).toEqual([]);
    expect(to.committed).toBeUndefined();
  });

  it('refuses an epoch that was there already, and lets numbers be skipped', async () => {
    const { receiver: to } = receiver();
    send(to, 3, ['a']);
    expect(() => to.onChunk(3, Buffer.from('b'))).toThrow(
      expect.objectContaining({ code: 'EPOCH_OUT_OF_ORDER' }),
    );
    send(to, 7, ['c']);
    expect(to.committed?.epoch).toBe(7);
    await to.finishApplying();
  });

  it('throws away what came of an epoch when the next one comes before it was whole', async () => {
    const { receiver: to, replica, recycled } = receiver();
    to.onChunk(1, Buffer.from('a'));
    to.onDeviceState(1, Buffer.from('device'));
    send(to, 2, ['b']);
    await to.finishApplying();
    expect(replica.chunks).toEqual(['b']);
    expect(recycled).toEqual(['a', 'b']);
    expect(to.committed?.epoch).toBe(2);
  });

  it('makes a device state of the committed one and a difference', async () => {
    const { receiver: to } = receiver();
    send(to, 1, []);
    to.onDeviceStateDelta(2, Buffer.from('+2'));
    to.onCheckpoint(2, { digest: 'device+2;', chunks: 0, disks: [], addresses: [] });
    // Not to what is only staged.
    to.onDeviceStateDelta(3, Buffer.from('+3'));
    to.onDeviceStateDelta(4, Buffer.from('+4'));
    to.onCheckpoint(4, { digest: 'device+2+4;', chunks: 0, disks: [], addresses: [] });
    expect(to.committed?.deviceState.toString()).toBe('device+2+4');
    await to.finishApplying();
  });

  it('refuses a difference to nothing, one that does not fit, and a state that is not whole', () => {
    const { receiver: to } = receiver();
    expect(() => to.onDeviceStateDelta(1, Buffer.from('+1'))).toThrow(
      expect.objectContaining({ code: 'EPOCH_NO_DEVICE_STATE' }),
    );
    send(to, 1, []);
    expect(() => to.onDeviceStateDelta(2, Buffer.from('bad'))).toThrow(
      expect.objectContaining({ code: 'EPOCH_CHUNK_MALFORMED' }),
    );
    expect(() => to.onDeviceState(2, Buffer.from('cut off'))).toThrow('not whole');
    expect(to.committed?.epoch).toBe(1);
  });

  it('lets sync write at once, but never after the first commit', async () => {
    const { receiver: to, replica } = receiver();
    await to.onSyncChunk(Buffer.from('s'));
    await to.finishApplying();
    expect(replica.chunks).toEqual(['s']);
    send(to, 1, ['a']);
    expect(() => to.onSyncChunk(Buffer.from('t'))).toThrow(
      expect.objectContaining({ code: 'WIRE_UNEXPECTED' }),
    );
    await to.finishApplying();
  });

  it('does not pretend after a failed apply', async () => {
    const { receiver: to, replica, failures } = receiver();
    replica.failWith = new Error('no memory');
    send(to, 1, ['a']);
    await expect(to.finishApplying()).rejects.toMatchObject({ code: 'EPOCH_APPLY_FAILED' });
    replica.failWith = undefined;
    send(to, 2, ['b']);
    await expect(to.finishApplying()).rejects.toMatchObject({ code: 'EPOCH_APPLY_FAILED' });
    expect(failures).toHaveLength(1);
    expect(replica.chunks).toEqual([]);
  });

  it('refuses a malformed chunk before staging it', () => {
    const { receiver: to } = receiver();
    expect(() => to.onChunk(1, Buffer.from('bad'))).toThrow(
      expect.objectContaining({ code: 'EPOCH_CHUNK_MALFORMED' }),
    );
  });
});
