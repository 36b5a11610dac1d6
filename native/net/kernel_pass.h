// Lets the kernel pass the guest's frames straight to the bridge while nothing has to be held, instead of
// copying each twice. What may pass, and until when, stands in memory shared with the program (pass_program.h);
// the kernel itself keeps the deadline. The program hangs on a BPF link (tcx, Linux 6.6), not on a tc filter: it
// goes with our descriptor, so that a dead process leaves nothing behind, and nobody's `tc` can take it for theirs.
// Needs CAP_BPF; without it, or on an older kernel, frames are copied.
#pragma once

#include <cstdint>

#include "../memory/owned.h"
#include "address_table.h"
#include "pass_program.h"

namespace understudy {

// Setters and counters may be used by any thread; the object is not to be moved or ended meanwhile.
class KernelPass {
 public:
  struct Passed {
    uint64_t packets;
    uint64_t bytes;
  };

  // Loads the program, which passes nothing. Throws SyscallError.
  explicit KernelPass(int bridge_tap_index);
  ~KernelPass();
  KernelPass(const KernelPass&) = delete;
  KernelPass& operator=(const KernelPass&) = delete;

  // Puts it at the tap's ingress, once; later calls do nothing. Waits for the kernel's grace period (13 ms measured),
  // as the end of this object does. Throws SyscallError.
  void Attach(int tap_index);

  // CLOCK_MONOTONIC; 0: nothing passes. A frame that another processor has judged already may still be on its way.
  void PassUntil(uint64_t deadline_ns);
  // Frames that have gone to the reading tap, or are just on their way there.
  uint64_t Diverted() const;
  // So many of them have left, or will never leave; nothing passes while there are more.
  void Left(uint64_t diverted);
  // From now on frames of this source pass too.
  void Know(const AddressTable::Learned& learned);
  Passed Counts() const;

 private:
  PassState& State() const { return *reinterpret_cast<PassState*>(shared_.data()); }

  memory::UniqueFd state_map_;
  memory::UniqueFd sources_map_;
  memory::UniqueFd program_;
  memory::UniqueFd link_;
  memory::Mapping shared_;
};

}  // namespace understudy
