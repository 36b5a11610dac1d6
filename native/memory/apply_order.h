// The order in which checkpoints are applied, whichever thread does it: that in which turns were taken, at commit.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

namespace understudy::memory {

class ApplyOrder {
 public:
  // Its end lets the next one go on, also when it was never awaited.
  class Turn {
   public:
    explicit Turn(std::shared_ptr<ApplyOrder> order) : order_(std::move(order)), number_(order_->Take()) {}
    ~Turn() { order_->End(number_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    // Runs `apply` when all turns before this one have ended; then, whatever came of it, so has this one. Once.
    template <typename Apply>
    auto Run(Apply apply) const {
      order_->Await(number_);
      const Ended ended{*order_, number_};
      return apply();
    }

   private:
    const std::shared_ptr<ApplyOrder> order_;
    const uint64_t number_;
  };

 private:
  struct Ended {
    ApplyOrder& order;
    uint64_t number;
    ~Ended() { order.End(number); }
  };
  uint64_t Take() {
    std::lock_guard lock(mutex_);
    open_.insert(open_.end(), next_);
    return next_++;
  }
  void Await(uint64_t number) {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return *open_.begin() == number; });
  }
  void End(uint64_t number) {
    {
      std::lock_guard lock(mutex_);
      open_.erase(number);
    }
    ended_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  uint64_t next_ = 0;
  std::set<uint64_t> open_;
};

}  // namespace understudy::memory
