/**
 * Pure: a saved device state made into the migration stream that a waiting QEMU accepts.
 *
 * `xen-save-devices-state` writes (qemu_save_device_state in migration/savevm.c): the file
 * header, one full section per device, each closed by a footer that repeats its section id,
 * and an end marker. A loading QEMU also wants a configuration section with the machine
 * type right after the header, and reads on for a description after the end; both are added here. A
 * stream that ends early makes the loading QEMU exit, so a blob that is not whole is refused.
 */
import { hypervisorError } from './errors.js';
import { DEVICE_STATE_BYTES_MAX, MACHINE_NAME_BYTES_MAX } from './limits.js';

/** migration/savevm.c and migration.h */
const FILE_MAGIC = 0x5145564d; // "QEVM"
const FILE_VERSION = 3;
const HEADER_BYTES = 8;
const MARK_END = 0x00;
const MARK_SECTION_FULL = 0x04;
const MARK_DESCRIPTION = 0x06;
const MARK_CONFIGURATION = 0x07;
const MARK_FOOTER = 0x7e;
/** marker, section id */
const FOOTER_BYTES = 5;
/** marker, section id, name length; then name, instance id, version id */
const SECTION_BYTES_MIN = 1 + 4 + 1 + 1 + 4 + 4;

/** @throws HYP_DEVICE_STATE_BAD */
export function incomingStream(deviceState: Buffer, machine: string): Buffer {
  checkDeviceState(deviceState);
  const name = Buffer.from(machine, 'utf8');
  if (name.length === 0 || name.length > MACHINE_NAME_BYTES_MAX)
    throw bad('no usable machine type');
  return Buffer.concat([
    deviceState.subarray(0, HEADER_BYTES),
    lengthed(MARK_CONFIGURATION, name),
    deviceState.subarray(HEADER_BYTES),
    lengthed(MARK_DESCRIPTION, Buffer.from('{}')),
  ]);
}

/** Header, first section and end must be what QEMU writes. @throws HYP_DEVICE_STATE_BAD */
export function checkDeviceState(deviceState: Buffer): void {
  const bytes = deviceState.length;
  if (bytes > DEVICE_STATE_BYTES_MAX) throw bad(`${bytes} bytes are more than allowed`);
  if (bytes < HEADER_BYTES + SECTION_BYTES_MIN + FOOTER_BYTES + 1) throw bad(`only ${bytes} bytes`);
  if (deviceState.readUInt32BE(0) !== FILE_MAGIC) throw bad('it does not start with QEVM');
  const version = deviceState.readUInt32BE(4);
  if (version !== FILE_VERSION) throw bad(`stream version ${version}`);
  if (deviceState[HEADER_BYTES] !== MARK_SECTION_FULL) throw bad('no section after the header');
  const nameBytes = deviceState[HEADER_BYTES + 5] ?? 0;
  const name = deviceState.subarray(HEADER_BYTES + 6, HEADER_BYTES + 6 + nameBytes);
  if (!/^[\x21-\x7e]+$/.test(name.toString('latin1'))) throw bad('the first section has no name');
  checkEnd(deviceState);
}

/** The last section's footer and the end marker: what a cut-off blob lacks. */
function checkEnd(deviceState: Buffer): void {
  const footer = deviceState.length - 1 - FOOTER_BYTES;
  if (deviceState.at(-1) !== MARK_END || deviceState[footer] !== MARK_FOOTER) {
    throw bad('it does not end with a section footer and the end marker');
  }
  const header = Buffer.alloc(5);
  header[0] = MARK_SECTION_FULL;
  deviceState.copy(header, 1, footer + 1, footer + FOOTER_BYTES);
  if (deviceState.lastIndexOf(header, footer) < HEADER_BYTES) {
    throw bad('its last footer belongs to no section');
  }
}

function lengthed(mark: number, content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = mark;
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

function bad(why: string) {
  return hypervisorError('HYP_DEVICE_STATE_BAD', `bad device state: ${why}`, {
    operation: 'load device state',
  });
}
