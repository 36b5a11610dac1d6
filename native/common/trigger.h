// A call that is prepared and begins at the first sign for it: on a native thread, where the way through
// JavaScript would cost half a millisecond, or from JavaScript.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "common/monotonic.h"

namespace understudy {

class Trigger {
 public:
  enum class Sign { kBegin, kCancel };

  // `begin` runs once, on the thread that gives the sign: must only pass the work on, and not throw.
  explicit Trigger(std::function<void(Sign)> begin) : begin_(std::move(begin)) {}

  // Any thread. True for the one caller that began it.
  bool Fire() { return Give(Sign::kBegin); }
  // True when it has not begun and never will.
  bool Cancel() { return Give(Sign::kCancel); }
  // CLOCK_MONOTONIC; 0 when it has not begun.
  uint64_t begun_at_ns() const { return begun_at_ns_; }

 private:
  bool Give(Sign sign) {
    if (given_.exchange(true)) return false;
    if (sign == Sign::kBegin) begun_at_ns_ = MonotonicNs();
    std::exchange(begin_, nullptr)(sign);
    return true;
  }

  std::atomic<bool> given_{false};
  std::atomic<uint64_t> begun_at_ns_{0};
  std::function<void(Sign)> begin_;
};

// A JavaScript `NativeTrigger` is a Napi::External<TriggerRef>.
struct TriggerRef {
  std::shared_ptr<Trigger> trigger;
};

}  // namespace understudy
