// Where each page of the replica's flat address space lies inside QEMU.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/async.h"
#include "memory/limits.h"
#include "memory/page_runs.h"

namespace understudy::memory {

struct RamRange {
  uint64_t hva;
  uint64_t bytes;
  uint64_t replica_offset;
  uint64_t first_page() const { return replica_offset / kPageBytes; }
  uint64_t end_page() const { return (replica_offset + bytes) / kPageBytes; }
};

// Sorted by replica offset. Throws RANGES_INVALID unless aligned, non-empty and disjoint.
class RamLayout {
 public:
  explicit RamLayout(std::vector<RamRange> ranges) : ranges_(std::move(ranges)) {
    if (ranges_.empty() || ranges_.size() > kRangesMax) Refuse("their number is out of bounds");
    std::sort(ranges_.begin(), ranges_.end(), [](const RamRange& a, const RamRange& b) {
      return a.replica_offset < b.replica_offset;
    });
    uint64_t end = 0;
    for (const RamRange& range : ranges_) {
      if (range.bytes == 0 || (range.hva | range.bytes | range.replica_offset) % kPageBytes != 0) {
        Refuse("one is empty or not page-aligned");
      }
      if (range.hva + range.bytes < range.hva || range.replica_offset + range.bytes < range.bytes) {
        Refuse("one wraps around");
      }
      if (range.replica_offset < end) Refuse("two overlap in the replica");
      end = range.replica_offset + range.bytes;
      ram_bytes_ += range.bytes;
    }
  }

  const std::vector<RamRange>& ranges() const { return ranges_; }
  uint64_t ram_bytes() const { return ram_bytes_; }
  // One past the last page of the replica.
  uint64_t end_page() const { return ranges_.back().end_page(); }

  PageRuns AllPages() const {
    PageRuns all;
    for (const RamRange& range : ranges_) {
      AppendRun(all, {range.first_page(), range.bytes / kPageBytes});
    }
    return all;
  }

  // The longest piece of [first, first + count) that is contiguous inside QEMU.
  struct Piece {
    uint64_t hva;
    uint64_t pages;
  };
  Piece Locate(uint64_t first, uint64_t count) const {
    auto range =
        std::upper_bound(ranges_.begin(), ranges_.end(), first,
                         [](uint64_t page, const RamRange& r) { return page < r.first_page(); });
    --range;
    return {range->hva + (first - range->first_page()) * kPageBytes,
            std::min(count, range->end_page() - first)};
  }

 private:
  [[noreturn]] static void Refuse(const std::string& why) {
    throw CodedError("RANGES_INVALID", "the guest's RAM ranges are refused: " + why);
  }

  std::vector<RamRange> ranges_;
  uint64_t ram_bytes_ = 0;
};

}  // namespace understudy::memory
