#include "guard/guard.h"

#include <dlfcn.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "common/async.h"

namespace understudy::guard {
namespace {

using memory::Mapping;
using memory::UniqueFd;

// The guard ends when its socket closes; one that does not within this time is killed.
constexpr int kEndMsMax = 1000;

std::string ExecutablePath() {
  Dl_info self;
  if (!dladdr(reinterpret_cast<void*>(&ExecutablePath), &self)) {
    throw SyscallError("dladdr", ENOENT, "understudy-guard");
  }
  const std::string addon = self.dli_fname;
  return addon.substr(0, addon.rfind('/') + 1) + "understudy-guard";
}

// posix_spawn's functions return their error instead of setting errno.
void Check(const char* syscall, int error) {
  if (error != 0) throw SyscallError(syscall, error);
}

class SpawnPlan {
 public:
  SpawnPlan(int control_fd, int shared_fd) {
    Check("posix_spawn_file_actions_init", posix_spawn_file_actions_init(&actions_));
    Check("posix_spawnattr_init", posix_spawnattr_init(&attributes_));
    for (int stdio = 0; stdio < 3; stdio++) {
      Check("addopen", posix_spawn_file_actions_addopen(&actions_, stdio, "/dev/null", O_RDWR, 0));
    }
    Check("adddup2", posix_spawn_file_actions_adddup2(&actions_, control_fd, kControlFd));
    Check("adddup2", posix_spawn_file_actions_adddup2(&actions_, shared_fd, kSharedFd));
    // Whatever else this process has open would live on in the guard.
    Check("addclosefrom", posix_spawn_file_actions_addclosefrom_np(&actions_, kSharedFd + 1));
    Check("addchdir", posix_spawn_file_actions_addchdir_np(&actions_, "/"));
    sigset_t signals;
    sigemptyset(&signals);
    Check("setsigmask", posix_spawnattr_setsigmask(&attributes_, &signals));
    sigfillset(&signals);
    Check("setsigdefault", posix_spawnattr_setsigdefault(&attributes_, &signals));
    // A session of its own: a stop or an interrupt meant for our group must not stop the guard with us.
    Check("setflags", posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                                 POSIX_SPAWN_SETSIGDEF));
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  pid_t Spawn(const std::string& path, std::string freeze_ms) const {
    std::string name = "understudy-guard";
    char* arguments[] = {name.data(), freeze_ms.data(), nullptr};
    pid_t pid;
    const int error = posix_spawn(&pid, path.c_str(), &actions_, &attributes_, arguments, environ);
    if (error != 0) throw SyscallError("posix_spawn", error, path);
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Numbers below these would be overwritten while the guard's own are put in place.
UniqueFd Raised(int fd) {
  UniqueFd raised(fcntl(fd, F_DUPFD_CLOEXEC, kSharedFd + 1));
  if (!raised) throw SyscallError("dup", errno);
  return raised;
}

}  // namespace

std::unique_ptr<Guard> Guard::Start(int freeze_ms_max, OnGone on_gone) {
  if (freeze_ms_max < kFreezeMsMin || freeze_ms_max > kFreezeMsMax) {
    throw SyscallError("guard", EINVAL, "freeze bound " + std::to_string(freeze_ms_max) + " ms");
  }
  return std::unique_ptr<Guard>(new Guard(freeze_ms_max, std::move(on_gone)));
}

Guard::Guard(int freeze_ms_max, OnGone on_gone)
    : beat_ms_(freeze_ms_max / kBeatsPerFreeze), on_gone_(std::move(on_gone)) {
  const UniqueFd shared_fd(memfd_create("understudy-guard", MFD_CLOEXEC));
  if (!shared_fd) throw SyscallError("memfd_create", errno);
  if (ftruncate(shared_fd.get(), kSharedBytes) != 0) throw SyscallError("ftruncate", errno);
  memory_ = Mapping(kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd.get());

  int ends[2];
  // SEQPACKET: an order and its descriptor stay together.
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    throw SyscallError("socketpair", errno);
  }
  control_ = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);
  const UniqueFd control = Raised(theirs.get());
  const UniqueFd shared = Raised(shared_fd.get());
  pid_ = SpawnPlan(control.get(), shared.get()).Spawn(ExecutablePath(), std::to_string(freeze_ms_max));
  pid_fd_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
}

Guard::~Guard() {
  control_.Reset();
  pollfd ended{.fd = pid_fd_.get(), .events = POLLIN, .revents = 0};
  while (pid_fd_ && poll(&ended, 1, kEndMsMax) < 0 && errno == EINTR) {
  }
  // Not reaped yet, so the number is still its own.
  if (!(ended.revents & POLLIN)) kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Guard::WatchGate(int fd) {
  Tell({fd < 0 ? Order::kUnwatchGate : Order::kWatchGate, -1}, fd);
}

void Guard::OnControl() {
  const OnGone on_gone = std::exchange(on_gone_, nullptr);
  if (on_gone) on_gone("the guard process " + std::to_string(pid_) + " has ended or does not listen");
}

void Guard::Tell(const ControlMessage& message, int fd) {
  iovec bytes{.iov_base = const_cast<ControlMessage*>(&message), .iov_len = sizeof message};
  msghdr packet{};
  packet.msg_iov = &bytes;
  packet.msg_iovlen = 1;
  alignas(cmsghdr) char rights[CMSG_SPACE(sizeof fd)];
  if (fd >= 0) {
    packet.msg_control = rights;
    packet.msg_controllen = sizeof rights;
    cmsghdr* header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = sendmsg(control_.get(), &packet, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  // A guard that missed an order watches the wrong things: no guard at all. The server's thread sees
  // the hang-up and says so (OnControl).
  if (sent < 0) shutdown(control_.get(), SHUT_RDWR);
}

}  // namespace understudy::guard
