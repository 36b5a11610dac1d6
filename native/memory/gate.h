// The pause gate: a small pipe that QEMU writes its device state into. It blocks there, with
// the guest stopped, for as long as nobody reads.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/trigger.h"
#include "memory/owned.h"

namespace understudy::memory {

// One gate; QEMU may open it again and again. If this process dies at any moment, QEMU's open
// fails (the /proc path is gone) or its write fails (EPIPE): either way it resumes the guest.
class Gate {
 public:
  struct Fifo {
    std::string path;
    std::optional<uid_t> owner;
  };
  // A pipe when `fifo` is empty.
  explicit Gate(const std::optional<Fifo>& fifo);
  ~Gate() { Close(); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  int read_fd() const { return read_.get(); }
  const std::string& path() const { return path_; }
  void Close();

 private:
  UniqueFd read_;
  std::string path_;
  bool unlink_ = false;
};

// Says that somebody has opened a gate, which poll(2) does not.
class OpenWatch {
 public:
  OpenWatch();
  // Events of `fd`'s gate, and none from before this call.
  void Begin(int fd) const;
  // Readable when it was opened since.
  int fd() const { return inotify_.get(); }
  void TakeEvents() const;

 private:
  UniqueFd inotify_;
};

struct DrainOptions {
  int timeout_ms;
  size_t bytes_max;
  // About how much will come; 0 when that is not known.
  size_t expected_bytes;
};

// A duplicate of a gate's descriptor: closing the gate meanwhile cannot redirect it to another file.
UniqueFd DuplicateGate(int gate_fd);

// One passage of the guest through the gate, seen from the reading end.
class GatePassage {
 public:
  // `cancel_fd` readable ends every wait with CLOSED. QEMU blocks when it has written `pipe_bytes` (a power of
  // two of at least a page) and more is to come.
  GatePassage(UniqueFd gate, int cancel_fd, size_t pipe_bytes);
  // Makes the pipe one page again.
  ~GatePassage();
  GatePassage(const GatePassage&) = delete;
  GatePassage& operator=(const GatePassage&) = delete;

  // Returns when QEMU has opened the gate: the guest stands still, as it stops first (qmp_xen_save_devices_state
  // in migration/savevm.c). Its first bytes come later, 32 KiB at once. `opens` has watched since QEMU may come.
  // Throws GATE_TIMEOUT, GATE_CLOSED when QEMU came and left without writing, or the gate was closed, and
  // GUEST_ENDED when `pidfd`, QEMU's, is readable.
  // `begin`, when there is one, has yet to be given its sign: only then does the time begin to count.
  void WaitOpened(const OpenWatch& opens, int pidfd, const Trigger* begin, int timeout_ms);
  // Throws GATE_PASSED when QEMU has written everything: it lets the guest run as soon as it has closed its end;
  // GATE_CLOSED when it left without a byte. If this does not throw, the guest has stood still up to now.
  void RequireBlocked() const;
  // Reads everything up to the end of file to the beginning of `into`, which grows as needed; returns how much. Throws
  // GATE_TIMEOUT after `timeout_ms` without a byte, GATE_CLOSED when none came at all, DEVICE_STATE_TOO_LARGE past
  // `bytes_max`.
  size_t Drain(const DrainOptions& options, std::vector<uint8_t>& into);

 private:
  // As of poll(2): POLLIN, POLLHUP.
  short Events() const;

  UniqueFd fd_;
  int cancel_fd_;
};

}  // namespace understudy::memory
