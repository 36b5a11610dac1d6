// The captured side of one guest: what happens inside the pause, and what is encoded after it.
//
// Every method runs on the one thread that owns the object; nothing here is thread-safe.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/boundary.h"
#include "common/trigger.h"
#include "lane/primary_lane.h"
#include "memory/encoder.h"
#include "memory/epoch_pages.h"
#include "memory/gate.h"
#include "memory/limits.h"
#include "memory/page_hashes.h"
#include "memory/ram_layout.h"
#include "memory/staging.h"
#include "memory/thread_team.h"
#include "memory/tracker.h"

namespace understudy::memory {

enum class CopyMode { kStaged, kLive };

// Where the first chunk goes while the guest still stands and QEMU is still saving.
struct Ahead {
  uint8_t* into = nullptr;
  size_t bytes = 0;
  std::function<void(const Encoded&)> on_encoded;
};

// The way of an epoch to the backup that needs no JavaScript.
struct Outlet {
  std::shared_ptr<lane::PrimaryLane> lane;
  // JSON, for the checkpoint.
  std::string addresses;
};

// An epoch on its way by the outlet.
struct SentEpoch {
  Encoded encoded;
  uint64_t at_ns;
};

struct CaptureOptions {
  // Absent: there is no gate.
  std::optional<int> gate_fd;
  // The sign for QEMU to come to the gate, when it is given by somebody else, later.
  std::shared_ptr<Trigger> begin;
  uint64_t epoch = 0;
  CopyMode copy = CopyMode::kStaged;
  std::vector<std::shared_ptr<BoundaryListener>> boundaries;
  int open_timeout_ms = 0;
  int drain_timeout_ms = 0;
  size_t device_state_bytes_max = 0;
  std::optional<Ahead> ahead;
  // An epoch that `ahead` has room for goes out by this way.
  std::optional<Outlet> outlet;
};

// Durations in nanoseconds.
struct Capture {
  uint64_t epoch = 0;
  bool complete = false;
  uint64_t dirty_pages = 0;
  uint64_t dirty_ranges = 0;
  uint64_t staged_bytes = 0;
  uint64_t gate_ns = 0;
  uint64_t boundary_ns = 0;
  uint64_t scan_ns = 0;
  uint64_t copy_ns = 0;
  uint64_t drain_ns = 0;
  uint64_t pause_ns = 0;
  uint64_t paused_at_ns = 0;
  std::vector<uint8_t> device_state;
  // Absent: the caller sends it.
  std::optional<SentEpoch> sent;
};

class GuestMemory {
 public:
  GuestMemory(pid_t pid, RamLayout layout, size_t staging_bytes, unsigned threads);

  // From now on QEMU may come to this gate: `TakeCapture` follows. The descriptor is its. Any thread.
  UniqueFd ExpectAt(int gate_fd) const;
  // The critical section (see NativeGuestMemory.capture). `cancel_fd` readable ends its waits. No gate: the caller
  // has stopped the guest.
  Capture TakeCapture(const CaptureOptions& options, UniqueFd gate, int cancel_fd);
  Capture TakeRest(int cancel_fd);
  Encoded EncodeInto(uint8_t* into, size_t bytes);
  uint64_t CountWritten() const { return tracker_.CountWritten(); }
  void Abandon();
  void ForgetReplica();
  std::string DigestRam() const;
  const RamLayout& layout() const { return layout_; }

 private:
  void Scan(Capture& capture);
  void Copy(Capture& capture);
  void Finish(Capture& capture, GatePassage* passage);
  std::optional<Encoded> EncodeAhead(uint64_t epoch);
  void Send(Capture& capture, const Encoded& encoded);
  size_t GatePipeBytes() const;
  void RequireAlive() const;

  pid_t pid_;
  UniqueFd pidfd_;
  RamLayout layout_;
  Tracker tracker_;
  ThreadTeam team_;
  Staging staging_;
  PageHashes hashes_;
  EpochPages pages_;
  Encoder encoder_;
  PageRuns written_;
  OpenWatch opens_;
  // Its first `last_state_bytes_` are the last device state (0: not known).
  std::vector<uint8_t> device_state_;
  size_t last_state_bytes_ = 0;
  // The first scan, and the one after a failed scan, count every page.
  bool count_all_ = true;
  // Copied, or left for live reading, up to here.
  PageCursor copied_;
  CaptureOptions options_;
  // Of the capture under way.
  size_t gate_pipe_bytes_ = kGatePipeBytesMin;
  // The capture that stands at `partial`.
  std::optional<Capture> held_;
};

}  // namespace understudy::memory
