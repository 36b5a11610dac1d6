#include "memory/inject.h"

#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "common/monotonic.h"
#include "memory/kernel_abi.h"
#include "memory/limits.h"

namespace understudy::memory {
namespace {

// The tracer runs in a process of its own that shares our memory and descriptors (CLONE_VM |
// CLONE_FILES). Were this thread the tracer, the target's stops would be visible to every
// waitpid in this process, and libuv takes those of its children for their end. A separate
// tracer also goes on and restores the target when this process is killed meanwhile.
// No allocation and no exception in there: it runs while our thread is suspended (CLONE_VFORK).
struct Tracer {
  pid_t pid;
  int pidfd;
  uint64_t syscall_address;
  uint64_t deadline_ns;
  // Out: what failed, or the descriptor.
  const char* failed_call = nullptr;
  int error = 0;
  int uffd = -1;

  bool Fail(const char* call, int code) {
    if (!failed_call) {
      failed_call = call;
      error = code;
    }
    return false;
  }
  bool Ptrace(__ptrace_request request, uintptr_t address, uintptr_t data) {
    if (ptrace(request, pid, address, data) == -1) return Fail("ptrace", errno);
    return true;
  }
  bool WaitStop(int* status);
  bool WaitInterrupted(int* pending_signal);
  bool Call(const user_regs_struct& base, long number, uint64_t a, long* result);
  bool CallBoth(const user_regs_struct& saved);
  void Restore(user_regs_struct saved, uint64_t mask);
  void Run();
};

// All signals are blocked in the tracer, so SIGCHLD of the target's stops can be waited for
// with a bound. The slice covers an inherited "ignore", under which no SIGCHLD is sent.
bool Tracer::WaitStop(int* status) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  for (;;) {
    const pid_t got = waitpid(pid, status, __WALL | WNOHANG);
    if (got < 0) return Fail("waitpid", errno);
    if (got == pid) return WIFSTOPPED(*status) ? true : Fail("ptrace", ESRCH);
    if (MonotonicNs() >= deadline_ns) return Fail("ptrace", ETIMEDOUT);
    const timespec slice{0, 20'000'000};
    sigtimedwait(&child, nullptr, &slice);
  }
}

// Until the stop that PTRACE_INTERRUPT asked for. Signals that were on their way are delivered.
bool Tracer::WaitInterrupted(int* pending_signal) {
  *pending_signal = 0;
  for (;;) {
    int status;
    if (!WaitStop(&status)) return false;
    if (status >> 16 == PTRACE_EVENT_STOP) return true;
    *pending_signal = WSTOPSIG(status);
    if (!Ptrace(PTRACE_CONT, 0, static_cast<uintptr_t>(*pending_signal))) return false;
    *pending_signal = 0;
  }
}

// One system call executed by the stopped target. orig_rax = -1 keeps the kernel from
// restarting the call that was interrupted (arch/x86/kernel/signal.c).
bool Tracer::Call(const user_regs_struct& base, long number, uint64_t a, long* result) {
  user_regs_struct regs = base;
  regs.rip = syscall_address;
  regs.rax = static_cast<uint64_t>(number);
  regs.orig_rax = ~0ull;
  regs.rdi = a;
  if (!Ptrace(PTRACE_SETREGS, 0, reinterpret_cast<uintptr_t>(&regs))) return false;
  for (int syscall_stops = 0; syscall_stops < 2;) {
    if (!Ptrace(PTRACE_SYSCALL, 0, 0)) return false;
    int status;
    if (!WaitStop(&status)) return false;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) ++syscall_stops;
  }
  if (!Ptrace(PTRACE_GETREGS, 0, reinterpret_cast<uintptr_t>(&regs))) return false;
  *result = static_cast<long>(regs.rax);
  return true;
}

bool Tracer::CallBoth(const user_regs_struct& saved) {
  long remote = -1;
  const uint64_t flags = O_CLOEXEC | O_NONBLOCK | kernel::kUffdUserModeOnly;
  if (!Call(saved, SYS_userfaultfd, flags, &remote)) return false;
  if (remote < 0) return Fail("userfaultfd", static_cast<int>(-remote));
  uffd = static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, static_cast<int>(remote), 0));
  const int taken_error = errno;
  // Left open inside the target it would outlive us and keep the ranges registered.
  long closed = -1;
  if (!Call(saved, SYS_close, static_cast<uint64_t>(remote), &closed)) return false;
  if (uffd < 0) return Fail("pidfd_getfd", taken_error);
  if (closed < 0) return Fail("close", static_cast<int>(-closed));
  return true;
}

// Interrupting once more lets the kernel itself restart the interrupted call, with the
// registers it left: a plain PTRACE_DETACH here would show ERESTART… to the program.
void Tracer::Restore(user_regs_struct saved, uint64_t mask) {
  deadline_ns = MonotonicNs() + kInjectTimeoutMs * 1'000'000ull;
  Ptrace(PTRACE_SETREGS, 0, reinterpret_cast<uintptr_t>(&saved));
  Ptrace(PTRACE_SETSIGMASK, sizeof mask, reinterpret_cast<uintptr_t>(&mask));
  Ptrace(PTRACE_INTERRUPT, 0, 0);
  int pending_signal = 0;
  if (Ptrace(PTRACE_CONT, 0, 0)) WaitInterrupted(&pending_signal);
  Ptrace(PTRACE_DETACH, 0, static_cast<uintptr_t>(pending_signal));
}

void Tracer::Run() {
  if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) == -1) {
    Fail("ptrace", errno);
    return;
  }
  int pending_signal;
  user_regs_struct saved;
  uint64_t mask;
  // Exiting without a stop detaches as well: the kernel releases a dead tracer's targets.
  if (!Ptrace(PTRACE_INTERRUPT, 0, 0) || !WaitInterrupted(&pending_signal)) return;
  if (!Ptrace(PTRACE_GETREGS, 0, reinterpret_cast<uintptr_t>(&saved)) ||
      !Ptrace(PTRACE_GETSIGMASK, sizeof mask, reinterpret_cast<uintptr_t>(&mask))) {
    return;
  }
  const uint64_t all = ~0ull;
  if (Ptrace(PTRACE_SETSIGMASK, sizeof all, reinterpret_cast<uintptr_t>(&all))) CallBoth(saved);
  Restore(saved, mask);
}

int RunTracer(void* tracer) {
  static_cast<Tracer*>(tracer)->Run();
  return 0;
}

// A `syscall` instruction (0f 05) in the target: the vDSO has one in every kernel; any other
// executable mapping will do.
uint64_t FindSyscallInstruction(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::vector<std::pair<uint64_t, uint64_t>> executable;
  for (std::string line; std::getline(maps, line);) {
    uint64_t start, end;
    char access[5];
    if (sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, access) != 3) continue;
    if (access[0] != 'r' || access[2] != 'x' || line.find("[vsyscall]") != std::string::npos)
      continue;
    const bool vdso = line.find("[vdso]") != std::string::npos;
    executable.insert(vdso ? executable.begin() : executable.end(), {start, end});
  }
  if (executable.empty()) throw SyscallError("ptrace", ESRCH, "process " + std::to_string(pid));
  std::vector<uint8_t> code;
  for (const auto& [start, end] : executable) {
    code.resize(std::min<uint64_t>(end - start, kSyscallSearchBytes));
    const iovec local{code.data(), code.size()};
    const iovec remote{reinterpret_cast<void*>(start), code.size()};
    const ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (got <= 0) continue;
    const uint8_t opcode[] = {0x0f, 0x05};
    const auto found = std::search(code.begin(), code.begin() + got, opcode, opcode + 2);
    if (found != code.begin() + got) return start + static_cast<uint64_t>(found - code.begin());
  }
  throw SyscallError("ptrace", ENOEXEC, "no system call instruction in the process");
}

bool IsTraced(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("TracerPid:")) return std::stol(line.substr(10)) != 0;
  }
  return false;
}

}  // namespace

UniqueFd InjectUserfaultfd(pid_t pid) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) throw SyscallError("pidfd_open", errno);
  if (IsTraced(pid)) throw SyscallError("ptrace", EBUSY, "the process is being traced");

  Tracer tracer{.pid = pid,
                .pidfd = pidfd.get(),
                .syscall_address = FindSyscallInstruction(pid),
                .deadline_ns = MonotonicNs() + kInjectTimeoutMs * 1'000'000ull};
  Mapping stack(kInjectStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK);

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  // No exit signal: nobody else in this process needs to hear of it.
  const pid_t child =
      clone(RunTracer, stack.data() + stack.bytes(), CLONE_VM | CLONE_VFORK | CLONE_FILES, &tracer);
  const int clone_error = errno;
  if (child > 0) {
    while (waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) continue;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);

  if (child < 0) throw SyscallError("clone", clone_error);
  UniqueFd uffd(tracer.uffd);
  if (tracer.failed_call) {
    const int error = tracer.error == EPERM && IsTraced(pid) ? EBUSY : tracer.error;
    throw SyscallError(tracer.failed_call, error, "process " + std::to_string(pid));
  }
  return uffd;
}

}  // namespace understudy::memory
