// XXH3-128 with a seed, incremental, in its canonical form (16 bytes, high half first).
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

namespace understudy::disk {

using Checksum = std::array<uint8_t, 16>;

inline Checksum Canonical(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  Checksum bytes;
  memcpy(bytes.data(), canonical.digest, bytes.size());
  return bytes;
}

inline Checksum ChecksumOf(const void* bytes, size_t count, uint64_t seed) {
  return Canonical(XXH3_128bits_withSeed(bytes, count, seed));
}

class RunningChecksum {
 public:
  explicit RunningChecksum(uint64_t seed) : state_(XXH3_createState(), XXH3_freeState) {
    if (!state_) throw std::bad_alloc();
    XXH3_128bits_reset_withSeed(state_.get(), seed);
  }
  void Update(const void* bytes, size_t count) {
    XXH3_128bits_update(state_.get(), bytes, count);
  }
  Checksum Result() const { return Canonical(XXH3_128bits_digest(state_.get())); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace understudy::disk
