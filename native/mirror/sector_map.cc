#include "mirror/sector_map.h"

#include <algorithm>

namespace understudy::mirror {

// Calls `change(page, first, last)` for each page that [begin, end) meets, sectors counted within the page, and keeps
// the counts. A change that leaves nothing but zeroes may reset the page.
template <typename Change>
void SectorMap::ChangePages(uint64_t begin, uint64_t end, Change change) {
  while (begin < end) {
    const uint64_t index = begin / kMapPageSectors;
    const uint64_t base = index * kMapPageSectors;
    const uint64_t next = std::min(end, PageEnd(index));
    const auto [found, fresh] = pages_.try_emplace(index);
    std::unique_ptr<Page>& page = found->second;
    const uint64_t page_sectors = PageEnd(index) - base;
    if (fresh) {
      page = std::make_unique<Page>();
    } else {
      present_sectors_ -= page ? page->present.CountSet() : page_sectors;
      data_sectors_ -= page ? page->data.CountSet() : 0;
    }
    change(page, begin - base, next - base, page_sectors);
    present_sectors_ += page ? page->present.CountSet() : page_sectors;
    data_sectors_ += page ? page->data.CountSet() : 0;
    begin = next;
  }
}

void SectorMap::MarkData(uint64_t begin, uint64_t end) {
  ChangePages(begin, end, [](std::unique_ptr<Page>& page, uint64_t first, uint64_t last, uint64_t sectors) {
    if (!page) {
      page = std::make_unique<Page>();
      page->present.Fill(0, sectors, true);
    }
    page->present.Fill(first, last, true);
    page->data.Fill(first, last, true);
  });
}

bool SectorMap::MarkZero(uint64_t begin, uint64_t end) {
  const uint64_t before = data_sectors_;
  ChangePages(begin, end, [](std::unique_ptr<Page>& page, uint64_t first, uint64_t last, uint64_t sectors) {
    if (first == 0 && last == sectors) page.reset();
    if (!page) return;
    page->present.Fill(first, last, true);
    page->data.Fill(first, last, false);
  });
  return data_sectors_ < before;
}

void SectorMap::Clear() {
  pages_.clear();
  data_sectors_ = present_sectors_ = 0;
}

SectorRun SectorMap::RunAt(uint64_t begin, uint64_t end) const {
  const uint64_t index = begin / kMapPageSectors;
  const uint64_t base = index * kMapPageSectors;
  end = std::min(end, PageEnd(index));
  const auto found = pages_.find(index);
  if (found == pages_.end()) return {SectorState::kAbsent, begin, end};
  if (!found->second) return {SectorState::kZero, begin, end};
  const Page& page = *found->second;
  const uint64_t first = begin - base;
  const uint64_t last = end - base;
  if (!page.present.Test(first)) return {SectorState::kAbsent, begin, base + page.present.Find(first, last, true)};
  const bool data = page.data.Test(first);
  const uint64_t present_end = page.present.Find(first, last, false);
  const uint64_t run_end = page.data.Find(first, present_end, !data);
  return {data ? SectorState::kData : SectorState::kZero, begin, base + run_end};
}

std::optional<SectorRun> SectorMap::NextPresent(uint64_t begin) const {
  while (begin < sectors_) {
    const auto page = pages_.lower_bound(begin / kMapPageSectors);
    if (page == pages_.end()) return std::nullopt;
    SectorRun run = RunAt(std::max(begin, page->first * kMapPageSectors), sectors_);
    if (run.state == SectorState::kAbsent) {
      begin = run.end;
      continue;
    }
    while (run.end < sectors_) {
      const SectorRun more = RunAt(run.end, sectors_);
      if (more.state != run.state) break;
      run.end = more.end;
    }
    return run;
  }
  return std::nullopt;
}

}  // namespace understudy::mirror
