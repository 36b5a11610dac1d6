// What the session and its guard share: one page of memory and the orders on the control socket.
// Both are built from the same sources, so there is no version and no byte order.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace understudy::guard {

struct SharedState {
  // Moved by the session's server thread; only that it moves matters.
  std::atomic<uint64_t> beats;
  // Moved by the guard before it acts, so that a session which comes back sees it in time.
  std::atomic<uint64_t> interventions;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

enum class Order : uint32_t {
  // With a descriptor: a connection, known by `key` from here on.
  kWatch = 1,
  kUnwatch = 2,
  // With a descriptor: the reading end of the pause gate, in place of the former.
  kWatchGate = 3,
  kUnwatchGate = 4,
};

struct ControlMessage {
  Order order;
  int32_t key;
};

// The guard's descriptors, in place when it starts.
inline constexpr int kControlFd = 3;
inline constexpr int kSharedFd = 4;
inline constexpr size_t kSharedBytes = 4096;

// One connection per disk (at most 64) and those that are still in their handshake.
inline constexpr size_t kWatchedMax = 128;
// Below this a tick comes near the scheduler's own delays, and a busy machine looks frozen.
inline constexpr int kFreezeMsMin = 100;
inline constexpr int kFreezeMsMax = 3'600'000;
// The guard looks this often within the freeze bound,
inline constexpr int kTicksPerFreeze = 20;
// and acts after this many looks in a row without a beat: a quarter of the bound is left for acting.
inline constexpr int kIdleTicksMax = 15;
// Beats within the freeze bound: two are due before the guard could think of counting.
inline constexpr int kBeatsPerFreeze = 8;

}  // namespace understudy::guard
