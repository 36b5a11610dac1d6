#include "tap_holder.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "../common/async.h"
#include "limits.h"

namespace understudy {
namespace {

uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void Watch(int epoll_fd, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) throw SyscallError("epoll_ctl", errno);
}

}  // namespace

TapHolder::TapHolder(const Options& options, std::shared_ptr<HoldEvents> events)
    : limit_packets_(options.limit_packets),
      limit_bytes_(options.limit_bytes),
      events_(std::move(events)),
      read_tap_(options.read_tap),
      bridge_tap_(options.bridge_tap),
      open_epoch_(options.epoch),
      releasable_end_(options.epoch) {
  read_tap_.SetQueueFrames(kReadTapQueueFrames);
  try {
    wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd_ < 0) throw SyscallError("eventfd", errno);
    epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd_ < 0) throw SyscallError("epoll_create1", errno);
    Watch(epoll_fd_, wake_fd_);
    Watch(epoll_fd_, read_tap_.fd());
    read_tap_.BringUp();
    thread_ = std::thread([this] { Run(); });
  } catch (...) {
    if (wake_fd_ >= 0) close(wake_fd_);
    if (epoll_fd_ >= 0) close(epoll_fd_);
    throw;
  }
}

TapHolder::~TapHolder() { Close(); }

void TapHolder::Close() {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    stopping_ = true;
  }
  Wake();
  thread_.join();
  std::lock_guard lock(mutex_);
  for (const PendingRelease& release : pending_) events_->ReleaseLost(release.id);
  pending_.clear();
  read_tap_.Close();
  bridge_tap_.Close();
  close(epoll_fd_);
  close(wake_fd_);
}

void TapHolder::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake already.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void TapHolder::Run() {
  pthread_setname_np(pthread_self(), "output-hold");
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals belong to the main thread
  Written written = Written::kNothingLeft;
  while (!stopping_) {
    const int wait_ms = written == Written::kMoreLeft    ? 0
                        : written == Written::kRetryLater ? kWriteRetryMs
                                                          : -1;
    epoll_event events[2];
    const int ready = epoll_wait(epoll_fd_, events, 2, wait_ms);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == wake_fd_) {
        uint64_t count;
        [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof count);
      } else {
        std::lock_guard lock(mutex_);
        ReadLocked(kBatchFrames);
      }
    }
    written = WriteSome();
  }
}

void TapHolder::OnEpochClosed(uint64_t closed_epoch) {
  std::lock_guard lock(mutex_);
  // An epoch that was closed before (a capture that is tried again) moves nothing: frames since
  // then stay with the later epoch.
  if (closed_ || closed_epoch < open_epoch_) return;
  ReadLocked(kBoundaryFramesMax);
  open_epoch_ = closed_epoch + 1;
  waiting_told_ = false;
}

void TapHolder::Release(uint64_t epoch, uint64_t id) {
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    if (epoch >= open_epoch_) {
      throw CodedError("HOLD_EPOCH_OPEN", "epoch " + std::to_string(epoch) +
                                              " cannot be released: the open epoch is " +
                                              std::to_string(open_epoch_));
    }
    releasable_end_ = std::max(releasable_end_, epoch + 1);
    overflow_told_ = false;
    pending_.push_back({epoch, id, 0});
  }
  Wake();
}

size_t TapHolder::DropAll() {
  size_t dropped;
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    ReadLocked(kBoundaryFramesMax);
    dropped = arena_.Clear(writing_);
    totals_.dropped_packets += dropped;
    waiting_told_ = false;
    overflow_told_ = false;
  }
  Wake();  // releases that waited for these frames are done
  return dropped;
}

void TapHolder::SetPassing(bool passing) {
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    passing_ = passing;
    if (!passing_ && !arena_.empty()) TellWaitingLocked();
  }
  Wake();
}

HoldStats TapHolder::Stats() {
  std::lock_guard lock(mutex_);
  RequireOpenLocked();
  HoldStats stats = totals_;
  stats.open_epoch = open_epoch_;
  stats.held_packets = arena_.frames();
  stats.held_bytes = arena_.bytes();
  stats.oldest_held_ns = arena_.empty() ? 0 : arena_.Front().arrived_ns;
  return stats;
}

std::vector<LearnedAddress> TapHolder::Addresses() {
  std::lock_guard lock(mutex_);
  RequireOpenLocked();
  return addresses_.List();
}

void TapHolder::ReadLocked(int frames_max) {
  for (int i = 0; i < frames_max && !read_failed_; i++) {
    const ssize_t got = read(read_tap_.fd(), arena_.Reserve(), kFrameBytesMax);
    if (got >= 0) {
      StoreLocked(static_cast<size_t>(got));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      // The interface is gone: stop watching it, or epoll would report the error for ever.
      read_failed_ = true;
      TapFailedLocked(read_tap_.name() + ": " + strerror(errno));
      epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, read_tap_.fd(), nullptr);
    }
  }
}

void TapHolder::StoreLocked(size_t length) {
  if (length < kVnetHeaderBytes + kEthernetHeaderBytes) return;
  if (arena_.frames() >= limit_packets_ || arena_.bytes() + length > limit_bytes_) {
    totals_.overflow_packets += 1;
    if (!overflow_told_) {
      overflow_told_ = true;
      events_->Trouble("overflow", std::to_string(arena_.frames()) + " packets, " +
                                       std::to_string(arena_.bytes()) + " bytes are held");
    }
    return;
  }
  const uint8_t* frame = arena_.Reserve();
  addresses_.Learn(frame + kVnetHeaderBytes, length - kVnetHeaderBytes);
  arena_.Commit(length, open_epoch_, MonotonicNs());
  totals_.held_packets_max = std::max<uint64_t>(totals_.held_packets_max, arena_.frames());
  totals_.held_bytes_max = std::max<uint64_t>(totals_.held_bytes_max, arena_.bytes());
  if (!passing_) TellWaitingLocked();
}

void TapHolder::TellWaitingLocked() {
  if (waiting_told_) return;
  waiting_told_ = true;
  events_->Waiting();
}

bool TapHolder::MayLeaveLocked(const Frame& frame) const {
  return passing_ || frame.epoch < releasable_end_;
}

TapHolder::Written TapHolder::WriteSome() {
  for (int i = 0; i < kBatchFrames; i++) {
    Frame frame;
    {
      std::lock_guard lock(mutex_);
      if (arena_.empty() || !MayLeaveLocked(arena_.Front())) {
        FinishReleasesLocked();
        return Written::kNothingLeft;
      }
      frame = arena_.Front();
      writing_ = true;
    }
    // Without the mutex: the bridge forwards inside this call, and a boundary must not wait for it.
    const ssize_t result = write(bridge_tap_.fd(), frame.bytes, frame.length);
    const int error = errno;
    std::lock_guard lock(mutex_);
    writing_ = false;
    const bool busy = result < 0 && (error == EAGAIN || error == ENOBUFS || error == EINTR);
    if (busy && ++write_attempts_ < kWriteAttemptsMax) return Written::kRetryLater;
    write_attempts_ = 0;
    AccountLocked(frame, result >= 0, error);
    arena_.PopFront();
  }
  return Written::kMoreLeft;
}

void TapHolder::AccountLocked(const Frame& frame, bool written, int error) {
  if (written) {
    totals_.released_packets += 1;
    totals_.released_bytes += frame.length - kVnetHeaderBytes;
    const auto waiting = std::find_if(pending_.begin(), pending_.end(), [&frame](const auto& release) {
      return release.epoch >= frame.epoch;
    });
    if (waiting != pending_.end()) waiting->frames += 1;
    return;
  }
  totals_.write_errors += 1;
  // EIO: the interface is down; EBADFD: it was removed. Both stay so until somebody acts.
  if (error == EIO || error == EBADFD) TapFailedLocked(bridge_tap_.name() + ": " + strerror(error));
}

void TapHolder::FinishReleasesLocked() {
  while (!pending_.empty()) {
    const PendingRelease& release = pending_.front();
    if (!arena_.empty() && arena_.Front().epoch <= release.epoch) return;
    events_->Released(release.id, release.frames);
    pending_.pop_front();
  }
}

void TapHolder::TapFailedLocked(const std::string& reason) {
  if (failure_told_) return;
  failure_told_ = true;
  events_->Trouble("tap-failed", reason);
}

void TapHolder::RequireOpenLocked() const {
  if (closed_) throw CodedError("HOLD_CLOSED", "the output hold is closed");
}

}  // namespace understudy
