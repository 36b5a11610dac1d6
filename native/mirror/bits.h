// A fixed number of bits, with runs found a word at a time.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace understudy::mirror {

class Bits {
 public:
  explicit Bits(uint64_t count = 0, bool value = false) : words_((count + 63) / 64, value ? ~0ull : 0) {}

  bool Test(uint64_t i) const { return words_[i / 64] >> (i % 64) & 1; }
  void Set(uint64_t i) { words_[i / 64] |= 1ull << (i % 64); }
  void Clear(uint64_t i) { words_[i / 64] &= ~(1ull << (i % 64)); }
  void Fill(uint64_t begin, uint64_t end, bool value) {
    while (begin < end) {
      const uint64_t count = std::min(64 - begin % 64, end - begin);
      const uint64_t mask = (count == 64 ? ~0ull : (1ull << count) - 1) << (begin % 64);
      uint64_t& word = words_[begin / 64];
      word = value ? word | mask : word & ~mask;
      begin += count;
    }
  }
  uint64_t CountSet() const {
    uint64_t count = 0;
    for (const uint64_t word : words_) count += static_cast<uint64_t>(std::popcount(word));
    return count;
  }
  // The first bit in [begin, end) that is `value`; `end` when there is none.
  uint64_t Find(uint64_t begin, uint64_t end, bool value) const {
    while (begin < end) {
      const uint64_t word = (value ? words_[begin / 64] : ~words_[begin / 64]) >> (begin % 64);
      if (word != 0) return std::min(end, begin + static_cast<uint64_t>(std::countr_zero(word)));
      begin = (begin / 64 + 1) * 64;
    }
    return end;
  }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace understudy::mirror
