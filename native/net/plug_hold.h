// The output hold in the kernel: frames wait in a plug qdisc (plug_path.h), one closed epoch at a time
// (plug_rule.h). When this process dies everything stays held.
//
// One thread releases, looks after the path and counts; the capture thread calls OnEpochClosed; everybody
// else only asks. Invariants: nothing is released before what others did to the path has been read; RELEASE_ONE
// is only sent when nothing of an earlier one is still leaving, because sch_plug takes and adds to its count
// without a common lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../common/boundary.h"
#include "address_table.h"
#include "hold_events.h"
#include "hold_lock.h"
#include "link_watch.h"
#include "packet_watch.h"
#include "plug_path.h"
#include "plug_rule.h"
#include "plug_totals.h"

namespace understudy {

class PlugHold : public BoundaryListener {
 public:
  struct Options {
    std::string tap;
    std::string ifb;
    uint64_t epoch;
    uint64_t limit_packets;
    uint64_t limit_bytes;
  };
  enum class Ending { kHeld, kRelease, kDrop };

  // Holding from here on. Throws SyscallError, CodedError HOLD_STILL_HELD, HOLD_TAP_BUSY, HOLD_NO_INTERFACE.
  PlugHold(const Options& options, std::shared_ptr<HoldEvents> events);
  ~PlugHold() override;

  void OnEpochClosed(uint64_t closed_epoch) override;
  // Answers through HoldEvents. Throws CodedError HOLD_EPOCH_OPEN, HOLD_CLOSED, HOLD_LOST.
  void Release(uint64_t epoch, uint64_t id);
  size_t DropAll();
  void SetPassing(bool passing);
  HoldStats Stats();
  std::vector<LearnedAddress> Addresses();
  // Ends the thread. Blocks for milliseconds. When it throws, output is held or stopped and it may be
  // called again; after it has succeeded it does nothing.
  void Close(Ending ending);

 private:
  // A closed epoch in the queue.
  struct Batch {
    uint64_t frames = 0;
    uint64_t bytes = 0;
    // It has left when the plug has let this many bytes go (PlugTotals::entered_bytes at its boundary).
    uint64_t end_bytes = 0;
    uint64_t oldest_ns = 0;
    // Nothing came in while the boundary was marked; else the plug may count some more packets to it.
    bool exact = true;
  };
  struct Leaving {
    Batch batch;
    uint64_t id;
    uint64_t progress_ns;
    uint64_t kicked_ns;
    uint64_t bytes_left;
  };
  struct Wanted {
    uint64_t epoch;
    uint64_t id;
  };

  void Run();
  void Wake();
  void StopThread();
  int WaitMsLocked() const;

  // The mutex is held in all of these.
  void StepLocked(bool packets_seen);
  void SeePacketsLocked();
  bool ReadChangesLocked();
  void DistrustLocked(const std::string& why);
  void RepairLocked();
  void LoseLocked(const std::string& reason);
  void NewPlugLocked();
  void StartReleasesLocked();
  void FollowLeavingLocked();
  void FinishLeavingLocked(uint64_t frames);
  void LookLocked();
  void AccountLocked(const QdiscStats& stats);
  void LimitPacketsLocked(const QdiscStats& stats);
  void TellWaitingLocked();
  void TapFailedLocked(const std::string& reason);
  void StopPassingLocked();
  void FailWantedLocked(const char* code, const std::string& reason);
  void RearmPacketsLocked();
  void DrainForGoodLocked();
  void RequireOpenLocked() const;

  const Options options_;
  const std::shared_ptr<HoldEvents> events_;
  // These three end with Close, not with the object.
  std::optional<HoldLock> lock_;
  std::optional<LinkWatch> changes_;
  std::optional<PacketWatch> packets_;
  PlugPath path_;
  int wake_fd_ = -1;
  int epoll_fd_ = -1;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;
  PlugRule rule_;
  PlugTotals totals_;
  AddressTable addresses_;
  std::deque<Wanted> wanted_;
  // The epoch that `rule_` has outstanding.
  std::optional<Batch> closed_batch_;
  std::optional<Leaving> leaving_;
  // PlugTotals::entered_bytes at the last boundary.
  uint64_t boundary_bytes_ = 0;
  uint64_t open_oldest_ns_ = 0;
  uint64_t looked_ns_ = 0;
  int failures_ = 0;
  bool passing_ = false;
  // The packet limit is reached: the plug takes nothing more until something has left.
  bool shut_ = false;
  bool closed_ = false;
  // Output cannot be held again: nothing is released any more.
  bool lost_ = false;
  // The path must be looked at; and if not empty, why its plug is to be replaced even if it is there.
  bool changed_ = false;
  std::string distrust_;
  bool waiting_told_ = false;
  bool filling_told_ = false;
  bool overflow_told_ = false;
  bool failure_told_ = false;
};

}  // namespace understudy
