// Dirty tracking of another process's memory: userfaultfd write-protection in asynchronous mode,
// read and re-armed with PAGEMAP_SCAN.
#pragma once

#include <sys/types.h>

#include <functional>

#include "memory/owned.h"
#include "memory/page_runs.h"
#include "memory/ram_layout.h"
#include "memory/thread_team.h"

namespace understudy::memory {

// Sorted; together they cover what was asked for.
struct Population {
  PageRuns present;
  // Read as zero, and reading them would populate them.
  PageRuns absent;
};

class Tracker {
 public:
  // Registers every range. Throws SyscallError with EBUSY when another userfaultfd owns one.
  Tracker(pid_t pid, const RamLayout& layout);
  // Unregisters; the pages lose their protection.
  ~Tracker();
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;

  // Appends the pages written since the last call, and re-protects them. Exact only while the
  // guest stands still. After a failure some pages may be lost: the next scan must count all.
  void TakeWritten(ThreadTeam& team, PageRuns& written);

  // How many pages TakeWritten would find now; changes nothing, so it may be asked of a running guest.
  uint64_t CountWritten() const;

  // Which pages have content. Before the first TakeWritten never-touched pages are found
  // without reading them; later their protection markers look like content.
  Population Classify() const;

 private:
  void Register();
  void TakeWrittenIn(const RamRange& segment, PageRuns& written) const;

  pid_t pid_;
  const RamLayout& layout_;
  UniqueFd uffd_;
  UniqueFd pagemap_;
  std::vector<RamRange> segments_;
  std::vector<PageRuns> segment_written_;
};

}  // namespace understudy::memory
