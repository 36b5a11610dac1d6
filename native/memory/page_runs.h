// Sorted, disjoint runs of pages in the replica's flat address space, and their algebra.
// Everything the product must never lose passes through here.
#pragma once

#include <cstdint>
#include <vector>

namespace understudy::memory {

struct PageRun {
  uint64_t first;
  uint64_t count;
  uint64_t end() const { return first + count; }
};

using PageRuns = std::vector<PageRun>;

// Appends a run that starts at or after everything in `runs`, merging with the last one.
inline void AppendRun(PageRuns& runs, PageRun run) {
  if (run.count == 0) return;
  if (!runs.empty() && runs.back().end() >= run.first) {
    if (run.end() > runs.back().end()) runs.back().count = run.end() - runs.back().first;
    return;
  }
  runs.push_back(run);
}

inline uint64_t CountPages(const PageRuns& runs) {
  uint64_t pages = 0;
  for (const PageRun& run : runs) pages += run.count;
  return pages;
}

inline PageRuns Union(const PageRuns& a, const PageRuns& b) {
  PageRuns out;
  out.reserve(a.size() + b.size());
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    const bool take_a = j == b.size() || (i < a.size() && a[i].first <= b[j].first);
    AppendRun(out, take_a ? a[i++] : b[j++]);
  }
  return out;
}

// The pages of `from` that are not in `remove`.
inline PageRuns Subtract(const PageRuns& from, const PageRuns& remove) {
  PageRuns out;
  size_t j = 0;
  for (const PageRun& run : from) {
    uint64_t at = run.first;
    while (j < remove.size() && remove[j].end() <= at) ++j;
    for (size_t k = j; k < remove.size() && remove[k].first < run.end(); ++k) {
      if (remove[k].first > at) out.push_back({at, remove[k].first - at});
      at = remove[k].end();
    }
    if (at < run.end()) out.push_back({at, run.end() - at});
  }
  return out;
}

}  // namespace understudy::memory
