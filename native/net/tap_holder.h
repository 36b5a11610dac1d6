// The split-port holder: frames read from one tap are kept, tagged with the open epoch, and
// written to the other tap once their epoch is released. One thread reads and writes; the
// capture thread calls OnEpochClosed; everybody else only asks.
//
// Invariants: frames leave in the order they came; a frame leaves only when its epoch is below
// releasable_end_ or while passing_; when in doubt a frame counts to the later epoch.
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
#include "frame_arena.h"
#include "tap_device.h"

namespace understudy {

// Told from the holder's threads, with its mutex held: must only pass the word on.
class HoldEvents {
 public:
  virtual ~HoldEvents() = default;
  // The open epoch has its first held frame.
  virtual void Waiting() = 0;
  virtual void Trouble(const char* kind, std::string reason) = 0;
  virtual void Released(uint64_t id, uint64_t frames) = 0;
  // The holder was closed before release `id` was done.
  virtual void ReleaseLost(uint64_t id) = 0;
};

struct HoldStats {
  uint64_t open_epoch = 0;
  uint64_t held_packets = 0;
  uint64_t held_bytes = 0;
  uint64_t held_packets_max = 0;
  uint64_t held_bytes_max = 0;
  uint64_t released_packets = 0;
  uint64_t released_bytes = 0;
  uint64_t overflow_packets = 0;
  uint64_t dropped_packets = 0;
  uint64_t write_errors = 0;
  uint64_t oldest_held_ns = 0;
};

class TapHolder : public BoundaryListener {
 public:
  struct Options {
    std::string read_tap;
    std::string bridge_tap;
    uint64_t epoch;
    uint64_t limit_packets;
    uint64_t limit_bytes;
  };

  // Makes both taps and starts the thread; holding from the first frame. Throws SyscallError.
  TapHolder(const Options& options, std::shared_ptr<HoldEvents> events);
  ~TapHolder() override;

  void OnEpochClosed(uint64_t closed_epoch) override;
  // Answers through HoldEvents::Released(id). Throws CodedError HOLD_EPOCH_OPEN, HOLD_CLOSED.
  void Release(uint64_t epoch, uint64_t id);
  size_t DropAll();
  void SetPassing(bool passing);
  HoldStats Stats();
  std::vector<LearnedAddress> Addresses();
  // Ends the thread and removes both taps. Blocks for milliseconds; safe to call twice.
  void Close();

 private:
  enum class Written { kNothingLeft, kMoreLeft, kRetryLater };
  struct PendingRelease {
    uint64_t epoch;
    uint64_t id;
    uint64_t frames;
  };

  void Run();
  void Wake();
  Written WriteSome();

  // The mutex is held in all of these.
  void ReadLocked(int frames_max);
  void StoreLocked(size_t length);
  void TellWaitingLocked();
  void AccountLocked(const Frame& frame, bool written, int error);
  bool MayLeaveLocked(const Frame& frame) const;
  void FinishReleasesLocked();
  void TapFailedLocked(const std::string& reason);
  void RequireOpenLocked() const;

  const uint64_t limit_packets_;
  const uint64_t limit_bytes_;
  const std::shared_ptr<HoldEvents> events_;
  TapDevice read_tap_;
  TapDevice bridge_tap_;
  int wake_fd_ = -1;
  int epoll_fd_ = -1;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;
  FrameArena arena_;
  AddressTable addresses_;
  std::deque<PendingRelease> pending_;
  HoldStats totals_;
  uint64_t open_epoch_;
  uint64_t releasable_end_;
  bool passing_ = false;
  bool closed_ = false;
  // The thread is writing the arena's oldest frame without the mutex.
  bool writing_ = false;
  bool waiting_told_ = false;
  bool overflow_told_ = false;
  bool read_failed_ = false;
  bool failure_told_ = false;
  int write_attempts_ = 0;
};

}  // namespace understudy
