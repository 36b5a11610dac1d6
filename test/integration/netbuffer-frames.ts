/** Ethernet frames as a guest sends them, byte by byte. */
import { client, guest } from './netbuffer-net.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/[^0-9a-f]/gi, ''), 'hex');
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const v4 = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
/** Of the one form that the test network uses: `fd77::2`. */
const v6 = (address: string): Buffer => {
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) =>
    text
      .split(':')
      .filter(Boolean)
      .map((group) => u16(Number.parseInt(group, 16)));
  const [front, back] = [Buffer.concat(groups(head)), Buffer.concat(groups(tail))];
  return Buffer.concat([front, Buffer.alloc(16 - front.length - back.length), back]);
};

export function ethernet(to: string, from: string, type: number, payload: Buffer): Buffer {
  return Buffer.concat([hex(to), hex(from), u16(type), payload]);
}

/** Padded to Ethernet's minimum, so that no interface has a reason to do it. */
function padded(to: string, type: number, payload: Buffer): Buffer {
  const rest = Math.max(0, 46 - payload.length);
  return ethernet(to, guest.mac, type, Buffer.concat([payload, Buffer.alloc(rest)]));
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

const text = Buffer.from('what the guest said');
/** Port 7 to port 9; without a checksum, which UDP over IPv4 allows. */
const udp = (body: Buffer): Buffer =>
  Buffer.concat([u16(7), u16(9), u16(8 + body.length), u16(0), body]);

function ipv4(to: string, body: Buffer, from = guest.v4): Buffer {
  const header = (sum: number) =>
    Buffer.concat([
      hex('4500'),
      u16(20 + body.length),
      hex('0001 4000 4011'),
      u16(sum),
      v4(from),
      v4(to),
    ]);
  return Buffer.concat([header(checksum(header(0))), body]);
}

function ipv6(to: string, nextHeader: number, body: Buffer): Buffer {
  return Buffer.concat([
    hex('60000000'),
    u16(body.length),
    Buffer.from([nextHeader, 255]),
    v6(guest.v6),
    v6(to),
    body,
  ]);
}

function icmpv6(to: string, body: Buffer): Buffer {
  const pseudo = Buffer.concat([
    v6(guest.v6),
    v6(to),
    Buffer.from([0, 0, 0, body.length, 0, 0, 0, 58]),
  ]);
  const sum = checksum(Buffer.concat([pseudo, body]));
  return ipv6(to, 58, Buffer.concat([body.subarray(0, 2), u16(sum), body.subarray(4)]));
}

const arp = (operation: number, targetMac: string, target: string, from = guest.v4): Buffer =>
  Buffer.concat([
    hex('0001 0800 0604'),
    u16(operation),
    hex(guest.mac),
    v4(from),
    hex(targetMac),
    v4(target),
  ]);

/** To the client, from an address that the guest has besides its own. */
export const addressed = (from: string): Buffer =>
  padded(client.mac, 0x0800, ipv4(client.v4, udp(text), from));

/** The guest asks for the client, from such an address. */
export const asking = (from: string): Buffer =>
  padded(client.mac, 0x0806, arp(1, '00:00:00:00:00:00', client.v4, from));

/** In a fixed order; each goes to the client, to a group that it hears, or to everybody. */
export function framesOfEveryKind(): Record<string, Buffer> {
  const everybody = 'ff:ff:ff:ff:ff:ff';
  const nobody = '00:00:00:00:00:00';
  const solicitation = Buffer.concat([
    hex('8700 0000 00000000'),
    v6(client.v6),
    hex('0101'),
    hex(guest.mac),
  ]);
  const advertisement = Buffer.concat([
    hex('8800 0000 20000000'),
    v6(guest.v6),
    hex('0201'),
    hex(guest.mac),
  ]);
  return {
    ipv4: padded(client.mac, 0x0800, ipv4(client.v4, udp(text))),
    ipv6: padded(client.mac, 0x86dd, ipv6(client.v6, 17, udp(text))),
    'ipv4 multicast': padded('01:00:5e:00:00:fb', 0x0800, ipv4('224.0.0.251', udp(text))),
    'ipv6 multicast': padded('33:33:00:00:00:01', 0x86dd, ipv6('ff02::1', 17, udp(text))),
    'ipv4 broadcast': padded(everybody, 0x0800, ipv4('255.255.255.255', udp(text))),
    'arp request': padded(everybody, 0x0806, arp(1, nobody, client.v4)),
    'gratuitous arp': padded(everybody, 0x0806, arp(1, nobody, guest.v4)),
    'reverse arp': padded(everybody, 0x8035, arp(3, guest.mac, '0.0.0.0')),
    'neighbour solicitation': padded('33:33:ff:00:00:03', 0x86dd, icmpv6('ff02::1', solicitation)),
    'neighbour advertisement': padded(
      '33:33:00:00:00:01',
      0x86dd,
      icmpv6('ff02::1', advertisement),
    ),
    'in a vlan': padded(
      client.mac,
      0x8100,
      Buffer.concat([u16(42), u16(0x0800), ipv4(client.v4, udp(text))]),
    ),
    'in two vlans': padded(
      client.mac,
      0x88a8,
      Buffer.concat([u16(42), u16(0x8100), u16(43), u16(0x0800), ipv4(client.v4, udp(text))]),
    ),
    'unknown type': padded(client.mac, 0x88b6, text),
    'lldp-like, type 0x9999': padded(client.mac, 0x9999, text),
    '802.2 with a length': padded(client.mac, 46, hex('aaaa03 000000 88b6')),
  };
}
