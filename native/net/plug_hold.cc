#include "plug_hold.h"

#include <linux/pkt_sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "../common/async.h"
#include "limits.h"
#include "../common/monotonic.h"

namespace understudy {
namespace {

void Watch(int epoll_fd, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) throw SyscallError("epoll_ctl", errno);
}

uint32_t LimitBytes(uint64_t bytes) { return static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX)); }

}  // namespace

PlugHold::PlugHold(const Options& options, std::shared_ptr<HoldEvents> events)
    : options_(options),
      events_(std::move(events)),
      lock_(std::in_place, options.ifb),
      changes_(std::in_place),
      path_({options.tap, options.ifb, LimitBytes(options.limit_bytes)}),
      rule_(options.epoch) {
  try {
    packets_.emplace(path_.tap_link());
    changes_->Watch(path_.links(), path_.port());
    // What happened between the making of the path and the watch.
    changed_ = true;
    wake_fd_ = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd_ < 0) throw SyscallError("eventfd", errno);
    epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd_ < 0) throw SyscallError("epoll_create1", errno);
    Watch(epoll_fd_, wake_fd_, EPOLLIN);
    Watch(epoll_fd_, changes_->fd(), EPOLLIN);
    Watch(epoll_fd_, packets_->fd(), EPOLLIN | EPOLLONESHOT);
    thread_ = std::thread([this] { Run(); });
  } catch (...) {
    if (wake_fd_ >= 0) close(wake_fd_);
    if (epoll_fd_ >= 0) close(epoll_fd_);
    path_.Abandon();
    throw;
  }
}

PlugHold::~PlugHold() {
  // Nobody said what becomes of the output, so it stays held.
  Close(Ending::kHeld);
  close(epoll_fd_);
  close(wake_fd_);
}

void PlugHold::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake already.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void PlugHold::OnEpochClosed(uint64_t closed_epoch) {
  std::lock_guard lock(mutex_);
  if (closed_ || closed_epoch < rule_.open_epoch()) return;
  const bool waiting = waiting_told_;
  const PlugRule::Command command = rule_.Close(closed_epoch);
  waiting_told_ = false;
  packets_->Read(addresses_);
  RearmPacketsLocked();
  if (passing_) {
    rule_.Restart();  // the plug counts nothing while frames pass
    return;
  }
  if (command != PlugRule::Command::kBuffer) {
    // Merged: frames of this epoch now wait for the next one, which has something to be closed for.
    if (waiting) TellWaitingLocked();
    return;
  }
  try {
    // The guest stands still, but something it sent may still be on its way through the kernel. The answer to
    // BUFFER cannot tell whether that came before it or after.
    const auto before = path_.Read();
    if (!before) throw SyscallError("plug", ENOENT, options_.ifb);
    AccountLocked(*before);
    const uint64_t entered = totals_.entered_bytes();
    AccountLocked(path_.Command(TCQ_PLUG_BUFFER));
    const bool exact = totals_.entered_bytes() == entered;
    closed_batch_ = Batch{before->queued_frames, entered - boundary_bytes_, entered, open_oldest_ns_, exact};
    boundary_bytes_ = entered;
    open_oldest_ns_ = 0;
    // It may have been told of as of the epoch that is closed now.
    if (!exact) TellWaitingLocked();
  } catch (const SyscallError& refusal) {
    // Not our plug any more, or the command's fate is unknown: nothing counts as closed, and the thread
    // puts a new plug there.
    rule_.Restart();
    closed_batch_.reset();
    DistrustLocked(std::string("refused: ") + refusal.what());
  }
  // Otherwise the thread is awake when it must be: it looks every few ms while output waits.
  if (changed_) Wake();
}

void PlugHold::Release(uint64_t epoch, uint64_t id) {
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    if (lost_) throw CodedError("HOLD_LOST", "the output of " + options_.tap + " can no longer be held");
    if (epoch >= rule_.open_epoch()) {
      throw CodedError("HOLD_EPOCH_OPEN", "epoch " + std::to_string(epoch) + " cannot be released: the open epoch is " +
                                              std::to_string(rule_.open_epoch()));
    }
    filling_told_ = false;
    overflow_told_ = false;
    wanted_.push_back({epoch, id});
  }
  Wake();
}

size_t PlugHold::DropAll() {
  size_t dropped;
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    if (const auto stats = path_.Read()) AccountLocked(*stats);
    dropped = totals_.now().queued_frames;
    path_.Replug(LimitBytes(options_.limit_bytes));
    NewPlugLocked();
  }
  Wake();
  return dropped;
}

void PlugHold::SetPassing(bool passing) {
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    if (passing == passing_) return;
    if (passing) {
      if (lost_) throw CodedError("HOLD_LOST", "the output of " + options_.tap + " is stopped");
      AccountLocked(path_.Command(TCQ_PLUG_RELEASE_INDEFINITE));
      totals_.Passing(true);
      passing_ = true;
      rule_.Restart();
      closed_batch_.reset();
      open_oldest_ns_ = 0;
    } else {
      StopPassingLocked();
    }
  }
  Wake();
}

// RELEASE_INDEFINITE lets frames in uncounted. One that is still in the queue when the count begins again
// would shift it for good, so the queue must be found empty.
void PlugHold::StopPassingLocked() {
  bool empty = false;
  for (int attempt = 0; attempt < kPlugStopAttemptsMax && !empty; attempt++) {
    if (attempt > 0) {
      path_.Command(TCQ_PLUG_RELEASE_INDEFINITE);
      SleepMs(1);
    }
    const QdiscStats stats = path_.Command(TCQ_PLUG_BUFFER);
    AccountLocked(stats);
    empty = stats.queued_frames == 0;
  }
  totals_.Passing(false);
  passing_ = false;
  if (!empty) path_.Replug(LimitBytes(options_.limit_bytes));
  if (!empty) NewPlugLocked();
  boundary_bytes_ = totals_.entered_bytes();
  rule_.Restart();
  waiting_told_ = false;
  RearmPacketsLocked();
}

HoldStats PlugHold::Stats() {
  std::lock_guard lock(mutex_);
  RequireOpenLocked();
  if (const auto now = path_.Read()) AccountLocked(*now);
  HoldStats stats;
  stats.open_epoch = rule_.open_epoch();
  stats.held_packets = totals_.now().queued_frames;
  stats.held_bytes = totals_.now().backlog_bytes;
  stats.held_packets_max = totals_.packets_max();
  stats.held_bytes_max = totals_.bytes_max();
  stats.released_packets = totals_.released_packets();
  stats.released_bytes = totals_.released_bytes();
  stats.overflow_packets = totals_.overflow_packets();
  stats.dropped_packets = totals_.dropped_packets();
  if (stats.held_packets > 0) {
    stats.oldest_held_ns = leaving_        ? leaving_->batch.oldest_ns
                           : closed_batch_ ? closed_batch_->oldest_ns
                                           : open_oldest_ns_;
  }
  return stats;
}

std::vector<LearnedAddress> PlugHold::Addresses() {
  std::lock_guard lock(mutex_);
  RequireOpenLocked();
  packets_->Read(addresses_);
  return addresses_.List();
}

void PlugHold::StopThread() {
  stopping_ = true;
  if (!thread_.joinable()) return;
  Wake();
  thread_.join();
}

void PlugHold::Close(Ending ending) {
  StopThread();
  std::lock_guard lock(mutex_);
  if (closed_) return;
  FailWantedLocked("HOLD_CLOSED", "the output hold was closed before the release was done");
  if (ending == Ending::kRelease) DrainForGoodLocked();
  if (ending != Ending::kHeld) path_.Remove();
  closed_ = true;
  packets_.reset();
  changes_.reset();
  lock_.reset();
}

// What is held leaves, then nothing comes in any more, then the last has left the IFB: so that nothing that
// goes straight to the bridge afterwards can overtake it.
void PlugHold::DrainForGoodLocked() {
  const uint64_t deadline_ns = MonotonicNs() + kPlugDrainMsMax * kNsPerMs;
  const auto is_empty = [this] {
    const auto stats = path_.Read();
    return !stats || stats->queued_frames == 0;
  };
  const auto wait_for = [deadline_ns](auto condition) {
    while (!condition()) {
      if (MonotonicNs() > deadline_ns) return false;
      SleepMs(kPlugDrainLookMs);
    }
    return true;
  };
  if (!path_.Read()) return;  // nothing is held where there is no plug
  path_.Command(TCQ_PLUG_RELEASE_INDEFINITE);
  // A guest that talks all the time may never be found silent: that is what the limit is for.
  wait_for(is_empty);
  path_.SetLimit(0);
  if (!wait_for([&] { return is_empty() && path_.IfbIsEmpty(); })) {
    throw SyscallError("plug", ETIMEDOUT, "released packets do not leave " + options_.ifb);
  }
}

void PlugHold::RequireOpenLocked() const {
  if (closed_ || stopping_) throw CodedError("HOLD_CLOSED", "the output hold is closed");
}

}  // namespace understudy
