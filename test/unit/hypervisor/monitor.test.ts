import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bounded, qmpRequest, qmpReturn, readReply } from '../../../src/hypervisor/monitor.js';

const names = { operation: 'query-x', domain: 'guest' };

describe('QMP', () => {
  test('writes requests with and without arguments', () => {
    expect(qmpRequest('stop')).toBe('{"execute":"stop"}');
    expect(qmpRequest('getfd', { fdname: 'a"b' })).toBe(
      '{"execute":"getfd","arguments":{"fdname":"a\\"b"}}',
    );
  });

  test('gives the return value', () => {
    expect(qmpReturn('{"return":{"a":1},"id":"libvirt-1"}', names)).toEqual({ a: 1 });
  });

  test("types QEMU's refusal", () => {
    const reply = '{"id":"libvirt-2","error":{"class":"GenericError","desc":"An IO error"}}';
    expect(() => qmpReturn(reply, names)).toThrow(
      expect.objectContaining({ code: 'HYP_QMP_FAILED', message: 'query-x: An IO error' }),
    );
  });

  test.each(['', 'null', '{"retu', '[]', '{"error":"x"}', '{"id":1}'])('refuses %j', (reply) => {
    expect(() => qmpReturn(reply, names)).toThrow(
      expect.objectContaining({ code: 'HYP_MONITOR_BAD_REPLY' }),
    );
  });

  test('refuses a reply of another shape', () => {
    expect(() => readReply(z.object({ status: z.string() }), { status: 1 }, names)).toThrow(
      expect.objectContaining({ code: 'HYP_MONITOR_BAD_REPLY' }),
    );
  });
});

describe('bounded', () => {
  test('gives what settles in time', async () => {
    await expect(bounded(Promise.resolve(7), 1000, names)).resolves.toBe(7);
    await expect(bounded(Promise.reject(new Error('no')), 1000, names)).rejects.toThrow('no');
  });

  test('types what does not', async () => {
    const never = new Promise<never>((resolve) => void resolve);
    await expect(bounded(never, 5, names)).rejects.toMatchObject({
      code: 'HYP_MONITOR_TIMED_OUT',
      context: { domain: 'guest', facts: { timeoutMs: 5 } },
    });
  });
});
