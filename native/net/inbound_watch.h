// Begins a prepared pause when somebody asks the guest something, so that the pause comes when the answer does
// and not half a millisecond after it. A question is a frame to one receiver that goes out to the guest's tap.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "../common/boundary.h"
#include "../common/trigger.h"

namespace understudy {

class InboundWatch : public BoundaryListener {
 public:
  // `link`: the tap's interface number. `on_begun`, from the watch's thread: it was this watch that began a pause,
  // kInboundTellAfterNs ago. Throws SyscallError.
  InboundWatch(int link, std::function<void()> on_begun);
  ~InboundWatch() override;
  InboundWatch(const InboundWatch&) = delete;
  InboundWatch& operator=(const InboundWatch&) = delete;

  // Questions asked before it count no more: their answers are in the epoch that closes, or were waited for.
  void OnEpochClosed(uint64_t closed_epoch) override;
  // The next question, or one asked since the last boundary, begins it, at `not_before_ns` (CLOCK_MONOTONIC) or
  // later. Once; the last one given counts.
  void FireAtInbound(std::shared_ptr<Trigger> trigger, uint64_t not_before_ns);
  // Ends the thread; safe to call twice.
  void Close();

 private:
  enum class Woken { kAsked, kCalled };

  void Run();
  // Sleeps until the deadline (0: none), a call, or a question where they are listened to.
  Woken Sleep(uint64_t deadline_ns, bool listening);
  void Wake();

  const std::function<void()> on_begun_;
  int fd_ = -1;
  int wake_fd_ = -1;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::shared_ptr<Trigger> trigger_;
  uint64_t not_before_ns_ = 0;
  std::thread thread_;
};

}  // namespace understudy
