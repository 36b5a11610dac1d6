#include "memory/self_test.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <string>
#include <vector>

#include "memory/limits.h"
#include "memory/owned.h"
#include "memory/ram_layout.h"
#include "memory/thread_team.h"
#include "memory/tracker.h"

namespace understudy::memory {
namespace {

constexpr uint64_t kScratchPages = 64;
constexpr size_t kScratchBytes = kScratchPages * kPageBytes;
// Generous for one page write on a loaded host.
constexpr int kReplyTimeoutMs = 2000;

// A child that writes one byte into each page it is told; system calls only, as it is a fork of
// a process with threads.
class ScratchChild {
 public:
  explicit ScratchChild(std::vector<uint8_t*> areas) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw SyscallError("socketpair", errno);
    ours_ = UniqueFd(ends[0]);
    UniqueFd theirs(ends[1]);
    pid_ = fork();
    if (pid_ < 0) throw SyscallError("fork", errno);
    if (pid_ > 0) return;
    close(ends[0]);
    uint16_t page;
    while (read(ends[1], &page, sizeof page) == sizeof page) {
      for (uint8_t* area : areas) area[page * kPageBytes] += 1;
      if (write(ends[1], &page, sizeof page) != sizeof page) break;
    }
    _exit(0);
  }
  ~ScratchChild() {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  pid_t pid() const { return pid_; }

  void Touch(uint16_t page) {
    if (send(ours_.get(), &page, sizeof page, MSG_NOSIGNAL) != sizeof page)
      throw SyscallError("send", errno);
    pollfd reply{ours_.get(), POLLIN, 0};
    const int ready = poll(&reply, 1, kReplyTimeoutMs);
    if (ready < 0) throw SyscallError("poll", errno);
    if (ready == 0) throw SyscallError("poll", ETIMEDOUT, "the scratch child does not answer");
    if (recv(ours_.get(), &page, sizeof page, 0) != sizeof page)
      throw SyscallError("recv", ECONNRESET);
  }

 private:
  UniqueFd ours_;
  pid_t pid_ = -1;
};

std::string Describe(const PageRuns& runs) {
  std::string out;
  for (const PageRun& run : runs)
    out += (out.empty() ? "" : " ") + std::to_string(run.first) + "+" + std::to_string(run.count);
  return out.empty() ? "none" : out;
}

void Expect(Tracker& tracker, ThreadTeam& team, const PageRuns& expected) {
  PageRuns written;
  tracker.TakeWritten(team, written);
  const bool same = written.size() == expected.size() &&
                    std::equal(written.begin(), written.end(), expected.begin(),
                               [](const PageRun& a, const PageRun& b) {
                                 return a.first == b.first && a.count == b.count;
                               });
  if (!same)
    throw CodedError("wrong-pages",
                     "expected pages " + Describe(expected) + ", got " + Describe(written));
}

void TryTracking() {
  Mapping own(kScratchBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  Mapping shared(kScratchBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  ScratchChild child({own.data(), shared.data()});
  child.Touch(0);
  const RamLayout layout(
      {{reinterpret_cast<uint64_t>(own.data()), kScratchBytes, 0},
       {reinterpret_cast<uint64_t>(shared.data()), kScratchBytes, 2 * kScratchBytes}});
  ThreadTeam team(1);
  Tracker tracker(child.pid(), layout);
  PageRuns first;
  tracker.TakeWritten(team, first);
  Expect(tracker, team, {});
  // A touched page and never-touched ones, in both kinds of memory.
  for (uint16_t page : {0, 7, 8, 63}) child.Touch(page);
  constexpr uint64_t other = 2 * kScratchPages;
  Expect(tracker, team, {{0, 1}, {7, 2}, {63, 1}, {other, 1}, {other + 7, 2}, {other + 63, 1}});
  Expect(tracker, team, {});
  child.Touch(8);
  Expect(tracker, team, {{8, 1}, {other + 8, 1}});
}

}  // namespace

SelfTest RunSelfTest() {
  try {
    TryTracking();
    return {.ok = true, .failed_step = "", .reason = ""};
  } catch (const SyscallError& failure) {
    return {.ok = false, .failed_step = failure.syscall(), .reason = failure.what()};
  } catch (const CodedError& failure) {
    return {.ok = false, .failed_step = failure.code(), .reason = failure.what()};
  }
}

}  // namespace understudy::memory
