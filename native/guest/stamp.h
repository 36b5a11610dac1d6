// What the verifiers of memory and disk share: a mixing function for stamps and random places, and
// the one line that they answer with.
#pragma once

#include <inttypes.h>
#include <time.h>

#include "options.h"

static inline uint64_t Mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

static inline uint64_t NextRandom(uint64_t* state) {
  *state += 0x9e3779b97f4a7c15ULL;
  return Mix(*state);
}

// "WRITTEN CHECKS MISMATCHES UPTIME_S"
static inline void PrintReport(char* into, size_t bytes, uint64_t written, uint64_t checks,
                               uint64_t mismatches) {
  struct timespec uptime;
  clock_gettime(CLOCK_BOOTTIME, &uptime);
  snprintf(into, bytes, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %lld.%03ld\n", written, checks, mismatches,
           (long long)uptime.tv_sec, uptime.tv_nsec / 1000000L);
}
