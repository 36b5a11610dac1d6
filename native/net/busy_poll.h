// Whether a thread that found nothing to do looks again at once instead of going to sleep: to be woken costs
// more than to forward a frame (30 µs and more where an idle processor halts). Only while frames come fast,
// and only on a core that nobody else needs. Not thread-safe.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>

#include "limits.h"
#include "../common/monotonic.h"

namespace understudy {

class BusyPoll {
 public:
  void FramesCame() {
    const uint64_t now_ns = MonotonicNs();
    fast_ = now_ns - newest_ns_ < kBusyPollNs;
    newest_ns_ = now_ns;
  }

  // True: look again. Others have had the core in between.
  bool Again() {
    const uint64_t now_ns = MonotonicNs();
    if (!fast_ || now_ns < rest_until_ns_ || now_ns - newest_ns_ >= kBusyPollNs) return false;
    sched_yield();
    const uint64_t back_ns = MonotonicNs();
    if (back_ns - now_ns > kBusyPollAwayNsMax) {
      // Somebody computes here. A sleeper is woken ahead of that; who yields waits until its turn is over.
      const bool soon = now_ns - rest_until_ns_ < kBusyPollRestNsMax;
      rest_ns_ = soon ? std::min(2 * rest_ns_, kBusyPollRestNsMax) : kBusyPollRestNsMin;
      rest_until_ns_ = back_ns + rest_ns_;
    }
    return true;
  }

 private:
  uint64_t newest_ns_ = 0;
  uint64_t rest_until_ns_ = 0;
  uint64_t rest_ns_ = kBusyPollRestNsMin;
  bool fast_ = false;
};

}  // namespace understudy
