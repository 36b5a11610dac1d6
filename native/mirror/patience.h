// How long the guest's writes have been waiting for room in the log, and when that is too long.
//
// The server's thread moves it; the counts may be read from any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/monotonic.h"
#include "memory/owned.h"

namespace understudy::mirror {

struct PatienceStats {
  uint64_t count;
  uint64_t ms;
};

class Patience {
 public:
  explicit Patience(uint64_t ns_max) : ns_max_(ns_max) {}

  void Begin() {
    if (since_ns_ != 0) return;
    since_ns_ = MonotonicNs();
    ++count_;
  }
  void End() {
    if (since_ns_ == 0) return;
    waited_ns_ += MonotonicNs() - since_ns_;
    since_ns_ = 0;
  }
  bool IsWaiting() const { return since_ns_ != 0; }
  // Of the wait under way; 0: no more.
  uint64_t LeftNs() const {
    const uint64_t waited_ns = MonotonicNs() - since_ns_;
    return waited_ns < ns_max_ ? ns_max_ - waited_ns : 0;
  }

  PatienceStats Stats() const {
    const uint64_t since_ns = since_ns_;
    const uint64_t under_way_ns = since_ns == 0 ? 0 : MonotonicNs() - since_ns;
    return {count_, (waited_ns_ + under_way_ns) / 1'000'000};
  }

 private:
  const uint64_t ns_max_;
  // CLOCK_MONOTONIC; 0: nothing waits.
  std::atomic<uint64_t> since_ns_{0};
  std::atomic<uint64_t> waited_ns_{0};
  std::atomic<uint64_t> count_{0};
};

}  // namespace understudy::mirror
