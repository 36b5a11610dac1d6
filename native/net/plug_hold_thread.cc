// The plug hold's own thread: releases, repairs, looks.
#include <linux/pkt_sched.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "../common/async.h"
#include "../common/worker_pool.h"
#include "limits.h"
#include "../common/monotonic.h"
#include "plug_hold.h"

namespace understudy {

void PlugHold::Run() {
  pthread_setname_np(pthread_self(), "output-plug");
  BlockSignals();
  int wait_ms = -1;
  while (!stopping_) {
    epoll_event events[3];
    const int ready = epoll_wait(epoll_fd_, events, 3, wait_ms);
    std::lock_guard lock(mutex_);
    bool packets_seen = false;
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == packets_->fd()) packets_seen = true;
      if (events[i].data.fd != wake_fd_) continue;
      uint64_t count;
      [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof count);
    }
    try {
      StepLocked(packets_seen);
      failures_ = 0;
    } catch (const std::exception& failure) {
      // The path is not as it should be: look at all of it, but not for ever.
      DistrustLocked(std::string("failed: ") + failure.what());
      failures_ += 1;
      if (failures_ >= kPlugRepairAttemptsMax && !lost_) LoseLocked(failure.what());
    }
    wait_ms = WaitMsLocked();
  }
}

int PlugHold::WaitMsLocked() const {
  if (lost_) return -1;
  if (changed_) return 0;
  if (leaving_) return kPlugDrainLookMs;
  if (!passing_ && (waiting_told_ || totals_.now().queued_frames > 0)) return kPlugLookMs;
  return -1;
}

void PlugHold::StepLocked(bool packets_seen) {
  if (packets_seen) SeePacketsLocked();
  ReadChangesLocked();
  if (lost_) return;
  if (changed_) RepairLocked();
  FollowLeavingLocked();
  StartReleasesLocked();
  LookLocked();
}

void PlugHold::SeePacketsLocked() {
  if (packets_->Read(addresses_) == 0) {
    RearmPacketsLocked();  // a boundary was faster and has taken them
  } else if (!passing_) {
    TellWaitingLocked();
  }
}

// From here on the first frame wakes the thread, once.
void PlugHold::RearmPacketsLocked() {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.fd = packets_->fd();
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, packets_->fd(), &event) < 0) throw SyscallError("epoll_ctl", errno);
}

void PlugHold::TellWaitingLocked() {
  if (waiting_told_) return;
  waiting_told_ = true;
  if (open_oldest_ns_ == 0) open_oldest_ns_ = MonotonicNs();
  events_->Waiting(rule_.open_epoch());
}

// True when somebody touched something that must be looked at.
bool PlugHold::ReadChangesLocked() {
  using Kind = LinkChange::Kind;
  for (const LinkChange& change : changes_->Read()) {
    const bool of_ifb = change.ifindex == path_.ifb_link();
    switch (change.kind) {
      case Kind::kOverrun:
        DistrustLocked("may have been changed: the kernel's notices were lost");
        break;
      case Kind::kLink:
        // Down loses the plug's frames but not its counts (qdisc_reset_queue): it cannot be used again.
        if (change.up) break;
        changed_ = true;
        if (of_ifb) DistrustLocked("was emptied");
        break;
      case Kind::kQdisc:
        // Also a command to our own plug: what it did to the counts cannot be read back.
        changed_ = true;
        if (of_ifb) DistrustLocked("was changed");
        break;
      case Kind::kGone:
      case Kind::kFilter:
        changed_ = true;
        break;
    }
  }
  return changed_;
}

// The first reason is the one to tell.
void PlugHold::DistrustLocked(const std::string& why) {
  changed_ = true;
  if (distrust_.empty()) distrust_ = why;
}

void PlugHold::RepairLocked() {
  std::string found;
  for (int attempt = 0; changed_; attempt++) {
    // Somebody changes it as fast as it is put back.
    if (attempt == kPlugRepairAttemptsMax) throw CodedError("HOLD_LOST", "the hold is changed again and again");
    const std::string distrust = std::exchange(distrust_, "");
    changed_ = false;
    PlugPath::Repair repair;
    try {
      if (const auto stats = path_.Read()) AccountLocked(*stats);
      repair = path_.Restore(distrust);
      // The IFB may be a new one.
      if (!repair.tap_gone) changes_->Watch(path_.links(), path_.port());
    } catch (const SyscallError& refusal) {
      DistrustLocked(std::string("failed: ") + refusal.what());
      if (attempt + 1 == kPlugRepairAttemptsMax) throw;
      continue;
    }
    if (repair.new_plug) NewPlugLocked();
    if (repair.tap_gone) TapFailedLocked(options_.tap + " is gone");
    if (repair.tap_down) TapFailedLocked(options_.tap + " is down");
    if (!repair.found.empty()) found += (found.empty() ? "" : ", ") + repair.found;
    ReadChangesLocked();
  }
  if (!found.empty() && !passing_) events_->Trouble("unheld", found);
}

// Nothing is sure any more: the guest's interface is stopped, and what is held stays.
void PlugHold::LoseLocked(const std::string& reason) {
  lost_ = true;
  std::string told = "output of " + options_.tap + " cannot be held again: " + reason;
  try {
    path_.StopTap();
    told += "; " + options_.tap + " was set down";
  } catch (const std::exception& failure) {
    told += std::string("; setting it down failed: ") + failure.what();
  }
  FailWantedLocked("HOLD_LOST", told);
  TapFailedLocked(told);
}

// The plug is a new one, throttled and empty.
void PlugHold::NewPlugLocked() {
  if (leaving_) {
    const uint64_t lost = std::min<uint64_t>(leaving_->batch.frames, totals_.now().queued_frames);
    FinishLeavingLocked(leaving_->batch.frames - lost);
  }
  totals_.Restart();
  boundary_bytes_ = 0;
  rule_.Restart();
  closed_batch_.reset();
  open_oldest_ns_ = 0;
  shut_ = false;
  waiting_told_ = false;
  filling_told_ = false;
  overflow_told_ = false;
  packets_->Read(addresses_);
  RearmPacketsLocked();
  if (passing_) path_.Command(TCQ_PLUG_RELEASE_INDEFINITE);
}

void PlugHold::StartReleasesLocked() {
  while (!leaving_ && !wanted_.empty()) {
    // Before anything is released: is the path still ours?
    if (ReadChangesLocked()) RepairLocked();
    const Wanted wanted = wanted_.front();
    const auto command = rule_.Release(wanted.epoch);
    if (command != PlugRule::Command::kReleaseOne || !closed_batch_) {
      wanted_.pop_front();
      events_->Released(wanted.id, 0);
      continue;
    }
    const Batch batch = *std::exchange(closed_batch_, std::nullopt);
    wanted_.pop_front();
    if (batch.bytes == 0 && batch.exact) {
      rule_.Left();
      events_->Released(wanted.id, 0);  // an idle guest costs no command
      continue;
    }
    const uint64_t now_ns = MonotonicNs();
    leaving_ = Leaving{batch, wanted.id, now_ns, now_ns, totals_.now().bytes_left};
    AccountLocked(path_.Command(TCQ_PLUG_RELEASE_ONE));
    // A few frames leave inside the command itself.
    FollowLeavingLocked();
  }
}

void PlugHold::FollowLeavingLocked() {
  if (!leaving_) return;
  const auto stats = path_.Read();
  if (!stats) throw SyscallError("plug", ENOENT, options_.ifb);
  AccountLocked(*stats);
  const uint64_t now_ns = MonotonicNs();
  const bool moves = stats->bytes_left != leaving_->bytes_left;
  const bool enough = stats->bytes_left >= leaving_->batch.end_bytes && (leaving_->batch.exact || !moves);
  if (enough || stats->queued_frames == 0) {
    FinishLeavingLocked(leaving_->batch.frames);
  } else if (moves) {
    leaving_->bytes_left = stats->bytes_left;
    leaving_->progress_ns = leaving_->kicked_ns = now_ns;
  } else if (now_ns - leaving_->progress_ns > kPlugStuckMsMax * kNsPerMs) {
    throw SyscallError("plug", ETIMEDOUT,
                       "released packets do not leave " + options_.ifb + ": " + std::to_string(stats->bytes_left) +
                           " of " + std::to_string(leaving_->batch.end_bytes) + " bytes have");
  } else if (now_ns - leaving_->kicked_ns > kPlugKickMs * kNsPerMs) {
    // The queue was stopped in the moment of the command. With no epoch closed (plug_rule.h) another one adds
    // nothing and starts it again.
    leaving_->kicked_ns = now_ns;
    path_.Command(TCQ_PLUG_RELEASE_ONE);
  }
}

void PlugHold::FinishLeavingLocked(uint64_t frames) {
  totals_.Released(frames);
  rule_.Left();
  events_->Released(leaving_->id, frames);
  leaving_.reset();
}

void PlugHold::LookLocked() {
  if (passing_ || (!waiting_told_ && totals_.now().queued_frames == 0)) return;
  const uint64_t now_ns = MonotonicNs();
  if (now_ns - looked_ns_ < kPlugLookMs * kNsPerMs) return;
  looked_ns_ = now_ns;
  const auto stats = path_.Read();
  if (!stats) throw SyscallError("plug", ENOENT, options_.ifb);
  AccountLocked(*stats);
}

void PlugHold::AccountLocked(const QdiscStats& stats) {
  const uint64_t refused = totals_.See(stats);
  if (refused > 0 && !overflow_told_) {
    overflow_told_ = true;
    events_->Trouble("overflow", std::to_string(stats.queued_frames) + " packets, " +
                                     std::to_string(stats.backlog_bytes) + " bytes are held");
  }
  if (passing_) return;
  const bool filling = stats.queued_frames > options_.limit_packets / 2 || stats.backlog_bytes > options_.limit_bytes / 2;
  if (filling && !filling_told_) {
    filling_told_ = true;
    events_->Filling();
  }
  LimitPacketsLocked(stats);
}

// sch_plug limits bytes alone.
void PlugHold::LimitPacketsLocked(const QdiscStats& stats) {
  const bool full = stats.queued_frames >= options_.limit_packets;
  if (full == shut_) return;
  shut_ = full;
  path_.SetLimit(full ? 0 : path_.options().limit_bytes);
}

void PlugHold::TapFailedLocked(const std::string& reason) {
  if (failure_told_) return;
  failure_told_ = true;
  events_->Trouble("tap-failed", reason);
}

void PlugHold::FailWantedLocked(const char* code, const std::string& reason) {
  if (leaving_) events_->ReleaseFailed(std::exchange(leaving_, std::nullopt)->id, code, reason);
  for (const Wanted& wanted : wanted_) events_->ReleaseFailed(wanted.id, code, reason);
  wanted_.clear();
}

}  // namespace understudy
