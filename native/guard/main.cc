// understudy-guard FREEZE_MS: watches one session (guard.h) from a process of its own.
//
// It counts its own looks at the session's beats, so that a stall of the whole machine, in which it could not
// look either, is no reason to act. It allocates nothing and ends with its control socket: the duplicates it
// holds end with it.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "guard/shared_state.h"

namespace {

using namespace understudy::guard;

// The control socket broke its contract; the session sees us end.
constexpr int kExitBroken = 2;
constexpr int kExitUsage = 64;  // sysexits.h, EX_USAGE

uint64_t MonotonicMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

class Watch {
 public:
  Watch(SharedState& shared, int tick_ms) : shared_(shared), tick_ms_(tick_ms) {}

  // Until the session has closed the control socket.
  void Run() {
    uint64_t next_ms = MonotonicMs() + tick_ms_;
    for (;;) {
      const uint64_t now_ms = MonotonicMs();
      if (now_ms >= next_ms) {
        Tick();
        // Counted from now: looks that a stall made us miss are not made up for.
        next_ms = MonotonicMs() + tick_ms_;
        continue;
      }
      pollfd control{.fd = kControlFd, .events = POLLIN, .revents = 0};
      if (poll(&control, 1, static_cast<int>(next_ms - now_ms)) > 0 && !TakeOrder()) return;
    }
  }

 private:
  struct Watched {
    int32_t key;
    int fd;
  };

  // False at the end of the control socket.
  bool TakeOrder() {
    ControlMessage message;
    iovec bytes{.iov_base = &message, .iov_len = sizeof message};
    alignas(cmsghdr) char rights[CMSG_SPACE(sizeof(int))];
    msghdr packet{};
    packet.msg_iov = &bytes;
    packet.msg_iovlen = 1;
    packet.msg_control = rights;
    packet.msg_controllen = sizeof rights;
    const ssize_t got = recvmsg(kControlFd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    int fd = -1;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&packet)) memcpy(&fd, CMSG_DATA(header), sizeof fd);
    if (got != sizeof message) _exit(kExitBroken);
    Obey(message, fd);
    return true;
  }

  void Obey(const ControlMessage& message, int fd) {
    switch (message.order) {
      case Order::kWatch:
        if (fd < 0 || count_ == kWatchedMax) _exit(kExitBroken);
        watched_[count_++] = {message.key, fd};
        return;
      case Order::kUnwatch:
        for (size_t i = 0; i < count_; i++) {
          if (watched_[i].key != message.key) continue;
          close(watched_[i].fd);
          watched_[i] = watched_[--count_];
          return;
        }
        return;
      case Order::kWatchGate:
      case Order::kUnwatchGate:
        if (gate_ >= 0) close(gate_);
        gate_ = fd;
        return;
    }
    _exit(kExitBroken);
  }

  void Tick() {
    const uint64_t beats = shared_.beats.load(std::memory_order_relaxed);
    if (beats != beats_ || (count_ == 0 && gate_ < 0)) {
      beats_ = beats;
      idle_ticks_ = 0;
      acted_ = false;
      return;
    }
    if (idle_ticks_ < kIdleTicksMax) idle_ticks_++;
    if (idle_ticks_ < kIdleTicksMax) return;
    if (!acted_) {
      acted_ = true;
      // First of all: whoever comes back must not trust what we are about to break.
      shared_.interventions.fetch_add(1, std::memory_order_release);
      for (size_t i = 0; i < count_; i++) shutdown(watched_[i].fd, SHUT_RDWR);
    }
    // At every look of the same freeze: QEMU may have been on its way into the gate.
    DrainGate();
  }

  // Until QEMU has left, nothing comes for one tick, or the session is back.
  void DrainGate() {
    pollfd gate{.fd = gate_, .events = POLLIN, .revents = 0};
    while (gate_ >= 0 && shared_.beats.load(std::memory_order_relaxed) == beats_ &&
           poll(&gate, 1, tick_ms_) > 0) {
      if (read(gate_, scrap_, sizeof scrap_) <= 0) return;
    }
  }

  SharedState& shared_;
  const int tick_ms_;
  uint64_t beats_ = 0;
  int idle_ticks_ = 0;
  // In this freeze.
  bool acted_ = false;
  Watched watched_[kWatchedMax];
  size_t count_ = 0;
  int gate_ = -1;
  char scrap_[64 << 10];
};

}  // namespace

int main(int argc, char** argv) {
  const int freeze_ms = argc == 2 ? atoi(argv[1]) : 0;
  if (freeze_ms < kFreezeMsMin || freeze_ms > kFreezeMsMax) return kExitUsage;
  void* const memory = mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, kSharedFd, 0);
  if (memory == MAP_FAILED) return kExitBroken;
  static Watch watch(*static_cast<SharedState*>(memory), freeze_ms / kTicksPerFreeze);
  watch.Run();
}
