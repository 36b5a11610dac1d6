/**
 * Pure: a saved device state made into the migration stream that a waiting QEMU accepts.
 *
 * What `xen-save-devices-state` writes is in native/memory/device_state.h. A loading QEMU also wants a
 * configuration section with the machine type right after the header, and reads on for a description after the
 * end; both are added here. A stream that ends early makes it exit: see `checkDeviceState`.
 */
import { badDeviceState } from './errors.js';
import { MACHINE_NAME_BYTES_MAX } from './limits.js';

/** migration/savevm.c */
const HEADER_BYTES = 8;
const MARK_DESCRIPTION = 0x06;
const MARK_CONFIGURATION = 0x07;

/** Of a state that is whole. @throws HYP_DEVICE_STATE_BAD when the machine type cannot be said */
export function incomingStream(deviceState: Buffer, machine: string): Buffer {
  const name = Buffer.from(machine, 'utf8');
  if (name.length === 0 || name.length > MACHINE_NAME_BYTES_MAX)
    throw badDeviceState('no usable machine type');
  return Buffer.concat([
    deviceState.subarray(0, HEADER_BYTES),
    lengthed(MARK_CONFIGURATION, name),
    deviceState.subarray(HEADER_BYTES),
    lengthed(MARK_DESCRIPTION, Buffer.from('{}')),
  ]);
}

function lengthed(mark: number, content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = mark;
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}
