// What the replica holds, page by page, as seeded 128-bit hashes: a page whose content it has
// already need not travel. 16 bytes per page, resident only where pages were hashed. Of some pages the
// content itself is known.
#pragma once

#include <sys/random.h>

#include <cstring>

#include "memory/digest.h"
#include "memory/limits.h"
#include "memory/owned.h"
#include "memory/page_cache.h"
#include "memory/page_runs.h"

namespace understudy::memory {

// True when all of the page is zero.
inline bool IsZeroPage(const uint8_t* page) {
  // Most pages that are not zero show it in their first words.
  uint64_t head[8];
  memcpy(head, page, sizeof head);
  for (uint64_t word : head) {
    if (word) return false;
  }
  for (size_t at = 0; at < kPageBytes; at += 128) {
    uint64_t words[16], any = 0;
    memcpy(words, page + at, sizeof words);
    for (uint64_t word : words) any |= word;
    if (any) return false;
  }
  return true;
}

class PageHashes {
 public:
  explicit PageHashes(uint64_t pages)
      : table_(pages * sizeof(Entry), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) {
    // The guest chooses page contents; a seed it cannot know keeps it from building collisions.
    if (getrandom(&seed_, sizeof seed_, 0) != sizeof seed_) throw SyscallError("getrandom", errno);
    // A fork must not double it.
    madvise(table_.data(), table_.bytes(), MADV_DONTFORK);
  }

  // Each of these tells whether the replica had it already, and remembers it from now on.
  bool HasZero(uint64_t page) {
    contents_.Forget(page);
    return Exchange(page, kZero);
  }
  bool HasContent(uint64_t page, const uint8_t* content) {
    contents_.Forget(page);
    const XXH128_hash_t hash = XXH3_128bits_withSeed(content, kPageBytes, seed_);
    Entry entry{hash.low64, hash.high64};
    // The two reserved values.
    if (entry.high == 0 && entry.low <= kZero.low) entry.high = 1;
    return Exchange(page, entry);
  }
  // What the replica holds of it is not known.
  void ForgetPage(uint64_t page) {
    contents_.Forget(page);
    ForgetHash(page);
  }
  // Of a page whose content is known.
  void ForgetHash(uint64_t page) { entries()[page] = Entry{0, 0}; }
  // Whoever sends a page that is in it keeps it up to date.
  PageCache& contents() { return contents_; }
  bool KnownZero(uint64_t page) const { return entries()[page] == kZero; }

  void Forget(const PageRun& run) {
    contents_.Forget(run);
    memset(entries() + run.first, 0, run.count * sizeof(Entry));
  }
  void ForgetAll() {
    contents_.ForgetAll();
    // On private anonymous memory this always reads as zero afterwards (madvise(2)).
    if (madvise(table_.data(), table_.bytes(), MADV_DONTNEED) != 0)
      throw SyscallError("madvise", errno);
  }

 private:
  struct Entry {
    uint64_t low;
    uint64_t high;
    bool operator==(const Entry&) const = default;
  };
  // {0, 0}: unknown.
  static constexpr Entry kZero{1, 0};

  Entry* entries() const { return reinterpret_cast<Entry*>(table_.data()); }
  bool Exchange(uint64_t page, Entry now) {
    Entry& entry = entries()[page];
    if (entry == now) return true;
    entry = now;
    return false;
  }

  Mapping table_;
  PageCache contents_;
  uint64_t seed_ = 0;
};

}  // namespace understudy::memory
