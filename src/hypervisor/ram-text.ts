/** Pure: the two monitor texts that describe guest RAM (mtree_info in softmmu/memory.c, ram_block_format in softmmu/physmem.c). */

/** A piece of RAM in the guest's physical address space. */
export interface FlatRange {
  name: string;
  gpa: bigint;
  /** Where in its block the piece starts. */
  offset: bigint;
}

/** RAM pieces of the system's own address space ("memory"), by guest-physical address. */
export function parseFlatView(text: string): FlatRange[] {
  const view = text
    .split(/^FlatView #\d+/m)
    .find((part) => part.includes(' AS "memory", root: system'));
  const line =
    /^ {2}([0-9a-f]{16})-[0-9a-f]{16} \(prio -?\d+, (?:ram|rom|nv-ram)\): (.+?)(?: @([0-9a-f]{16}))?(?: KVM)?\s*$/gm;
  return Array.from((view ?? '').matchAll(line), ([, gpa = '', name = '', offset = '0']) => ({
    name,
    gpa: BigInt(`0x${gpa}`),
    offset: BigInt(`0x${offset}`),
  }));
}

/** Block id → bytes in use. */
export function parseRamBlocks(text: string): Map<string, number> {
  const line = /^\s*(\S.*?)\s+\d+ [KMG]iB\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+/gm;
  return new Map(
    Array.from(text.matchAll(line), ([, name = '', used = '']) => [name, Number(used)]),
  );
}

/** Machine types up to 4.0 name a backend's block by its object path. */
export function blockNamed(blockId: string, backend: string): boolean {
  return blockId === backend || blockId === `/objects/${backend}`;
}
