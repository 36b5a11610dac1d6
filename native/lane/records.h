// What the lane carries: records of a header and what it counts. Little-endian, as the struct lies.
//
//   hello       nothing more; shows that the caller has the secret
//   chunk       a chunk (memory/chunk.h): all the pages of the epoch
//   checkpoint  device state (or its difference to that of the last committed checkpoint), addresses (JSON)
//   committed   nothing more; from the backup
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <optional>

#include "lane/sealed_link.h"

namespace understudy::lane {

enum class RecordKind : uint32_t { kHello = 1, kChunk = 2, kCheckpoint = 3, kCommitted = 4 };

struct RecordHeader {
  RecordKind kind;
  // 1: the state is a difference.
  uint32_t is_delta;
  uint64_t epoch;
  // Of the epoch; 0 or 1.
  uint32_t chunks;
  uint32_t state_bytes;
  uint32_t address_bytes;
  uint32_t reserved;
  // XXH3-64 of the whole state: a difference must meet the state that it was taken from.
  uint64_t state_hash;
};
static_assert(sizeof(RecordHeader) == 40, "what is sent is the struct itself");

inline RecordHeader HeaderOf(RecordKind kind, uint64_t epoch) {
  RecordHeader header{};
  header.kind = kind;
  header.epoch = epoch;
  return header;
}

inline uint64_t StateHash(Bytes state) { return XXH3_64bits(state.data(), state.size()); }

inline Bytes BytesOf(const RecordHeader& header) {
  return Bytes(reinterpret_cast<const uint8_t*>(&header), sizeof header);
}

// Nothing when the record is too short.
inline std::optional<RecordHeader> ReadHeader(Bytes record) {
  if (record.size() < sizeof(RecordHeader)) return std::nullopt;
  RecordHeader header;
  memcpy(&header, record.data(), sizeof header);
  return header;
}

inline Bytes BodyOf(Bytes record) { return record.subspan(sizeof(RecordHeader)); }

}  // namespace understudy::lane
