#include "memory/gate.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <algorithm>

#include "common/monotonic.h"
#include "memory/limits.h"

namespace understudy::memory {
namespace {

std::string DescriptorPath(int fd) {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd);
}

int RemainingMs(uint64_t deadline_ns) {
  const uint64_t now = MonotonicNs();
  return now >= deadline_ns ? 0 : static_cast<int>((deadline_ns - now + 999'999) / 1'000'000);
}

[[noreturn]] void Cancelled() {
  throw CodedError("CLOSED", "the guest memory was closed during the wait");
}

}  // namespace

// The path names the *reading* end: opening a pipe through /proc/PID/fd gives a new description
// of the same pipe (fs/pipe.c, fifo_open), for writing if so asked. So no writing end of our own
// exists, end of file comes exactly when QEMU closes, and the path dies with us.
//
// A FIFO stays when this process dies: a QEMU that opens it then waits for a reader, with its
// guest stopped. The agent ends that by opening the FIFO when it sees this process end.
Gate::Gate(const std::optional<Fifo>& fifo) {
  if (fifo) {
    // Mode 0600 from the start; QEMU opens with O_CREAT, so the directory must not be
    // world-writable and sticky (fs.protected_fifos).
    if (mkfifo(fifo->path.c_str(), 0600) != 0) throw SyscallError("mkfifo", errno, fifo->path);
    path_ = fifo->path;
    unlink_ = true;
    try {
      if (fifo->owner && chown(path_.c_str(), *fifo->owner, static_cast<gid_t>(-1)) != 0) {
        throw SyscallError("chown", errno, path_);
      }
      read_ = OpenFile(path_.c_str(), O_RDONLY | O_NONBLOCK);
    } catch (...) {
      Close();
      throw;
    }
  } else {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw SyscallError("pipe2", errno);
    read_ = UniqueFd(ends[0]);
    UniqueFd unused_writing_end(ends[1]);
    path_ = DescriptorPath(ends[0]);
  }
  if (fcntl(read_.get(), F_SETPIPE_SZ, kGatePipeBytesMin) < 0) {
    const int error = errno;
    Close();
    throw SyscallError("F_SETPIPE_SZ", error);
  }
}

void Gate::Close() {
  if (read_) {
    // A writer that comes and goes: a capture still waiting for its first byte sees GATE_CLOSED.
    UniqueFd farewell(open(DescriptorPath(read_.get()).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  }
  read_.Reset();
  if (unlink_) unlink(path_.c_str());
  unlink_ = false;
}

GatePassage::GatePassage(int gate_fd, int cancel_fd, size_t pipe_bytes)
    : fd_(fcntl(gate_fd, F_DUPFD_CLOEXEC, 0)), cancel_fd_(cancel_fd) {
  if (!fd_) throw SyscallError("dup", errno, "gate");
  // A pipe that holds everything would let QEMU finish, and the guest run, before our work is done.
  if (fcntl(fd_.get(), F_SETPIPE_SZ, static_cast<int>(pipe_bytes)) < 0)
    throw SyscallError("F_SETPIPE_SZ", errno, "gate");
}

GatePassage::~GatePassage() {
  // Fails only while more than a page lies in it: the rest of this capture needs no less, and another refuses.
  (void)fcntl(fd_.get(), F_SETPIPE_SZ, kGatePipeBytesMin);
}

// A pipe without a writer reports a hang-up for ever, so poll(2) would spin until QEMU opens it.
// Edge-triggered epoll reports changes only: the stale hang-up is taken once, and the next one
// means that a writer came and went.
void GatePassage::WaitFirstByte(int timeout_ms) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) throw SyscallError("epoll_create1", errno);
  epoll_event gate{.events = EPOLLIN | EPOLLET, .data = {.fd = fd_.get()}};
  epoll_event cancel{.events = EPOLLIN, .data = {.fd = cancel_fd_}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd_.get(), &gate) != 0 ||
      epoll_ctl(epoll.get(), EPOLL_CTL_ADD, cancel_fd_, &cancel) != 0) {
    throw SyscallError("epoll_ctl", errno);
  }
  const uint64_t deadline_ns = MonotonicNs() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  for (bool stale = true;; stale = false) {
    epoll_event events[2];
    const int count = epoll_wait(epoll.get(), events, 2, stale ? 0 : RemainingMs(deadline_ns));
    if (count < 0 && errno != EINTR) throw SyscallError("epoll_wait", errno);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == cancel_fd_) Cancelled();
      if (events[i].events & EPOLLIN) return;
      if (!stale)
        throw CodedError("GATE_CLOSED",
                         "QEMU closed the pause gate without a byte: its command failed");
    }
    if (!stale && MonotonicNs() >= deadline_ns) {
      throw CodedError("GATE_TIMEOUT", "no byte came through the pause gate within " +
                                           std::to_string(timeout_ms) + " ms");
    }
  }
}

void GatePassage::RequireBlocked() const {
  pollfd gate{fd_.get(), POLLIN, 0};
  if (poll(&gate, 1, 0) < 0) throw SyscallError("poll", errno, "gate");
  if (gate.revents & POLLHUP)
    throw CodedError("GATE_PASSED", "QEMU let the guest run before its pages were copied");
}

void GatePassage::Drain(int timeout_ms, size_t bytes_max, std::vector<uint8_t>& into) {
  // Our work is done, QEMU may write as fast as it can. A refusal only costs wake-ups.
  (void)fcntl(fd_.get(), F_SETPIPE_SZ, kDrainPipeBytes);
  uint64_t deadline_ns = MonotonicNs() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  for (;;) {
    const size_t held = into.size();
    into.resize(held + kDrainReadBytes);
    const ssize_t got = read(fd_.get(), into.data() + held, kDrainReadBytes);
    const int error = errno;
    into.resize(held + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return;
    if (got > 0) {
      if (into.size() > bytes_max) {
        throw CodedError("DEVICE_STATE_TOO_LARGE",
                         "the device state is larger than " + std::to_string(bytes_max) + " bytes");
      }
      deadline_ns = MonotonicNs() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
      continue;
    }
    if (error == EINTR) continue;
    if (error != EAGAIN) throw SyscallError("read", error, "gate");
    pollfd waits[] = {{fd_.get(), POLLIN, 0}, {cancel_fd_, POLLIN, 0}};
    const int ready = poll(waits, 2, RemainingMs(deadline_ns));
    if (ready < 0 && errno != EINTR) throw SyscallError("poll", errno);
    if (ready > 0 && waits[1].revents != 0) Cancelled();
    if (ready == 0 && MonotonicNs() >= deadline_ns) {
      throw CodedError("GATE_TIMEOUT",
                       "the device state stopped coming for " + std::to_string(timeout_ms) + " ms");
    }
  }
}

}  // namespace understudy::memory
