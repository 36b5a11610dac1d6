import { describe, expect, test } from 'vitest';
import { incomingStream } from '../../../src/hypervisor/device-state.js';
import { checkDeviceState } from '../../../src/hypervisor/whole-state.js';

interface Section {
  id: number;
  name: string;
  content: Buffer;
}

/** What qemu_save_device_state writes. */
function deviceState(sections: readonly Section[]): Buffer {
  const parts = [Buffer.from('QEVM'), be32(3)];
  for (const { id, name, content } of sections) {
    parts.push(Buffer.from([0x04]), be32(id), Buffer.from([name.length]), Buffer.from(name));
    parts.push(be32(0), be32(1), content, Buffer.from([0x7e]), be32(id));
  }
  parts.push(Buffer.from([0]));
  return Buffer.concat(parts);
}

function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const whole = deviceState([
  { id: 2, name: 'timer', content: Buffer.alloc(24, 0x7e) },
  { id: 41, name: '0000:00:02.0/virtio-net', content: Buffer.alloc(900, 0x04) },
]);

describe('incomingStream', () => {
  test('puts a configuration section after the header and a description after the end', () => {
    const stream = incomingStream(whole, 'pc-q35-7.2');
    const configuration = Buffer.concat([Buffer.from([7]), be32(10), Buffer.from('pc-q35-7.2')]);
    const description = Buffer.concat([Buffer.from([6]), be32(2), Buffer.from('{}')]);
    expect(stream).toEqual(
      Buffer.concat([whole.subarray(0, 8), configuration, whole.subarray(8), description]),
    );
  });

  test.each([[''], ['x'.repeat(256)]])('refuses the machine type %j', (machine) => {
    expect(() => incomingStream(whole, machine)).toThrow(
      expect.objectContaining({ code: 'HYP_DEVICE_STATE_BAD' }),
    );
  });
});

describe('checkDeviceState', () => {
  test('accepts a whole one', () => {
    expect(() => checkDeviceState(whole)).not.toThrow();
  });

  test('refuses it cut off at any byte', () => {
    for (let bytes = 0; bytes < whole.length; bytes += 1) {
      expect(() => checkDeviceState(whole.subarray(0, bytes)), `${bytes} bytes`).toThrow(
        expect.objectContaining({ code: 'HYP_DEVICE_STATE_BAD' }),
      );
    }
  });

  test.each([
    ['another magic', 0, 0x58],
    ['another version', 7, 4],
    ['no section first', 8, 0x01],
    ['an unnamed section', 13, 0],
    ['an end that is not the end', whole.length - 1, 7],
    ['a footer that is no footer', whole.length - 6, 0x7d],
    ['a footer of no section', whole.length - 2, 99],
  ])('refuses %s', (_, at, value) => {
    const wrong = Buffer.from(whole);
    wrong[at] = value;
    expect(() => checkDeviceState(wrong)).toThrow(
      expect.objectContaining({ code: 'HYP_DEVICE_STATE_BAD' }),
    );
  });
});
