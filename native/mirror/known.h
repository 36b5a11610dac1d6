// What the replica of one disk is known to hold, and what of a first copy or repair need not travel.
//
// At every moment: what the replica held at the start, then all that was emitted, then zeroes where they
// are put off, is what was written. A block that anything was emitted for is never left out again. Zeroes over
// whole blocks are put off because QEMU's job zeroes a whole target first and copies afterwards.
//
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "mirror/bits.h"
#include "mirror/limits.h"
#include "mirror/records.h"

namespace understudy::mirror {

enum class Content { kUnknown, kZeroes, kDigests };

struct KnownContent {
  Content content = Content::kUnknown;
  // Of digests.
  uint64_t block_bytes = 0;
  uint64_t seed = 0;
};

class Known {
 public:
  // Nothing is known.
  Known(uint8_t disk, uint64_t disk_bytes);

  // Blocks whose digests do not follow stay unknown. Throws CodedError BAD_ARGUMENT for an unfit block size.
  void Set(const KnownContent& known);
  // Canonical XXH3-128. Throws CodedError BAD_ARGUMENT outside the disk or without digests.
  void AddDigests(uint64_t first_block, const uint8_t* digests, size_t bytes);

  // Both emit what must travel and return how many bytes were left out because they are known.
  uint64_t Write(uint64_t offset, const uint8_t* data, uint64_t bytes, const Emit& emit);
  uint64_t Zero(disk::RecordKind kind, uint64_t offset, uint64_t bytes, const Emit& emit);
  // The zeroes that are still put off.
  void EmitPutOff(const Emit& emit);

 private:
  using BlockDigest = std::array<uint8_t, kDigestBytes>;

  void SetDigests(uint64_t block_bytes, uint64_t seed);
  void Reset(Content content, uint64_t block_bytes);
  uint64_t BlockEnd(uint64_t block) const;
  bool Holds(uint64_t block, const uint8_t* data) const;
  bool HoldsZeroes(uint64_t block) const;
  BlockDigest DigestOf(const uint8_t* data, uint64_t bytes) const;
  void EmitHole(uint64_t first_block, uint64_t end_block, const Emit& emit) const;

  const uint8_t disk_;
  const uint64_t disk_bytes_;
  Content content_;
  uint64_t block_bytes_;
  uint64_t blocks_;
  uint64_t seed_ = 0;
  std::vector<BlockDigest> digests_;
  // Digests of zeroes: of a whole block and of the last one.
  BlockDigest zero_digest_{};
  BlockDigest last_zero_digest_{};
  // What the replica holds there is not known, or not any more.
  Bits unsure_;
  Bits put_off_;
};

}  // namespace understudy::mirror
