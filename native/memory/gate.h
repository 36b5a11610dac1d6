// The pause gate: a small pipe that QEMU writes its device state into. It blocks there, with
// the guest stopped, for as long as nobody reads.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

// One passage of the guest through the gate, seen from the reading end. Holds a duplicate of
// the descriptor, so that closing the gate meanwhile cannot redirect it to another file.
class GatePassage {
 public:
  // `cancel_fd` readable ends every wait with CLOSED. QEMU blocks when it has written `pipe_bytes` (a power of
  // two of at least a page) and more is to come.
  GatePassage(int gate_fd, int cancel_fd, size_t pipe_bytes);
  // Makes the pipe one page again.
  ~GatePassage();
  GatePassage(const GatePassage&) = delete;
  GatePassage& operator=(const GatePassage&) = delete;

  // Returns when the first byte can be read, without reading it: the guest stands still.
  // Throws GATE_TIMEOUT, or GATE_CLOSED when QEMU came and left without writing.
  void WaitFirstByte(int timeout_ms);
  // Throws GATE_PASSED when QEMU has written everything: it lets the guest run as soon as it has closed its end
  // (qmp_xen_save_devices_state in migration/savevm.c). If this does not throw, the guest has stood still up to now.
  void RequireBlocked() const;
  // Appends everything up to the end of file. Throws GATE_TIMEOUT after `timeout_ms` without a
  // byte, DEVICE_STATE_TOO_LARGE past `bytes_max`.
  void Drain(int timeout_ms, size_t bytes_max, std::vector<uint8_t>& into);

 private:
  UniqueFd fd_;
  int cancel_fd_;
};

}  // namespace understudy::memory
