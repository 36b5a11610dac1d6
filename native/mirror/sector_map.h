// Which sectors of one disk are remembered, and which of them are zeroes. Memory is taken for what was
// touched only; a stretch that is all zeroes (a guest's TRIM of everything) takes none.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "mirror/bits.h"
#include "mirror/limits.h"

namespace understudy::mirror {

enum class SectorState { kAbsent, kData, kZero };

struct SectorRun {
  SectorState state;
  uint64_t begin;
  uint64_t end;
};

class SectorMap {
 public:
  explicit SectorMap(uint64_t sectors) : sectors_(sectors) {}

  void MarkData(uint64_t begin, uint64_t end);
  // True when any of them was data.
  bool MarkZero(uint64_t begin, uint64_t end);
  void Clear();

  // The longest run from `begin` on, within `end`, that one look finds; the next may be in the same state.
  SectorRun RunAt(uint64_t begin, uint64_t end) const;
  // The next run that is not absent, with what continues it.
  std::optional<SectorRun> NextPresent(uint64_t begin) const;

  uint64_t data_sectors() const { return data_sectors_; }
  uint64_t present_sectors() const { return present_sectors_; }

 private:
  struct Page {
    Bits present{kMapPageSectors};
    Bits data{kMapPageSectors};
  };

  template <typename Change>
  void ChangePages(uint64_t begin, uint64_t end, Change change);
  uint64_t PageEnd(uint64_t page) const { return std::min((page + 1) * kMapPageSectors, sectors_); }

  const uint64_t sectors_;
  // Null: all zeroes.
  std::map<uint64_t, std::unique_ptr<Page>> pages_;
  uint64_t data_sectors_ = 0;
  uint64_t present_sectors_ = 0;
};

}  // namespace understudy::mirror
