// One part of the write log: whole records of one epoch, or the mark that an epoch has ended.
//
// The log's mutex guards the fields. Bytes once written never move or change, so whoever holds `memory` reads
// them without the mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

namespace understudy::mirror {

struct Part {
  uint64_t epoch;
  // CLOCK_MONOTONIC of its oldest byte that was not taken.
  uint64_t oldest_ns;
  size_t bytes = 0;
  // Of them, what was taken already: the last part may be taken from while it still grows.
  size_t taken_bytes = 0;
  // kPartBytesMax of room; null for a mark and for what was spilled.
  std::shared_ptr<uint8_t[]> memory{};
  // Where in the spill file it lies.
  std::optional<uint64_t> spilled_at{};
  bool ends_epoch = false;
  bool intact = false;
  // No longer in the log: a spill that comes late must not count it.
  bool gone = false;
};

}  // namespace understudy::mirror
