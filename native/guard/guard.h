// The session's end of its guard: a process of its own (main.cc) that holds duplicates of the NBD
// connections and of the pause gate's reading end. When this process stands still for nearly the freeze
// bound (SIGSTOP, a hang), the guard ends the connections and drains the gate, so that QEMU's guest
// goes on unprotected instead of hanging with us.
//
// The duplicates keep their files open: a connection must be unwatched *and* shut down to end, a gate
// must be unwatched before closing it resumes a QEMU that is blocked in it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "guard/shared_state.h"
#include "memory/owned.h"

namespace understudy::guard {

class Guard {
 public:
  using OnGone = std::function<void(const std::string& why)>;

  // Spawns `understudy-guard`, which lies beside the addon. `on_gone` is called at most once, on the
  // server's thread (by OnControl), when the guard has ended or does not listen any more: from then on
  // nobody watches. Throws SyscallError; EINVAL for a bound out of range.
  static std::unique_ptr<Guard> Start(int freeze_ms_max, OnGone on_gone);
  // Ends the guard; blocks for milliseconds, one second at most.
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Server thread: at every turn, and at least every beat_ms().
  void Beat() { shared().beats.fetch_add(1, std::memory_order_relaxed); }
  int beat_ms() const { return beat_ms_; }

  // Any thread. `fd` stays the caller's; a connection is known by its number until Unwatch.
  void Watch(int fd) { Tell({Order::kWatch, fd}, fd); }
  void Unwatch(int fd) { Tell({Order::kUnwatch, fd}, -1); }
  // Any thread. Replaces the former gate; -1 removes it.
  void WatchGate(int fd);

  // Any thread. How often the guard had to act.
  uint64_t interventions() const { return shared().interventions.load(std::memory_order_acquire); }
  pid_t pid() const { return pid_; }

  // For the server's epoll: readable or hung up means OnControl.
  int control_fd() const { return control_.get(); }
  // Server thread. The control socket carries nothing towards us, so this is the guard's end.
  void OnControl();

 private:
  Guard(int freeze_ms_max, OnGone on_gone);
  void Tell(const ControlMessage& message, int fd);
  SharedState& shared() const { return *reinterpret_cast<SharedState*>(memory_.data()); }

  const int beat_ms_;
  OnGone on_gone_;
  memory::Mapping memory_;
  memory::UniqueFd control_;
  memory::UniqueFd pid_fd_;
  pid_t pid_ = -1;
};

}  // namespace understudy::guard
