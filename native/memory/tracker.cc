#include "memory/tracker.h"

#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#include "memory/inject.h"
#include "memory/kernel_abi.h"
#include "memory/limits.h"

namespace understudy::memory {
namespace {

struct MemoryArea {
  uint64_t start;
  uint64_t end;
  uint64_t file_offset;
  bool shared;
  bool anonymous;
};

std::vector<MemoryArea> AreasWithin(pid_t pid, uint64_t start, uint64_t end) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::vector<MemoryArea> areas;
  for (std::string line; std::getline(maps, line);) {
    MemoryArea area{};
    char access[5];
    uint64_t inode;
    if (sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64, &area.start,
               &area.end, access, &area.file_offset, &inode) != 5) {
      continue;
    }
    if (area.end <= start || area.start >= end) continue;
    area.shared = access[3] == 's';
    area.anonymous = inode == 0;
    areas.push_back(area);
  }
  return areas;
}

// Calls found(start, end, categories) for each region that PAGEMAP_SCAN reports.
template <typename Found>
void Scan(int pagemap, kernel::PageScanArgs args, Found found) {
  std::array<kernel::PageRegion, kScanRegionsMax> regions;
  args.size = sizeof args;
  args.vec = reinterpret_cast<uint64_t>(regions.data());
  args.vec_len = regions.size();
  while (args.start < args.end) {
    const int count = ioctl(pagemap, kernel::kPagemapScan, &args);
    if (count < 0) throw SyscallError("PAGEMAP_SCAN", errno);
    for (int i = 0; i < count; ++i) found(regions[i].start, regions[i].end, regions[i].categories);
    if (args.walk_end <= args.start)
      throw SyscallError("PAGEMAP_SCAN", EPROTO, "the walk does not advance");
    args.start = args.walk_end;
  }
}

// Translates addresses of one range and clips to it.
class Present {
 public:
  Present(const RamRange& range, PageRuns& out) : range_(range), out_(out) {}
  void Add(uint64_t start, uint64_t end) {
    start = std::max(start, range_.hva);
    end = std::min(end, range_.hva + range_.bytes);
    if (start >= end) return;
    AppendRun(out_, {(start - range_.hva + range_.replica_offset) / kPageBytes,
                     (end - start) / kPageBytes});
  }

 private:
  const RamRange& range_;
  PageRuns& out_;
};

// A page of a tmpfs file may have content although QEMU never mapped it (a promoted guest's
// RAM was filled through our own mapping), so the file is asked, not the page table.
// False when this is no tmpfs file: then everything counts as present.
bool AddFilePages(pid_t pid, const MemoryArea& area, Present& present) {
  char path[96];
  snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, area.start, area.end);
  UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  struct statfs fs;
  if (!file || fstatfs(file.get(), &fs) != 0 || fs.f_type != TMPFS_MAGIC) return false;
  const off_t limit = static_cast<off_t>(area.file_offset + (area.end - area.start));
  for (off_t at = static_cast<off_t>(area.file_offset); at < limit;) {
    const off_t data = lseek(file.get(), at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return true;
    if (data < 0) throw SyscallError("lseek", errno, path);
    if (data >= limit) return true;
    const off_t hole = lseek(file.get(), data, SEEK_HOLE);
    if (hole < 0) throw SyscallError("lseek", errno, path);
    present.Add(area.start + static_cast<uint64_t>(data) - area.file_offset,
                area.start + static_cast<uint64_t>(std::min(hole, limit)) - area.file_offset);
    at = hole;
  }
  return true;
}

}  // namespace

Tracker::Tracker(pid_t pid, const RamLayout& layout) : pid_(pid), layout_(layout) {
  const std::string pagemap = "/proc/" + std::to_string(pid) + "/pagemap";
  pagemap_ = OpenFile(pagemap.c_str(), O_RDONLY);
  uffd_ = InjectUserfaultfd(pid);
  Register();
  for (const RamRange& range : layout.ranges()) {
    for (uint64_t at = 0; at < range.bytes; at += kScanSegmentBytes) {
      segments_.push_back({range.hva + at, std::min(kScanSegmentBytes, range.bytes - at),
                           range.replica_offset + at});
    }
  }
  segment_written_.resize(segments_.size());
}

void Tracker::Register() {
  uffdio_api api{};
  api.api = UFFD_API;
  // WP_UNPOPULATED: a first write to a never-touched page must be seen as well.
  api.features = kernel::kUffdFeatureWpAsync | kernel::kUffdFeatureWpUnpopulated |
                 kernel::kUffdFeatureWpHugetlbfsShmem;
  if (ioctl(uffd_.get(), UFFDIO_API, &api) < 0) throw SyscallError("UFFDIO_API", errno);
  for (const RamRange& range : layout_.ranges()) {
    uffdio_register request{};
    request.range = {range.hva, range.bytes};
    request.mode = UFFDIO_REGISTER_MODE_WP;
    // Closing the descriptor undoes the ranges registered so far.
    if (ioctl(uffd_.get(), UFFDIO_REGISTER, &request) < 0) {
      throw SyscallError("UFFDIO_REGISTER", errno,
                         errno == EBUSY ? "another userfaultfd owns the range" : "");
    }
  }
}

// The last close of a userfaultfd unregisters its ranges and clears their protection
// (fs/userfaultfd.c, userfaultfd_release).
Tracker::~Tracker() = default;

void Tracker::TakeWrittenIn(const RamRange& segment, PageRuns& written) const {
  kernel::PageScanArgs args{};
  args.flags = kernel::kScanWpMatching | kernel::kScanCheckWpAsync;
  args.start = segment.hva;
  args.end = segment.hva + segment.bytes;
  // Exactly this one category selects the kernel's fast path, which alone also reports and
  // protects empty entries (fs/proc/task_mmu.c, pagemap_scan_pmd_entry).
  args.category_mask = kernel::kPageIsWritten;
  args.return_mask = kernel::kPageIsWritten;
  Scan(pagemap_.get(), args, [&](uint64_t start, uint64_t end, uint64_t) {
    AppendRun(written, {(start - segment.hva + segment.replica_offset) / kPageBytes,
                        (end - start) / kPageBytes});
  });
}

void Tracker::TakeWritten(ThreadTeam& team, PageRuns& written) {
  if (team.threads() == 1 || layout_.ram_bytes() < kParallelScanBytesMin) {
    for (const RamRange& range : layout_.ranges()) TakeWrittenIn(range, written);
    return;
  }
  team.Run(segments_.size(), [this](size_t i) {
    segment_written_[i].clear();
    TakeWrittenIn(segments_[i], segment_written_[i]);
  });
  for (const PageRuns& runs : segment_written_) {
    for (const PageRun& run : runs) AppendRun(written, run);
  }
}

uint64_t Tracker::CountWritten() const {
  uint64_t bytes = 0;
  for (const RamRange& range : layout_.ranges()) {
    kernel::PageScanArgs args{};
    args.flags = kernel::kScanCheckWpAsync;
    args.start = range.hva;
    args.end = range.hva + range.bytes;
    args.category_mask = kernel::kPageIsWritten;
    args.return_mask = kernel::kPageIsWritten;
    Scan(pagemap_.get(), args, [&](uint64_t start, uint64_t end, uint64_t) { bytes += end - start; });
  }
  return bytes / kPageBytes;
}

Population Tracker::Classify() const {
  Population population;
  for (const RamRange& range : layout_.ranges()) {
    Present present(range, population.present);
    for (const MemoryArea& area : AreasWithin(pid_, range.hva, range.hva + range.bytes)) {
      if (area.shared && AddFilePages(pid_, area, present)) continue;
      if (!area.anonymous) {
        present.Add(area.start, area.end);
        continue;
      }
      kernel::PageScanArgs args{};
      args.start = std::max(area.start, range.hva);
      args.end = std::min(area.end, range.hva + range.bytes);
      args.category_anyof_mask = kernel::kPageIsPresent | kernel::kPageIsSwapped;
      args.return_mask = args.category_anyof_mask | kernel::kPageIsPfnZero;
      Scan(pagemap_.get(), args, [&](uint64_t start, uint64_t end, uint64_t categories) {
        if ((categories & kernel::kPageIsPfnZero) == 0) present.Add(start, end);
      });
    }
  }
  population.absent = Subtract(layout_.AllPages(), population.present);
  return population;
}

}  // namespace understudy::memory
