#include "mirror/known.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/async.h"

namespace understudy::mirror {

using disk::Record;
using disk::RecordKind;

Known::Known(uint8_t disk, uint64_t disk_bytes) : disk_(disk), disk_bytes_(disk_bytes) { Set({}); }

void Known::Set(const KnownContent& known) {
  if (known.content == Content::kDigests) return SetDigests(known.block_bytes, known.seed);
  Reset(known.content, kKnownBlockBytes);
  unsure_.Fill(0, blocks_, known.content == Content::kUnknown);
}

void Known::SetDigests(uint64_t block_bytes, uint64_t seed) {
  if (!std::has_single_bit(block_bytes) || block_bytes < kDigestBlockBytesMin ||
      block_bytes > kDigestBlockBytesMax) {
    throw CodedError("BAD_ARGUMENT", "blockBytes must be a power of two from 4096 to 16777216");
  }
  Reset(Content::kDigests, block_bytes);
  seed_ = seed;
  digests_.resize(blocks_);
  const std::vector<uint8_t> zeroes(block_bytes);
  zero_digest_ = DigestOf(zeroes.data(), block_bytes);
  if (blocks_ > 0) last_zero_digest_ = DigestOf(zeroes.data(), disk_bytes_ - (blocks_ - 1) * block_bytes);
}

void Known::AddDigests(uint64_t first_block, const uint8_t* digests, size_t bytes) {
  const uint64_t count = bytes / kDigestBytes;
  if (content_ != Content::kDigests || bytes % kDigestBytes != 0 || first_block > blocks_ ||
      count > blocks_ - first_block) {
    throw CodedError("BAD_ARGUMENT", "digests must be whole ones of blocks of a disk that has digests");
  }
  if (count == 0) return;
  memcpy(digests_[first_block].data(), digests, bytes);
  unsure_.Fill(first_block, first_block + count, false);
}

uint64_t Known::Write(uint64_t offset, const uint8_t* data, uint64_t bytes, const Emit& emit) {
  const uint64_t end = offset + bytes;
  uint64_t left_out = 0;
  uint64_t run = offset;
  // Neighbouring blocks that must travel, travel as one record.
  const auto emit_run = [&](uint64_t until) {
    if (until > run) EmitWrite(disk_, run, data + (run - offset), until - run, emit);
  };
  for (uint64_t at = offset; at < end;) {
    const uint64_t block = at / block_bytes_;
    const uint64_t block_end = BlockEnd(block);
    const uint64_t next = std::min(end, block_end);
    const bool whole = at == block * block_bytes_ && next == block_end;
    if (whole && Holds(block, data + (at - offset))) {
      emit_run(at);
      run = next;
      left_out += next - at;
    } else {
      // Emitted before the run that this piece belongs to.
      if (!whole && put_off_.Test(block)) EmitHole(block, block + 1, emit);
      unsure_.Set(block);
    }
    put_off_.Clear(block);
    at = next;
  }
  emit_run(end);
  return left_out;
}

uint64_t Known::Zero(RecordKind kind, uint64_t offset, uint64_t bytes, const Emit& emit) {
  const uint64_t end = offset + bytes;
  uint64_t left_out = 0;
  for (uint64_t at = offset; at < end;) {
    const uint64_t block = at / block_bytes_;
    const uint64_t block_end = BlockEnd(block);
    const uint64_t next = std::min(end, block_end);
    const bool whole = at == block * block_bytes_ && next == block_end;
    if (whole && HoldsZeroes(block)) {
      put_off_.Clear(block);
      left_out += next - at;
    } else if (whole) {
      put_off_.Set(block);
    } else if (!put_off_.Test(block)) {
      unsure_.Set(block);
      emit({kind, disk_, at, next - at, nullptr});
    }
    at = next;
  }
  return left_out;
}

void Known::EmitPutOff(const Emit& emit) {
  for (uint64_t block = put_off_.Find(0, blocks_, true); block < blocks_;) {
    const uint64_t end = put_off_.Find(block, blocks_, false);
    EmitHole(block, end, emit);
    block = put_off_.Find(end, blocks_, true);
  }
  put_off_.Fill(0, blocks_, false);
}

void Known::Reset(Content content, uint64_t block_bytes) {
  content_ = content;
  block_bytes_ = block_bytes;
  blocks_ = (disk_bytes_ + block_bytes - 1) / block_bytes;
  digests_ = {};
  unsure_ = Bits(blocks_, true);
  put_off_ = Bits(blocks_, false);
}

uint64_t Known::BlockEnd(uint64_t block) const { return std::min((block + 1) * block_bytes_, disk_bytes_); }

bool Known::Holds(uint64_t block, const uint8_t* data) const {
  if (unsure_.Test(block)) return false;
  const uint64_t bytes = BlockEnd(block) - block * block_bytes_;
  if (content_ == Content::kZeroes) return IsAllZero(data, bytes);
  return DigestOf(data, bytes) == digests_[block];
}

bool Known::HoldsZeroes(uint64_t block) const {
  if (unsure_.Test(block)) return false;
  if (content_ == Content::kZeroes) return true;
  return digests_[block] == (block + 1 == blocks_ ? last_zero_digest_ : zero_digest_);
}

Known::BlockDigest Known::DigestOf(const uint8_t* data, uint64_t bytes) const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(data, bytes, seed_));
  BlockDigest digest;
  static_assert(sizeof canonical.digest == sizeof digest);
  memcpy(digest.data(), canonical.digest, sizeof digest);
  return digest;
}

void Known::EmitHole(uint64_t first_block, uint64_t end_block, const Emit& emit) const {
  const uint64_t offset = first_block * block_bytes_;
  emit({kHole, disk_, offset, BlockEnd(end_block - 1) - offset, nullptr});
}

}  // namespace understudy::mirror
