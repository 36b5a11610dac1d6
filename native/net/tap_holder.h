// The split-port holder: frames read from one tap are kept, tagged with the open epoch, and
// written to the other tap once their epoch is released. One thread reads and writes; the
// capture thread calls OnEpochClosed; everybody else only asks.
//
// Invariants: frames leave in the order they came; a frame leaves only when its epoch is below
// releasable_end_, while passing_ or before pass_until_ns_, and never while unheld_; when in doubt a frame counts to the later epoch.
// While output passes and nothing is kept here, the kernel passes frames itself, where it can (kernel_pass.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../common/boundary.h"
#include "address_table.h"
#include "busy_poll.h"
#include "frame_arena.h"
#include "hold_events.h"
#include "kernel_pass.h"
#include "limits.h"
#include "split_port_watch.h"
#include "tap_device.h"

namespace understudy {

class TapHolder : public BoundaryListener {
 public:
  struct Options {
    std::string read_tap;
    std::string bridge_tap;
    uint64_t epoch;
    uint64_t limit_packets;
    uint64_t limit_bytes;
    // The guest's; empty when it is not to be watched.
    std::string tap;
    // Whether the kernel is asked to pass frames by itself; it may refuse.
    bool kernel_passes;
  };

  // Makes both taps and starts the thread; holding from the first frame. Throws SyscallError.
  TapHolder(const Options& options, std::shared_ptr<HoldEvents> events);
  ~TapHolder() override;

  void OnEpochClosed(uint64_t closed_epoch) override;
  void OnEpochCommitted(uint64_t epoch) override;
  // Answers through HoldEvents::Released(id). Throws CodedError HOLD_EPOCH_OPEN, HOLD_CLOSED.
  void Release(uint64_t epoch, uint64_t id);
  size_t DropAll();
  // Either call ends what the other began.
  void SetPassing(bool passing);
  // Passing ends when CLOCK_MONOTONIC reaches `deadline_ns`, asked for each frame: nobody has to act then.
  void PassUntil(uint64_t deadline_ns);
  // true: the layout is in place, and from now on looked at whenever somebody changes it. What is found
  // stops all releases at once, and is told; `true` again, when it is put back, lets them go on. Throws
  // CodedError HOLD_LOST when it is not in place.
  void WatchTap(bool watching);
  HoldStats Stats();
  std::vector<LearnedAddress> Addresses();
  // Ends the thread and removes both taps. Blocks for milliseconds; safe to call twice.
  void Close();

 private:
  enum class Written { kNothingLeft, kMoreLeft, kRetryLater };
  // Where one round of reading ends.
  struct Batch {
    int frames;
    size_t bytes;
  };
  static constexpr Batch kBoundaryBatch{.frames = kBoundaryFramesMax, .bytes = SIZE_MAX};
  struct PendingRelease {
    uint64_t epoch;
    uint64_t id;
    uint64_t frames;
  };

  void Run();
  void LookAtTap();
  void AttachToKernel();
  bool Passes();
  void Wake();
  // Reads and writes by turns until the tap is empty or other duties are due.
  Written Forward();
  Written WriteSome();

  // The mutex is held in all of these.
  // Whether there may be more to read.
  bool ReadLocked(const Batch& batch);
  void StoreLocked(size_t length);
  void TellWaitingLocked();
  void AccountLocked(const Frame& frame, bool written, int error);
  bool PassesLocked(uint64_t now_ns) const;
  bool MayLeaveLocked(const Frame& frame) const;
  void FinishReleasesLocked();
  void FoundLocked(const SplitPortWatch::Finding& finding);
  // Tells the kernel's program what may pass now: after every change of what that depends on.
  void TellKernelLocked();
  void TapFailedLocked(const std::string& reason);
  void RequireOpenLocked() const;

  const uint64_t limit_packets_;
  const uint64_t limit_bytes_;
  const std::string tap_;
  const std::shared_ptr<HoldEvents> events_;
  TapDevice read_tap_;
  TapDevice bridge_tap_;
  int wake_fd_ = -1;
  int epoll_fd_ = -1;
  std::thread thread_;
  // The thread's own.
  BusyPoll busy_poll_;
  std::atomic<bool> stopping_{false};

  // Taken before mutex_, and while the kernel is asked: a boundary must not wait for that.
  std::mutex watch_mutex_;
  std::unique_ptr<SplitPortWatch> watch_;

  std::mutex mutex_;
  FrameArena arena_;
  AddressTable addresses_;
  std::deque<PendingRelease> pending_;
  // Frames that left by a commit that nobody waited for here (OnEpochCommitted): counted to the next release.
  uint64_t released_untold_ = 0;
  HoldStats totals_;
  uint64_t open_epoch_;
  uint64_t releasable_end_;
  bool passing_ = false;
  // 0: no deadline.
  uint64_t pass_until_ns_ = 0;
  // Of the frame stored last.
  uint64_t newest_epoch_ = 0;
  bool closed_ = false;
  // A part of the layout is missing: nothing leaves.
  bool unheld_ = false;
  // All of it was there at the last look.
  bool intact_ = false;
  // Null where the kernel refuses, as kernel_refusal_ says, and when nobody asks it.
  std::unique_ptr<KernelPass> kernel_;
  std::string kernel_refusal_;
  // Of the frames that the kernel's program has diverted, so many have been read.
  uint64_t read_through_ = 0;
  // The thread is writing the arena's oldest frame without the mutex.
  bool writing_ = false;
  bool waiting_told_ = false;
  bool overflow_told_ = false;
  bool filling_told_ = false;
  bool read_failed_ = false;
  bool failure_told_ = false;
  int write_attempts_ = 0;
};

}  // namespace understudy
