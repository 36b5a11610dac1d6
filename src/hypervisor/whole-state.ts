/** Whether a device state may be loaded, or committed, at all. */
import { messageOf } from '../errors.js';
import { native } from '../native.js';
import { badDeviceState } from './errors.js';
import { DEVICE_STATE_BYTES_MAX } from './limits.js';

/** Header, first section and end must be what QEMU writes. @throws HYP_DEVICE_STATE_BAD */
export function checkDeviceState(deviceState: Buffer): void {
  const bytes = deviceState.length;
  if (bytes > DEVICE_STATE_BYTES_MAX) throw badDeviceState(`${bytes} bytes are more than allowed`);
  try {
    native.memory.checkDeviceState(deviceState);
  } catch (error) {
    throw badDeviceState(messageOf(error));
  }
}
