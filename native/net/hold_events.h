// What every output hold tells and counts, whichever way it holds.
#pragma once

#include <cstdint>
#include <string>

namespace understudy {

// Told from a hold's own threads, with its mutex held: must only pass the word on.
class HoldEvents {
 public:
  virtual ~HoldEvents() = default;
  // The open epoch has its first held frame.
  virtual void Waiting(uint64_t open_epoch) = 0;
  // More than half of a limit is held.
  virtual void Filling() = 0;
  // `kind` as src/native-net.ts has it: "overflow", "tap-failed", "unheld".
  virtual void Trouble(const char* kind, std::string reason) = 0;
  virtual void Released(uint64_t id, uint64_t frames) = 0;
  // Release `id` will never be done: HOLD_CLOSED, HOLD_LOST.
  virtual void ReleaseFailed(uint64_t id, const char* code, std::string reason) = 0;
};

struct HoldStats {
  uint64_t open_epoch = 0;
  uint64_t held_packets = 0;
  uint64_t held_bytes = 0;
  uint64_t held_packets_max = 0;
  uint64_t held_bytes_max = 0;
  uint64_t released_packets = 0;
  uint64_t released_bytes = 0;
  uint64_t overflow_packets = 0;
  uint64_t dropped_packets = 0;
  uint64_t write_errors = 0;
  uint64_t oldest_held_ns = 0;
  // Of those released: what the kernel has passed by itself.
  uint64_t kernel_packets = 0;
  // Why it does not; empty when it does, or was not asked.
  std::string kernel_refusal;
};

}  // namespace understudy
