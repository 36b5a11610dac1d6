// The encoded chunk: what ships between hosts. Little endian.
//
//   offset  bytes  field
//        0      4  magic "UCHK"
//        4      2  version (2)
//        6      2  reserved, 0
//        8      4  run_count
//       12      4  data_pages
//       16      8  zero_pages
//       24      8  total bytes of the chunk
//       32      4  delta_pages
//       36      4  delta_bytes
//       40      data_pages * 4096   page contents, in the order of the data runs
//        …  delta_bytes         differences of pages (page_delta.h), in the order of the delta runs
//        …  run_count * 16      runs: u64 first page, u32 pages (never 0), u32 kind (0, 1 or 2)
//
// Runs ascend and do not overlap. Page numbers are offsets in the replica divided by 4096. The
// runs come last so that data can be written in place before its run is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "memory/limits.h"

namespace understudy::memory {

inline constexpr uint32_t kChunkMagic = 0x4b484355;
inline constexpr uint16_t kChunkVersion = 2;

struct ChunkHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t reserved;
  uint32_t run_count;
  uint32_t data_pages;
  uint64_t zero_pages;
  uint64_t total_bytes;
  uint32_t delta_pages;
  uint32_t delta_bytes;
};
static_assert(sizeof(ChunkHeader) == 40);

enum class RunKind : uint32_t { kZero = 0, kData = 1, kDelta = 2 };

struct ChunkRun {
  uint64_t first;
  uint32_t pages;
  RunKind kind;
};
static_assert(sizeof(ChunkRun) == 16);

// Fills one caller's buffer. The caller asks for room first.
class ChunkWriter {
 public:
  ChunkWriter(uint8_t* into, size_t bytes);
  // Data pages that fit, each with a run of its own; 0 when full.
  size_t RoomPages() const;
  // Where the next data page belongs.
  uint8_t* Tail() const { return into_ + sizeof(ChunkHeader) + size_t{data_pages_} * kPageBytes; }
  // The content is at Tail() already.
  void CommitData(uint64_t page);
  // The lines of `content` that are set in `lines`, at most kDeltaLinesMax.
  void AddDelta(uint64_t page, uint64_t lines, const uint8_t* content);
  void AddZero(uint64_t page);
  // Bytes of the finished chunk; 0 when nothing was added.
  size_t Finish();
  uint32_t data_pages() const { return data_pages_; }
  uint32_t delta_pages() const { return delta_pages_; }
  uint64_t zero_pages() const { return zero_pages_; }

 private:
  size_t Used() const;
  void Extend(uint64_t page, RunKind kind);
  uint8_t* into_;
  size_t bytes_;
  uint32_t data_pages_ = 0;
  uint64_t zero_pages_ = 0;
  uint32_t delta_pages_ = 0;
  std::vector<uint8_t> deltas_;
  std::vector<ChunkRun> runs_;
};

struct ChunkSummary {
  // Whole or as a difference.
  uint64_t data_pages = 0;
  uint64_t zero_pages = 0;
};

// Tells whether [first, first + pages) lies inside the replica.
using InsideReplica = std::function<bool(uint64_t first, uint64_t pages)>;
struct ChunkVisitor {
  // `content` is null for a zero run.
  std::function<void(const ChunkRun& run, const uint8_t* content)> run;
  // One page of a delta run; `content` has the lines that are set in `lines`.
  std::function<void(uint64_t page, uint64_t lines, const uint8_t* content)> delta;
};

// Throws CHUNK_MALFORMED unless every field is in bounds and adds up; survives any bytes.
ChunkSummary ValidateChunk(const uint8_t* chunk, size_t bytes, const InsideReplica& inside);

// Validates wholly, then visits every run in order. Each run is read once and checked as read,
// so that a buffer changed by another thread meanwhile cannot lead outside the replica.
ChunkSummary VisitChunk(const uint8_t* chunk, size_t bytes, const InsideReplica& inside,
                        const ChunkVisitor& visit);

}  // namespace understudy::memory
