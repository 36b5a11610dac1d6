// What one plug qdisc must be told, and what it then holds. Pure: no kernel, no clock.
//
// sch_plug (net/sched/sch_plug.c) counts the packets of the open epoch and those of one closed epoch.
// BUFFER closes the open one; RELEASE_ONE lets the closed one go. A second BUFFER before the RELEASE_ONE
// forgets the first count, and every later release then lets out packets of an epoch that nobody
// acknowledged. So a boundary that finds a closed epoch outstanding is merged: its packets stay in the
// open count, and the first boundary after the release closes them together with what came since.
//
// A boundary that finds released packets still on their way out is merged as well. plug_dequeue() may stop the
// queue in the very moment of a RELEASE_ONE; only another RELEASE_ONE starts it again, and with an epoch closed
// that one would release the wrong packets.
//
// BUFFER is never sent at the release itself: the guest runs then, plug_change() moves the count without
// the lock that plug_enqueue() holds, and a packet that arrives in that moment could undo the move. Nor
// would anything leave sooner: those packets need the epoch that is open by then to be committed either way.
#pragma once

#include <cstdint>
#include <optional>

namespace understudy {

class PlugRule {
 public:
  enum class Command { kNone, kBuffer, kReleaseOne };

  explicit PlugRule(uint64_t open_epoch) : open_epoch_(open_epoch) {}

  // The guest stands still and `epoch` closes. An epoch that was closed before (a capture that is tried
  // again) moves nothing: packets since then stay with the later epoch.
  Command Close(uint64_t epoch) {
    if (epoch < open_epoch_) return Command::kNone;
    open_epoch_ = epoch + 1;
    if (outstanding_ || leaving_) return Command::kNone;
    outstanding_ = epoch;
    return Command::kBuffer;
  }

  // `epoch` is committed. Nothing when it is not closed: the caller has made a mistake.
  std::optional<Command> Release(uint64_t epoch) {
    if (epoch >= open_epoch_) return std::nullopt;
    if (!outstanding_ || *outstanding_ > epoch) return Command::kNone;
    outstanding_.reset();
    leaving_ = true;
    return Command::kReleaseOne;
  }

  // All that was released has left the queue.
  void Left() { leaving_ = false; }

  // The qdisc counts from nothing again: it is a new one, or one that has let everything pass.
  void Restart() {
    outstanding_.reset();
    leaving_ = false;
  }

  uint64_t open_epoch() const { return open_epoch_; }

 private:
  uint64_t open_epoch_;
  std::optional<uint64_t> outstanding_;
  bool leaving_ = false;
};

}  // namespace understudy
