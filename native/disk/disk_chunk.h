// The write log's unit on the wire and in the journal: records, one after the other, little-endian.
//
//    0  u8   kind: 1 write, 2 zero (stays allocated), 3 trim (reads as zero afterwards, may be a hole)
//    1  u8   disk: its place in the HELLO's list
//    2  u16  zero
//    4  u32  data bytes: the write's length, 0 for zero and trim
//    8  u64  offset, bytes
//   16  u64  length, bytes; for a write the same as data bytes
//   24  data
//
// Records are applied in order; later ones win where they overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

namespace understudy::disk {

enum class RecordKind : uint8_t { kWrite = 1, kZero = 2, kTrim = 3 };

inline constexpr size_t kRecordHeaderBytes = 24;
inline constexpr size_t kDisksMax = 64;

struct Record {
  RecordKind kind;
  uint8_t disk;
  uint64_t offset;
  uint64_t length;
  // Of a write: `length` bytes, inside the chunk.
  const uint8_t* data;
};

inline void WriteRecordHeader(uint8_t* into, const Record& record) {
  const uint32_t data_bytes =
      record.kind == RecordKind::kWrite ? static_cast<uint32_t>(record.length) : 0;
  into[0] = static_cast<uint8_t>(record.kind);
  into[1] = record.disk;
  into[2] = into[3] = 0;
  memcpy(into + 4, &data_bytes, sizeof data_bytes);
  memcpy(into + 8, &record.offset, sizeof record.offset);
  memcpy(into + 16, &record.length, sizeof record.length);
}

struct ChunkSummary {
  uint64_t records = 0;
  uint64_t data_bytes = 0;
};

using RecordVisitor = std::function<void(const Record& record)>;

// Throws CHUNK_MALFORMED unless every field of every record is in bounds and lengths add up;
// survives any bytes. `disk_bytes`: the disks' sizes in the order of their numbers.
ChunkSummary ValidateChunk(const uint8_t* chunk, size_t bytes,
                           const std::vector<uint64_t>& disk_bytes);

// Validates wholly, then visits every record in order. A record is checked again as it is visited, so that a
// buffer changed by another thread meanwhile cannot lead outside a disk.
ChunkSummary VisitChunk(const uint8_t* chunk, size_t bytes, const std::vector<uint64_t>& disk_bytes,
                        const RecordVisitor& visit);

}  // namespace understudy::disk
