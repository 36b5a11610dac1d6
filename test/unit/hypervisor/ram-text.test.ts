import { describe, expect, test } from 'vitest';
import { covering, parseMaps } from '../../../src/hypervisor/process.js';
import { blockNamed, parseFlatView, parseRamBlocks } from '../../../src/hypervisor/ram-text.js';
import { FLAT_VIEW, RAM_BLOCKS } from './fixtures.js';

describe('parseFlatView', () => {
  test('reads RAM and ROM of the system address space only', () => {
    expect(parseFlatView(FLAT_VIEW)).toEqual([
      { name: 'pc.ram', gpa: 0n, offset: 0n },
      { name: 'pc.ram', gpa: 0xc0000n, offset: 0xc0000n },
      { name: 'pc.ram', gpa: 0x100000n, offset: 0x100000n },
      { name: 'vga.vram', gpa: 0xfd000000n, offset: 0n },
      { name: 'pc.bios', gpa: 0xfffc0000n, offset: 0n },
      { name: 'pc.ram', gpa: 0x100000000n, offset: 0x80000000n },
    ]);
  });

  test('finds nothing in an error text', () => {
    expect(parseFlatView('unknown command: info mtree')).toEqual([]);
  });
});

test('parseRamBlocks reads the bytes in use', () => {
  expect([...parseRamBlocks(RAM_BLOCKS)]).toEqual([
    ['pc.ram', 0x100000000],
    ['/rom@etc/acpi/tables', 0x20000],
    ['0000:00:02.0/vga.vram', 0x1000000],
    ['/objects/ram-node1', 0x40000000],
  ]);
});

test('blockNamed knows the old spelling', () => {
  expect(blockNamed('pc.ram', 'pc.ram')).toBe(true);
  expect(blockNamed('/objects/ram-node1', 'ram-node1')).toBe(true);
  expect(blockNamed('0000:00:02.0/vga.vram', 'vram')).toBe(false);
});

describe('covering', () => {
  const mappings = parseMaps(`1000-3000 rw-p 00000000 00:00 0
3000-5000 rw-s 00000000 00:01 77                       /memfd:memory-backend-memfd (deleted)
6000-7000 rw-p 00000000 00:00 0 `);

  test('joins adjacent mappings', () => {
    expect(covering(mappings, 0x2000n, 0x3000)?.map(({ inode }) => inode)).toEqual([0n, 77n]);
  });

  test.each([
    ['before', 0x0n, 0x2000],
    ['across a hole', 0x4000n, 0x3000],
    ['past the end', 0x6000n, 0x2000],
    ['in nothing', 0x9000n, 0x1000],
  ])('finds no cover %s', (_, hva, bytes) => {
    expect(covering(mappings, hva, bytes)).toBeUndefined();
  });
});
