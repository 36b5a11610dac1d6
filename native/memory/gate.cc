#include "memory/gate.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/monotonic.h"
#include "memory/limits.h"

namespace understudy::memory {
namespace {

std::string DescriptorPath(int fd) {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd);
}

bool IsOver(uint64_t deadline_ns, const Trigger* begin, uint64_t timeout_ns) {
  const uint64_t begun_ns = begin ? begin->begun_at_ns() : 0;
  if (begin) return begun_ns != 0 && MonotonicNs() >= begun_ns + timeout_ns;
  return MonotonicNs() >= deadline_ns;
}

int RemainingMs(uint64_t deadline_ns) {
  const uint64_t now = MonotonicNs();
  return now >= deadline_ns ? 0 : static_cast<int>((deadline_ns - now + 999'999) / 1'000'000);
}

CodedError LeftWithoutAByte() {
  return CodedError("GATE_CLOSED", "QEMU closed the pause gate without a byte: its command failed");
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
      // A FIFO reports no hang-up before its first writer has left; a pipe does from the start.
      const UniqueFd first_writer = OpenFile(path_.c_str(), O_WRONLY | O_NONBLOCK);
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
    // A writer that comes and goes: a capture still waiting sees GATE_CLOSED.
    UniqueFd farewell(open(DescriptorPath(read_.get()).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  }
  read_.Reset();
  if (unlink_) unlink(path_.c_str());
  unlink_ = false;
}

UniqueFd DuplicateGate(int gate_fd) {
  UniqueFd duplicate(fcntl(gate_fd, F_DUPFD_CLOEXEC, 0));
  if (!duplicate) throw SyscallError("dup", errno, "gate");
  return duplicate;
}

GatePassage::GatePassage(UniqueFd gate, int cancel_fd, size_t pipe_bytes)
    : fd_(std::move(gate)), cancel_fd_(cancel_fd) {
  // A pipe that holds everything would let QEMU finish, and the guest run, before our work is done.
  if (fcntl(fd_.get(), F_SETPIPE_SZ, static_cast<int>(pipe_bytes)) < 0)
    throw SyscallError("F_SETPIPE_SZ", errno, "gate");
}

GatePassage::~GatePassage() {
  // Fails only while more than a page lies in it: the rest of this capture needs no less, and another refuses.
  (void)fcntl(fd_.get(), F_SETPIPE_SZ, kGatePipeBytesMin);
}

OpenWatch::OpenWatch() : inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_) throw SyscallError("inotify_init1", errno);
}

void OpenWatch::Begin(int fd) const {
  TakeEvents();
  // Once more for the same pipe is the same watch; it goes with the pipe.
  if (inotify_add_watch(inotify_.get(), DescriptorPath(fd).c_str(), IN_OPEN) < 0)
    throw SyscallError("inotify_add_watch", errno, "gate");
}

void OpenWatch::TakeEvents() const {
  alignas(inotify_event) char events[1024];
  while (read(inotify_.get(), events, sizeof events) > 0) continue;
}

// A pipe without a writer reports a hang-up; that it reports none any more wakes nobody who polls (pipe_poll and
// fifo_open in fs/pipe.c), but the opening itself does (fsnotify_open comes after it).
void GatePassage::WaitOpened(const OpenWatch& opens, int pidfd, const Trigger* begin, int timeout_ms) {
  const uint64_t timeout_ns = static_cast<uint64_t>(timeout_ms) * 1'000'000;
  const uint64_t deadline_ns = MonotonicNs() + timeout_ns;
  for (bool came = false;;) {
    const short events = Events();
    if (events & POLLIN || !(events & POLLHUP)) return;
    if (came) throw LeftWithoutAByte();
    pollfd waits[] = {{opens.fd(), POLLIN, 0}, {cancel_fd_, POLLIN, 0}, {pidfd, POLLIN, 0}};
    // The sign wakes nobody here, so that a gate that stays shut may take twice the time to be found out.
    const int ready = poll(waits, std::size(waits), begin ? timeout_ms : RemainingMs(deadline_ns));
    if (ready < 0 && errno != EINTR) throw SyscallError("poll", errno);
    if (ready > 0 && waits[1].revents != 0) Cancelled();
    if (ready > 0 && waits[2].revents != 0)
      throw CodedError("GUEST_ENDED", "the guest's process ended before it came to the gate");
    if (ready > 0) {
      opens.TakeEvents();
      came = true;
    } else if (IsOver(deadline_ns, begin, timeout_ns)) {
      throw CodedError("GATE_TIMEOUT", "QEMU did not open the pause gate within " +
                                           std::to_string(timeout_ms) + " ms");
    }
  }
}

void GatePassage::RequireBlocked() const {
  const short events = Events();
  if (!(events & POLLHUP)) return;
  if (!(events & POLLIN)) throw LeftWithoutAByte();
  throw CodedError("GATE_PASSED", "QEMU let the guest run before its pages were copied");
}

short GatePassage::Events() const {
  pollfd gate{fd_.get(), POLLIN, 0};
  if (poll(&gate, 1, 0) < 0) throw SyscallError("poll", errno, "gate");
  return gate.revents;
}

// A pipe that holds all of it is read when QEMU has closed its end, once: a reader that follows takes the lock of
// the pipe from the writer, piece by piece, with the guest standing.
size_t GatePassage::Drain(const DrainOptions& options, std::vector<uint8_t>& into) {
  // Our work is done, QEMU may write as fast as it can. A refusal only costs wake-ups.
  const int pipe_bytes = fcntl(fd_.get(), F_SETPIPE_SZ, kDrainPipeBytes);
  const bool follow = options.expected_bytes == 0 ||
                      pipe_bytes < 0 || options.expected_bytes * 2 > static_cast<size_t>(pipe_bytes);
  const uint64_t timeout_ns = static_cast<uint64_t>(options.timeout_ms) * 1'000'000;
  uint64_t deadline_ns = MonotonicNs() + timeout_ns;
  for (size_t held = 0;;) {
    // Without POLLIN only the hang-up ends it, which poll(2) always reports.
    pollfd waits[] = {{fd_.get(), follow ? short{POLLIN} : short{0}, 0}, {cancel_fd_, POLLIN, 0}};
    const int wait_ms = follow ? RemainingMs(deadline_ns) : std::min(RemainingMs(deadline_ns), kDrainLookMs);
    if (poll(waits, 2, wait_ms) < 0 && errno != EINTR) throw SyscallError("poll", errno);
    if (waits[1].revents != 0) Cancelled();
    for (;;) {
      if (into.size() < held + kDrainReadBytes) into.resize(held + kDrainReadBytes);
      const ssize_t got = read(fd_.get(), into.data() + held, kDrainReadBytes);
      if (got == 0 && held == 0) throw LeftWithoutAByte();
      if (got == 0) return held;
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) break;
      if (got < 0) throw SyscallError("read", errno, "gate");
      held += static_cast<size_t>(got);
      if (held > options.bytes_max) {
        throw CodedError("DEVICE_STATE_TOO_LARGE",
                         "the device state is larger than " + std::to_string(options.bytes_max) + " bytes");
      }
      deadline_ns = MonotonicNs() + timeout_ns;
    }
    if (MonotonicNs() >= deadline_ns) {
      throw CodedError("GATE_TIMEOUT",
                       "the device state stopped coming for " + std::to_string(options.timeout_ms) + " ms");
    }
  }
}

}  // namespace understudy::memory
