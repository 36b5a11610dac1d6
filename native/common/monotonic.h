// CLOCK_MONOTONIC in nanoseconds: how everything native counts time.
#pragma once

#include <time.h>

#include <cstdint>

namespace understudy {

inline constexpr uint64_t kNsPerMs = 1'000'000;

inline uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline void SleepMs(int ms) {
  const timespec pause{0, static_cast<long>(ms) * 1'000'000};
  nanosleep(&pause, nullptr);
}

}  // namespace understudy
