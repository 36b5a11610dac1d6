// Every bound of guest memory capture, with its unit and reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace understudy::memory {

// x86-64 base page; hugetlbfs pages are reported as runs of these.
inline constexpr size_t kPageBytes = 4096;
// A chunk buffer must hold the header, a run and a good many pages.
inline constexpr size_t kChunkBytesMin = 64 << 10;
// Runs of one chunk: 1 MiB of table, far more than a 4 MiB chunk of single pages needs.
inline constexpr uint32_t kChunkRunsMax = 65536;
// Regions one PAGEMAP_SCAN call may return: 96 KiB of vector, well inside L2.
inline constexpr size_t kScanRegionsMax = 4096;
// process_vm_readv takes at most IOV_MAX entries (limits.h, 1024).
inline constexpr size_t kReadPiecesMax = 1024;
// One batch of a parallel copy: small enough to balance, large enough to hide its start.
inline constexpr size_t kCopyBatchBytes = 1 << 20;
// Below this, waking a second thread costs more than it saves.
inline constexpr size_t kParallelCopyBytesMin = 1 << 20;
inline constexpr uint64_t kParallelScanBytesMin = 1ull << 30;
inline constexpr uint64_t kScanSegmentBytes = 256ull << 20;
inline constexpr unsigned kThreadsMax = 16;
// Staging faulted in at attach, so that an ordinary epoch never takes a first-touch fault.
inline constexpr size_t kStagingWarmBytes = 32 << 20;
inline constexpr size_t kStagingBytesMin = 1 << 20;
// Pages of one live read: 1 MiB, stays in L2 between the read and the hash.
inline constexpr size_t kLiveReadPages = 256;
// The gate must block QEMU before it has written everything: one page is the smallest pipe.
inline constexpr size_t kGatePipeBytesMin = 4096;
// Where the device state is known to be larger, QEMU may save a part of it while pages are copied. It writes
// 32 KiB at a time (IO_BUF_SIZE in migration/qemu-file.c).
inline constexpr size_t kGatePipeBytesMax = 64 << 10;
// The device state of one epoch is about as large as that of the epoch before; never half of it, we trust.
inline constexpr size_t kGatePipePartOfState = 2;
// While draining: the largest pipe an unprivileged process may have (fs.pipe-max-size).
inline constexpr int kDrainPipeBytes = 1 << 20;
// While QEMU is expected to fit the pipe: how often it is looked whether it does.
inline constexpr int kDrainLookMs = 20;
// One read while draining; the whole device state of a usual guest.
inline constexpr size_t kDrainReadBytes = 256 << 10;
// Pages whose content is remembered as the replica holds it: 16 MiB, what small epochs write over and over.
inline constexpr unsigned kCachedPagesLog2 = 12;
inline constexpr size_t kCachedPages = size_t{1} << kCachedPagesLog2;
// An epoch of more pages is not compared: nobody waits for its last packet so much as for its pause.
inline constexpr uint64_t kDeltaEpochPagesMax = 1024;
// Lines of a page beyond which it is sent whole: half of it.
inline constexpr int kDeltaLinesMax = 32;
// Two device states are compared in blocks of a cache line.
inline constexpr size_t kDeltaBlockBytes = 64;
// Ptrace injection ends or is undone within this time.
inline constexpr int kInjectTimeoutMs = 2000;
inline constexpr size_t kInjectStackBytes = 64 << 10;
// Bytes of an executable mapping searched for a `syscall` instruction.
inline constexpr size_t kSyscallSearchBytes = 4 << 20;
// Ranges of one guest: RAM below and above 4 GiB, DIMMs, video memory.
inline constexpr size_t kRangesMax = 1024;
// Data runs at least this long are written by pwrite, which takes no page faults; shorter ones
// by memcpy into the mapping, which takes no system call.
inline constexpr uint64_t kWriteCallPagesMin = 16;
// Zero runs at least this long give their memory back instead of being written.
inline constexpr uint64_t kPunchPagesMin = 16;
// Of measureMemcpy, which holds two buffers of that size.
inline constexpr double kBenchBytesMax = 1 << 30;
inline constexpr double kBenchRoundsMax = 100'000;

}  // namespace understudy::memory
