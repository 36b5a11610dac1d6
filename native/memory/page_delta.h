// A page as its difference to what the replica holds of it: a guest that answers a question changes a few lines
// of many pages.
//
//   u64  bit i set: the i-th 64 bytes of the page differ
//   64 bytes for each bit, ascending
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "memory/limits.h"

namespace understudy::memory {

inline constexpr size_t kLineBytes = kPageBytes / 64;
inline constexpr size_t kDeltaBytesMax = sizeof(uint64_t) + kDeltaLinesMax * kLineBytes;

// Which lines of two pages differ.
inline uint64_t DifferingLines(const uint8_t* known, const uint8_t* content) {
  uint64_t lines = 0;
  for (size_t i = 0; i < 64; ++i) {
    uint64_t left[kLineBytes / 8], right[kLineBytes / 8], differs = 0;
    memcpy(left, known + i * kLineBytes, kLineBytes);
    memcpy(right, content + i * kLineBytes, kLineBytes);
    for (size_t word = 0; word < kLineBytes / 8; ++word) differs |= left[word] ^ right[word];
    lines |= uint64_t{differs != 0} << i;
  }
  return lines;
}

inline size_t DeltaBytes(uint64_t lines) {
  return sizeof lines + static_cast<size_t>(std::popcount(lines)) * kLineBytes;
}

// Calls visit(offset in the page) for each of the lines.
template <typename Visit>
void EachLine(uint64_t lines, Visit visit) {
  for (; lines != 0; lines &= lines - 1) visit(static_cast<size_t>(std::countr_zero(lines)) * kLineBytes);
}

}  // namespace understudy::memory
