#include "tap_holder.h"

#include <net/if.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "../common/async.h"
#include "limits.h"
#include "../common/monotonic.h"

namespace understudy {
namespace {

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
      tap_(options.tap),
      events_(std::move(events)),
      read_tap_(options.read_tap),
      bridge_tap_(options.bridge_tap),
      open_epoch_(options.epoch),
      releasable_end_(options.epoch) {
  read_tap_.SetQueueFrames(kReadTapQueueFrames);
  if (options.kernel_passes && !tap_.empty()) {
    try {
      kernel_ = std::make_unique<KernelPass>(static_cast<int>(if_nametoindex(options.bridge_tap.c_str())));
    } catch (const SyscallError& refusal) {
      kernel_refusal_ = refusal.what();
    }
  }
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
  for (const PendingRelease& release : pending_) {
    events_->ReleaseFailed(release.id, "HOLD_CLOSED", "the output hold was closed before the release was done");
  }
  pending_.clear();
  kernel_.reset();
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
                        : busy_poll_.Again()              ? 0
                                                          : -1;
    epoll_event events[3];
    const int ready = epoll_wait(epoll_fd_, events, 3, wait_ms);
    bool readable = false;
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == read_tap_.fd()) {
        readable = true;
      } else if (events[i].data.fd != wake_fd_) {
        LookAtTap();
      } else {
        uint64_t count;
        [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof count);
      }
    }
    written = readable ? Forward() : WriteSome();
    // What is held anyway is in no hurry.
    if (readable && Passes()) busy_poll_.FramesCame();
  }
}

bool TapHolder::Passes() {
  std::lock_guard lock(mutex_);
  return PassesLocked(MonotonicNs());
}

TapHolder::Written TapHolder::Forward() {
  Written written = Written::kNothingLeft;
  for (int round = 0; round < kForwardRounds && !stopping_; round++) {
    bool more;
    {
      std::lock_guard lock(mutex_);
      more = ReadLocked({.frames = kBatchFrames, .bytes = kBatchBytes});
    }
    written = WriteSome();
    if (!more || written == Written::kRetryLater) break;
  }
  return written;
}

void TapHolder::OnEpochClosed(uint64_t closed_epoch) {
  std::lock_guard lock(mutex_);
  // An epoch that was closed before (a capture that is tried again) moves nothing: frames since
  // then stay with the later epoch.
  if (closed_ || closed_epoch < open_epoch_) return;
  ReadLocked(kBoundaryBatch);
  open_epoch_ = closed_epoch + 1;
  waiting_told_ = false;
}

void TapHolder::OnEpochCommitted(uint64_t epoch) {
  {
    std::lock_guard lock(mutex_);
    if (closed_ || epoch >= open_epoch_) return;
    releasable_end_ = std::max(releasable_end_, epoch + 1);
  }
  Wake();
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
    filling_told_ = false;
    pending_.push_back({epoch, id, std::exchange(released_untold_, 0)});
  }
  Wake();
}

size_t TapHolder::DropAll() {
  size_t dropped;
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    ReadLocked(kBoundaryBatch);
    dropped = arena_.Clear(writing_);
    totals_.dropped_packets += dropped;
    waiting_told_ = false;
    overflow_told_ = false;
    filling_told_ = false;
  }
  Wake();  // releases that waited for these frames are done
  return dropped;
}

void TapHolder::SetPassing(bool passing) {
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    passing_ = passing;
    pass_until_ns_ = 0;
    TellKernelLocked();
    if (!passing_ && !arena_.empty()) TellWaitingLocked();
  }
  Wake();
}

void TapHolder::PassUntil(uint64_t deadline_ns) {
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
    passing_ = false;
    pass_until_ns_ = deadline_ns;
    TellKernelLocked();
  }
  Wake();
}

void TapHolder::WatchTap(bool watching) {
  std::lock_guard watch_lock(watch_mutex_);
  {
    std::lock_guard lock(mutex_);
    RequireOpenLocked();
  }
  if (!watching) {
    // Closing its descriptor takes it out of epoll.
    watch_.reset();
  } else {
    if (!watch_) {
      auto watch = std::make_unique<SplitPortWatch>(
          SplitPortWatch::Names{tap_, read_tap_.name(), bridge_tap_.name()});
      Watch(epoll_fd_, watch->fd());
      watch_ = std::move(watch);
    }
    const SplitPortWatch::Finding finding = watch_->Look();
    if (finding.verdict != SplitPortWatch::Verdict::kIntact) throw CodedError("HOLD_LOST", finding.reason);
    AttachToKernel();
  }
  {
    std::lock_guard lock(mutex_);
    unheld_ = false;
    intact_ = watching;
    TellKernelLocked();
  }
  Wake();
}

void TapHolder::AttachToKernel() {
  if (!kernel_) return;
  try {
    kernel_->Attach(static_cast<int>(if_nametoindex(tap_.c_str())));
  } catch (const SyscallError& refusal) {
    std::lock_guard lock(mutex_);
    kernel_refusal_ = refusal.what();
    kernel_.reset();
  }
}

void TapHolder::TellKernelLocked() {
  if (!kernel_) return;
  const bool may_pass = intact_ && !unheld_ && !closed_;
  kernel_->PassUntil(!may_pass ? 0 : passing_ ? UINT64_MAX : pass_until_ns_);
}

void TapHolder::LookAtTap() {
  std::lock_guard watch_lock(watch_mutex_);
  if (!watch_) return;
  SplitPortWatch::Finding finding;
  try {
    finding = watch_->Look();
  } catch (const std::exception& failure) {
    // What cannot be seen is not held.
    finding = {SplitPortWatch::Verdict::kUnheld, failure.what()};
  }
  std::lock_guard lock(mutex_);
  intact_ = finding.verdict == SplitPortWatch::Verdict::kIntact;
  TellKernelLocked();
  FoundLocked(finding);
}

void TapHolder::FoundLocked(const SplitPortWatch::Finding& finding) {
  switch (finding.verdict) {
    case SplitPortWatch::Verdict::kIntact:
      return;
    case SplitPortWatch::Verdict::kFailed:
      TapFailedLocked(finding.reason);
      return;
    case SplitPortWatch::Verdict::kUnheld:
      if (unheld_) return;
      unheld_ = true;
      events_->Trouble("unheld", finding.reason);
      return;
  }
}

HoldStats TapHolder::Stats() {
  std::lock_guard lock(mutex_);
  RequireOpenLocked();
  HoldStats stats = totals_;
  stats.open_epoch = open_epoch_;
  stats.held_packets = arena_.frames();
  stats.held_bytes = arena_.bytes();
  stats.oldest_held_ns = arena_.empty() ? 0 : arena_.Front().arrived_ns;
  stats.kernel_refusal = kernel_refusal_;
  if (kernel_) {
    const KernelPass::Passed passed = kernel_->Counts();
    stats.kernel_packets = passed.packets;
    stats.released_packets += passed.packets;
    stats.released_bytes += passed.bytes;
  }
  return stats;
}

std::vector<LearnedAddress> TapHolder::Addresses() {
  std::lock_guard lock(mutex_);
  RequireOpenLocked();
  return addresses_.List();
}

bool TapHolder::ReadLocked(const Batch& batch) {
  size_t bytes = 0;
  for (int i = 0; i < batch.frames && !read_failed_; i++) {
    if (bytes >= batch.bytes) return true;
    // Before the look: what is diverted after it may not have been there to be read.
    const uint64_t diverted = kernel_ ? kernel_->Diverted() : 0;
    const ssize_t got = read(read_tap_.fd(), arena_.Reserve(), kFrameBytesMax);
    if (got >= 0) {
      bytes += static_cast<size_t>(got);
      StoreLocked(static_cast<size_t>(got));
    } else if (errno == EAGAIN) {
      read_through_ = diverted;
      return false;
    } else if (errno != EINTR) {
      // The interface is gone: stop watching it, or epoll would report the error for ever.
      read_failed_ = true;
      TapFailedLocked(read_tap_.name() + ": " + strerror(errno));
      epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, read_tap_.fd(), nullptr);
    }
  }
  return !read_failed_;
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
  const auto learned = addresses_.Learn(frame + kVnetHeaderBytes, length - kVnetHeaderBytes);
  if (learned && kernel_) kernel_->Know(*learned);
  const uint64_t now_ns = MonotonicNs();
  arena_.Commit(length, open_epoch_, now_ns);
  newest_epoch_ = open_epoch_;
  totals_.held_packets_max = std::max<uint64_t>(totals_.held_packets_max, arena_.frames());
  totals_.held_bytes_max = std::max<uint64_t>(totals_.held_bytes_max, arena_.bytes());
  if (PassesLocked(now_ns)) return;
  TellWaitingLocked();
  if (!filling_told_ && (arena_.frames() > limit_packets_ / 2 || arena_.bytes() > limit_bytes_ / 2)) {
    filling_told_ = true;
    events_->Filling();
  }
}

void TapHolder::TellWaitingLocked() {
  if (waiting_told_) return;
  waiting_told_ = true;
  events_->Waiting(open_epoch_);
}

bool TapHolder::PassesLocked(uint64_t now_ns) const {
  return !unheld_ && (passing_ || now_ns < pass_until_ns_);
}

bool TapHolder::MayLeaveLocked(const Frame& frame) const {
  if (unheld_) return false;
  if (frame.epoch < releasable_end_ || passing_) return true;
  return pass_until_ns_ != 0 && MonotonicNs() < pass_until_ns_;
}

TapHolder::Written TapHolder::WriteSome() {
  std::unique_lock lock(mutex_);
  for (int i = 0; i < kBatchFrames; i++) {
    if (arena_.empty() || !MayLeaveLocked(arena_.Front())) {
      // What was passing when it came, and is held now that the deadline is over.
      if (!arena_.empty() && newest_epoch_ == open_epoch_) TellWaitingLocked();
      // What has been diverted since is in the reading tap's queue: the kernel goes on diverting until that is read.
      if (arena_.empty() && kernel_) kernel_->Left(read_through_);
      FinishReleasesLocked();
      return Written::kNothingLeft;
    }
    const Frame frame = arena_.Front();
    writing_ = true;
    lock.unlock();
    // Without the mutex: the bridge forwards inside this call, and a boundary must not wait for it.
    const ssize_t result = write(bridge_tap_.fd(), frame.bytes, frame.length);
    const int error = errno;
    lock.lock();
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
    if (waiting != pending_.end()) {
      waiting->frames += 1;
    } else if (frame.epoch < releasable_end_) {
      released_untold_ += 1;
    }
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
