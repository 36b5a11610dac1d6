// The program that lets output pass inside the kernel while it need not be held: BPF at the ingress of the
// guest's tap, ahead of the redirect into the reading tap (kernel_pass.h loads it). Pure: instructions out.
//
// Each frame is judged by itself. Diverted (counted, then left to the redirect, so kept in user space as ever):
//   - when the deadline is over: the kernel's clock says so, whatever has become of our process,
//   - while any frame diverted before is not known to have left, so that none is overtaken,
//   - when it may teach an address that is not known yet: ARP, and IP whose source is not in `sources_map_fd`.
//     Of a guest with more sources than AddressTable remembers some are always new, and copied.
// All others go to the bridge as if they had been written to the bridge tap.
//
// What remains of order, both within microseconds: a frame that one processor has diverted and not queued yet may be
// overtaken by one of another of the guest's queues, when all before it is found to have left just then; and one that
// has passed still lies in its processor's backlog while passing ends, and the next is released on another.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <vector>

namespace understudy {

// Shared with the program: the only element of `state_map`.
struct PassState {
  // CLOCK_MONOTONIC; 0: every frame is diverted.
  uint64_t pass_until_ns;
  // Frames diverted so far, by the program; and how many of them are known to have left, by us.
  uint64_t diverted;
  uint64_t left;
  // What has passed, by the program. Bytes from the Ethernet header on; a GSO frame is one packet.
  uint64_t packets;
  uint64_t bytes;
};

struct PassProgramOptions {
  int state_map_fd;
  // Keys: SourceKey (address_table.h). Values do not matter.
  int sources_map_fd;
  int bridge_tap_index;
};

// A SCHED_CLS program with direct action; needs Linux 5.8 for its helpers without the GPL.
std::vector<bpf_insn> PassProgram(const PassProgramOptions& options);

}  // namespace understudy
