// What the replica holds of the pages that were sent lately, whole. Bounded; of two pages that want the same
// place the later one has it.
#pragma once

#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "memory/limits.h"
#include "memory/owned.h"
#include "memory/page_runs.h"

namespace understudy::memory {

class PageCache {
 public:
  PageCache()
      : contents_(kCachedPages * kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE),
        owners_(kCachedPages, kNobody) {
    // A fork must not double it.
    madvise(contents_.data(), contents_.bytes(), MADV_DONTFORK);
  }

  // Its content, to be kept up to date by whoever sends another; null when it is not known.
  uint8_t* Find(uint64_t page) { return owners_[Place(page)] == page ? At(page) : nullptr; }
  void Put(uint64_t page, const uint8_t* content) {
    owners_[Place(page)] = page;
    memcpy(At(page), content, kPageBytes);
  }
  void Forget(uint64_t page) {
    if (owners_[Place(page)] == page) owners_[Place(page)] = kNobody;
  }
  void Forget(const PageRun& run) {
    if (run.count >= kCachedPages) {
      for (uint64_t& owner : owners_) {
        if (owner >= run.first && owner < run.end()) owner = kNobody;
      }
      return;
    }
    for (uint64_t page = run.first; page < run.end(); ++page) Forget(page);
  }
  void ForgetAll() { owners_.assign(kCachedPages, kNobody); }

 private:
  static constexpr uint64_t kNobody = UINT64_MAX;
  // Neighbours lie apart from each other's followers: a multiplication scatters what strides would pile up.
  static size_t Place(uint64_t page) { return (page * 0x9e3779b97f4a7c15u) >> (64 - kCachedPagesLog2); }
  uint8_t* At(uint64_t page) const { return contents_.data() + Place(page) * kPageBytes; }

  Mapping contents_;
  std::vector<uint64_t> owners_;
};

}  // namespace understudy::memory
