#include "inbound_watch.h"

#include <linux/if_packet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "../common/async.h"
#include "../common/monotonic.h"
#include "../common/worker_pool.h"
#include "limits.h"
#include "packet_socket.h"

namespace understudy {
namespace {

constexpr uint64_t kNsPerS = 1'000'000'000;

// Frames to the guest and to one receiver (the lowest bit of the first byte is not set).
const std::array<sock_filter, 6> kQuestions{{
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, PACKET_OUTGOING},
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},
    {BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1},
    {BPF_RET | BPF_K, 0, 0, kEthernetHeaderBytes},
    {BPF_RET | BPF_K, 0, 0, 0},
}};

}  // namespace

InboundWatch::InboundWatch(int link, std::function<void()> on_begun)
    : on_begun_(std::move(on_begun)), fd_(OpenPacketSocket(link, kQuestions, Direction::kBoth)) {
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) {
    const int error = errno;
    close(fd_);
    throw SyscallError("eventfd", error);
  }
  thread_ = std::thread([this] { Run(); });
}

InboundWatch::~InboundWatch() {
  Close();
  close(fd_);
  close(wake_fd_);
}

void InboundWatch::Close() {
  if (stopping_.exchange(true)) return;
  Wake();
  thread_.join();
}

void InboundWatch::OnEpochClosed(uint64_t) {
  uint8_t head[kEthernetHeaderBytes];
  for (int i = 0; i < kWatchedFramesMax; i++) {
    if (recv(fd_, head, sizeof head, MSG_DONTWAIT) < 0 && errno == EAGAIN) return;
  }
}

void InboundWatch::FireAtInbound(std::shared_ptr<Trigger> trigger, uint64_t not_before_ns) {
  {
    std::lock_guard lock(mutex_);
    trigger_ = std::move(trigger);
    not_before_ns_ = not_before_ns;
  }
  Wake();
}

void InboundWatch::Run() {
  pthread_setname_np(pthread_self(), "us-inbound");
  BlockSignals();
  while (!stopping_) {
    std::shared_ptr<Trigger> trigger;
    uint64_t not_before_ns;
    {
      std::lock_guard lock(mutex_);
      trigger = trigger_;
      not_before_ns = not_before_ns_;
    }
    // Before its time a question may wait: it is still there afterwards.
    const bool early = trigger && MonotonicNs() < not_before_ns;
    const Woken woken = Sleep(early ? not_before_ns : 0, trigger && !early);
    if (woken != Woken::kAsked) continue;
    {
      std::lock_guard lock(mutex_);
      // Another one was given meanwhile, with a time of its own.
      if (trigger_ != trigger) continue;
      trigger_.reset();
    }
    if (!trigger->Fire()) continue;
    // QEMU is not there for longer than this, and libvirt wants the processor first.
    (void)Sleep(MonotonicNs() + kInboundTellAfterNs, false);
    on_begun_();
  }
}

InboundWatch::Woken InboundWatch::Sleep(uint64_t deadline_ns, bool listening) {
  pollfd waits[] = {{wake_fd_, POLLIN, 0}, {fd_, POLLIN, 0}};
  timespec left{};
  if (deadline_ns != 0) {
    const uint64_t now_ns = MonotonicNs();
    const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    left = {static_cast<time_t>(left_ns / kNsPerS), static_cast<long>(left_ns % kNsPerS)};
  }
  const int ready = ppoll(waits, listening ? 2 : 1, deadline_ns != 0 ? &left : nullptr, nullptr);
  if (ready <= 0) return Woken::kCalled;
  uint64_t count;
  if (waits[0].revents != 0) (void)!read(wake_fd_, &count, sizeof count);
  if (!listening || waits[1].revents == 0) return Woken::kCalled;
  // ENETDOWN, told once, is no question.
  uint8_t head[kEthernetHeaderBytes];
  if (waits[1].revents & POLLERR) return (void)recv(fd_, head, sizeof head, MSG_DONTWAIT), Woken::kCalled;
  return Woken::kAsked;
}

void InboundWatch::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake already.
  (void)!write(wake_fd_, &one, sizeof one);
}

}  // namespace understudy
