// One slot of the journal, byte for byte. Integers are little-endian; a checksum is XXH3-128 in canonical form.
//
//      0  header
//           0  u32       magic "USDJ"
//           4  u16       version, 1
//           6  u8        kind: 0 none, 1 copying, 2 transaction, 3 live
//           7  u8        number of disks, 1 to 64
//           8  u64       sequence: one more than that of the record before, which is in the other slot
//          16  u64       nonce: random, the seed of every checksum in the slot below
//          24  64 × u64  the disks' sizes, bytes; 0 beyond their number
//         536  16 bytes  checksum (seed 0) of the 536 bytes before
//   4096  mark "settled", 4608  mark "superseded"
//           0  u32       magic "USDA" (settled), "USDS" (superseded)
//           4  u32       zero
//           8  u64       sequence of this slot
//          16  16 bytes  checksum of the 16 bytes before
//   8192  chunks, of kind transaction only, each
//           0  u32       magic "USDC"
//           4  u32       zero
//           8  u64       length, bytes
//          16  16 bytes  checksum of the content
//          32  content: a disk chunk (disk_chunk.h)
//      …  commit record, right behind the last chunk
//           0  u32       magic "USDE"
//           4  u32       zero
//           8  u64       sequence
//          16  u64       bytes from the slot's start to the end of this record
//          24  u64       number of chunks
//          32  16 bytes  session; zero for none and copying, as are the two that follow
//          48  u64       term
//          56  u64       epoch
//          64  16 bytes  checksum of: the header's 552 bytes, the 32 bytes before each content, the 64 bytes before
//
// Whatever lies behind the commit record, and between the parts above, means nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "disk/checksum.h"
#include "disk/disk_chunk.h"

namespace understudy::disk {

inline constexpr uint32_t kSlotMagic = 0x4a445355;
inline constexpr uint16_t kSlotVersion = 1;
inline constexpr uint32_t kChunkMagic = 0x43445355;
inline constexpr uint32_t kCommitMagic = 0x45445355;

// Where the parts begin. Marks have a page of their own, as they are written later than all the rest.
inline constexpr uint64_t kMarksAt = 4096;
inline constexpr uint64_t kBodyAt = 8192;

// The magic is the mark's meaning, and its place in the page a sector of its own.
enum class MarkKind : uint32_t { kSettled = 0x41445355, kSuperseded = 0x53445355 };
inline constexpr uint64_t MarkAt(MarkKind kind) {
  return kMarksAt + (kind == MarkKind::kSettled ? 0 : 512);
}

enum class SlotKind : uint8_t { kNone = 0, kCopying = 1, kTransaction = 2, kLive = 3 };

struct Position {
  std::array<uint8_t, 16> session{};
  uint64_t term = 0;
  uint64_t epoch = 0;
};

struct SlotHeader {
  uint32_t magic;
  uint16_t version;
  SlotKind kind;
  uint8_t disks;
  uint64_t sequence;
  uint64_t nonce;
  std::array<uint64_t, kDisksMax> disk_bytes;
  Checksum checksum;
};
static_assert(sizeof(SlotHeader) == 552 && offsetof(SlotHeader, checksum) == 536);

struct SlotMark {
  uint32_t magic;
  uint32_t zero;
  uint64_t sequence;
  Checksum checksum;
};
static_assert(sizeof(SlotMark) == 32 && offsetof(SlotMark, checksum) == 16);

struct ChunkHead {
  uint32_t magic;
  uint32_t zero;
  uint64_t bytes;
  Checksum checksum;
};
static_assert(sizeof(ChunkHead) == 32);

struct CommitRecord {
  uint32_t magic;
  uint32_t zero;
  uint64_t sequence;
  uint64_t total_bytes;
  uint64_t chunks;
  Position position;
  Checksum checksum;
};
static_assert(sizeof(CommitRecord) == 80 && offsetof(CommitRecord, checksum) == 64);

}  // namespace understudy::disk
