// Which pages the open epoch captured, and which ones it owes to the next.
//
// Invariant: a page that the guest wrote is, at any moment, protected and unwritten, or still
// marked by the kernel, or in `runs()`, or in the carry. Leaving `runs()` is only possible by
// Carry(), or by Begin() of the next epoch once the caller has encoded and kept everything.
#pragma once

#include <utility>
#include <vector>

#include "memory/page_hashes.h"
#include "memory/page_runs.h"

namespace understudy::memory {

struct CapturedRun {
  uint64_t first;
  uint64_t count;
  // Known to be zero without reading it.
  bool zero;
};

// A place in the list of runs.
struct PageCursor {
  size_t run = 0;
  uint64_t offset = 0;
  bool operator==(const PageCursor&) const = default;
};

class EpochPages {
 public:
  // Starts an epoch with what the scan found and what was carried.
  void Begin(const PageRuns& written, const PageRuns& absent) {
    runs_.clear();
    pages_ = 0;
    if (absent.empty() && carried_.empty() && carried_zero_.empty()) {
      for (const PageRun& run : written) Add(run, false);
      return;
    }
    const PageRuns content = Union(written, carried_);
    const PageRuns zero = Subtract(Union(absent, carried_zero_), content);
    for (size_t i = 0, j = 0; i < content.size() || j < zero.size();) {
      const bool take_content =
          j == zero.size() || (i < content.size() && content[i].first < zero[j].first);
      Add(take_content ? content[i++] : zero[j++], !take_content);
    }
    carried_.clear();
    carried_zero_.clear();
  }

  // The epoch will not reach the replica: all of it goes into the next. What was encoded may
  // or may not have arrived, so its hashes count for nothing.
  void Carry(PageHashes& hashes) {
    PageRuns content, zero;
    for (const CapturedRun& run : runs_) {
      AppendRun(run.zero ? zero : content, {run.first, run.count});
      hashes.Forget({run.first, run.count});
    }
    carried_ = Union(carried_, content);
    carried_zero_ = Subtract(Union(carried_zero_, zero), carried_);
    Clear();
  }

  // The next epoch has to bring every page. Pages that were zero when last encoded are zero
  // still unless the next scan says otherwise, and need not be read.
  void CarryAll(const PageRuns& all, PageHashes& hashes) {
    Carry(hashes);
    carried_zero_.clear();
    for (const PageRun& run : all) {
      for (uint64_t page = run.first; page < run.end(); ++page) {
        if (hashes.KnownZero(page)) AppendRun(carried_zero_, {page, 1});
      }
    }
    carried_ = Subtract(all, carried_zero_);
    hashes.ForgetAll();
  }

  void Clear() {
    runs_.clear();
    pages_ = 0;
  }

  const std::vector<CapturedRun>& runs() const { return runs_; }
  uint64_t pages() const { return pages_; }
  PageCursor end() const { return {runs_.size(), 0}; }
  void Advance(PageCursor& at, uint64_t pages) const {
    at.offset += pages;
    if (at.offset == runs_[at.run].count) at = {at.run + 1, 0};
  }

 private:
  void Add(const PageRun& run, bool zero) {
    runs_.push_back({run.first, run.count, zero});
    pages_ += run.count;
  }

  std::vector<CapturedRun> runs_;
  uint64_t pages_ = 0;
  PageRuns carried_;
  PageRuns carried_zero_;
};

}  // namespace understudy::memory
