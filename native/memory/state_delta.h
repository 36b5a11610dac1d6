// A device state as its difference to the one before: most of it stays what it was from epoch to epoch.
//
// Runs in ascending order, each `u32 offset`, `u32 bytes`, then the bytes; little-endian.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "common/async.h"
#include "memory/limits.h"

namespace understudy::memory {

struct DeltaRun {
  uint32_t offset;
  uint32_t bytes;
};
static_assert(sizeof(DeltaRun) == 8, "what is sent is the struct itself");

// Nothing when the two differ in size, or by so much that the difference is not worth its while.
inline std::optional<std::vector<uint8_t>> StateDelta(std::span<const uint8_t> base, std::span<const uint8_t> state) {
  if (base.size() != state.size()) return std::nullopt;
  std::vector<uint8_t> delta;
  const auto differs = [&](size_t at) {
    return memcmp(base.data() + at, state.data() + at, std::min(kDeltaBlockBytes, state.size() - at)) != 0;
  };
  for (size_t at = 0; at < state.size(); at += kDeltaBlockBytes) {
    if (!differs(at)) continue;
    const size_t from = at;
    while (at < state.size() && differs(at)) at += kDeltaBlockBytes;
    const size_t end = std::min(at, state.size());
    const DeltaRun run{static_cast<uint32_t>(from), static_cast<uint32_t>(end - from)};
    const auto* head = reinterpret_cast<const uint8_t*>(&run);
    delta.insert(delta.end(), head, head + sizeof run);
    delta.insert(delta.end(), state.begin() + static_cast<ptrdiff_t>(from), state.begin() + static_cast<ptrdiff_t>(end));
    if (delta.size() > state.size() / 2) return std::nullopt;
  }
  return delta;
}

// Makes the base into the state. Throws BAD_DELTA, having changed any part of it.
inline void ApplyStateDelta(std::span<uint8_t> state, std::span<const uint8_t> delta) {
  const auto bad = [] { return CodedError("BAD_DELTA", "a run of the difference lies outside of the device state"); };
  for (size_t at = 0; at < delta.size();) {
    DeltaRun run;
    if (delta.size() - at < sizeof run) throw bad();
    memcpy(&run, delta.data() + at, sizeof run);
    at += sizeof run;
    if (run.bytes > delta.size() - at || run.offset > state.size() || run.bytes > state.size() - run.offset) throw bad();
    memcpy(state.data() + run.offset, delta.data() + at, run.bytes);
    at += run.bytes;
  }
}

}  // namespace understudy::memory
