// Kernel interfaces newer than the distribution's headers, as linux/userfaultfd.h and
// linux/fs.h (6.7 and later) define them.
#pragma once

#include <linux/ioctl.h>
#include <linux/userfaultfd.h>

#include <cstdint>

namespace understudy::memory::kernel {

// linux/userfaultfd.h
inline constexpr uint64_t kUffdFeatureWpHugetlbfsShmem = 1ull << 12;  // 5.19
inline constexpr uint64_t kUffdFeatureWpUnpopulated = 1ull << 13;     // 6.4
inline constexpr uint64_t kUffdFeatureWpAsync = 1ull << 15;           // 6.7
inline constexpr int kUffdUserModeOnly = 1;                           // 5.11

// linux/fs.h, PAGEMAP_SCAN (6.7)
inline constexpr uint64_t kPageIsWritten = 1 << 1;
inline constexpr uint64_t kPageIsPresent = 1 << 3;
inline constexpr uint64_t kPageIsSwapped = 1 << 4;
inline constexpr uint64_t kPageIsPfnZero = 1 << 5;

inline constexpr uint64_t kScanWpMatching = 1 << 0;
inline constexpr uint64_t kScanCheckWpAsync = 1 << 1;

struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};

struct PageScanArgs {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t vec;
  uint64_t vec_len;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};
static_assert(sizeof(PageScanArgs) == 96);

inline constexpr unsigned long kPagemapScan = _IOWR('f', 16, PageScanArgs);

}  // namespace understudy::memory::kernel
