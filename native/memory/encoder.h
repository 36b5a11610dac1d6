// Turns captured pages into chunks: zero pages as runs, pages that the replica has already not
// at all, pages that it has nearly as their difference, everything else as it is.
#pragma once

#include <sys/types.h>

#include "memory/chunk.h"
#include "memory/epoch_pages.h"
#include "memory/page_hashes.h"
#include "memory/ram_layout.h"

namespace understudy::memory {

struct Encoded {
  size_t bytes = 0;
  uint64_t data_pages = 0;
  uint64_t zero_pages = 0;
  uint64_t unchanged_pages = 0;
  bool done = false;
};

class Encoder {
 public:
  Encoder(pid_t pid, const RamLayout& layout, PageHashes& hashes)
      : pid_(pid), layout_(layout), hashes_(hashes) {}

  // Begins with the runs [from, to) of `epoch`. Contents come in order from `staged`, or, when
  // it is null, from the running guest itself at the time of encoding.
  void Begin(const EpochPages& epoch, PageCursor from, PageCursor to, const uint8_t* staged);
  // Forgets what was left.
  void Reset() { epoch_ = nullptr; }
  bool done() const { return !epoch_ || at_ == to_; }

  // Writes the next chunk, at least kChunkBytesMin large, into the buffer.
  Encoded Next(uint8_t* into, size_t bytes);

 private:
  void EncodeZeroRun(const CapturedRun& run, ChunkWriter& writer);
  void EncodeStagedRun(const CapturedRun& run, ChunkWriter& writer);
  void EncodeLivePages(ChunkWriter& writer);
  // Whether the page needs no further word: the replica has it, or its difference is written.
  bool TakeKnown(uint64_t page, const uint8_t* content, ChunkWriter& writer);
  void Take(uint64_t page, const uint8_t* content, ChunkWriter& writer);

  pid_t pid_;
  const RamLayout& layout_;
  PageHashes& hashes_;
  const EpochPages* epoch_ = nullptr;
  PageCursor at_, to_;
  const uint8_t* staged_ = nullptr;
  // The epoch is small enough for differences.
  bool compares_ = false;
  uint64_t unchanged_ = 0;
};

}  // namespace understudy::memory
