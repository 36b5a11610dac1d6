// Every bound of the replica's disks and their journal, with its unit and reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace understudy::disk {

// One disk chunk: twice NBD's usual largest request (32 MiB, the protocol's "Size constraints"); a whole chunk is
// read back into memory when it is applied.
inline constexpr size_t kChunkBytesMax = 64 << 20;
// A slot keeps blocks up to this, as blocks that are there already are written and flushed without changing the
// file's metadata; one that is larger is cut back when most of it lies idle.
inline constexpr uint64_t kSlotKeepBytes = 64 << 20;
// A larger slot is cut back when its transaction used less than one part in this many.
inline constexpr uint64_t kSlotIdleFactor = 4;
// Pieces in which a slot is read to be judged or written again: stays in L2 between read and hash.
inline constexpr size_t kSlotPieceBytes = 1 << 20;
// Written bytes after which the kernel is asked to begin writing them out, so that the disk works while we do and
// the flush at the end is short: with 2 MiB a transaction of 8 MiB took a quarter less time than with 4.
inline constexpr uint64_t kWriteOutBytes = 2 << 20;
// pwritev takes at most IOV_MAX pieces (limits.h, 1024).
inline constexpr size_t kJoinPiecesMax = 1024;
// One write of zeroes where the file system cannot zero a range by itself.
inline constexpr size_t kZeroPieceBytes = 1 << 20;
// Block devices zero and discard whole logical blocks, of 512 or 4096 bytes, and drop whole pages from the cache.
inline constexpr uint64_t kDeviceAlignmentBytes = 4096;

// Digests: a block is held in memory; 16 MiB of digests per answer.
inline constexpr size_t kDigestBlockBytesMax = 16 << 20;
inline constexpr uint64_t kDigestsMax = 1 << 20;

// A journal read while its owner writes may change between its two slots: damage counts only when it is seen this
// often in a row.
inline constexpr int kReadAttemptsMax = 4;

}  // namespace understudy::disk
