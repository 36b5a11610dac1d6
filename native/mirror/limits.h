// Every bound of native/mirror, with its unit and reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace understudy::mirror {

// A disk's smallest unit: what every guest, file system and QEMU itself aligns to.
inline constexpr uint64_t kSectorBytes = 512;
// Zeroes are looked for in pieces of this size, and large writes are cut at its multiples: the page, below
// which the replica's file system would have to read before it writes.
inline constexpr uint64_t kPieceBytes = 4096;

// Room in one part of the log. Two of them are a wake-up's worth; together with a taker's buffer of 1 MiB
// few bytes are copied that are not asked for.
inline constexpr size_t kPartBytesMax = 256 * 1024 + 4096;
// Empty buffers of parts that are kept, so that a steady load never asks the system for memory: 16 MiB.
inline constexpr size_t kSpareBuffersMax = 64;
// Memory for the log must hold some parts, or everything would be spilled.
inline constexpr uint64_t kMemoryBytesMin = 4 * kPartBytesMax;

// A taker is not woken for less than this,
inline constexpr uint64_t kTakeBytesMin = 256 * 1024;
// unless the oldest byte waits for this long: well below an epoch, well above a wake-up's cost.
inline constexpr uint64_t kTakeDelayNs = 2'000'000;

// Known blocks when no digests say otherwise.
inline constexpr uint64_t kKnownBlockBytes = kPieceBytes;
// Digests' blocks: below, the table outgrows its use; above, one changed byte costs too much.
inline constexpr uint64_t kDigestBlockBytesMin = kPieceBytes;
inline constexpr uint64_t kDigestBlockBytesMax = 16 * 1024 * 1024;
inline constexpr size_t kDigestBytes = 16;

// Sectors whose state one page of the remembered map holds: 16 MiB of disk in two bitmaps of 4 KiB.
inline constexpr uint64_t kMapPageSectors = 32768;

// Of the freeze bound, this part may pass before we end what waits: the rest is for ending it.
inline constexpr double kPatienceShare = 0.75;
// A read waits at most this part of the freeze bound for the writes before it to be stored.
inline constexpr double kReadWaitShare = 0.5;

}  // namespace understudy::mirror
