#include "memory/guest_memory.h"

#include <poll.h>
#include <sys/syscall.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "common/monotonic.h"
#include "common/urgent.h"
#include "memory/device_state.h"
#include "memory/digest.h"
#include "memory/limits.h"
#include "memory/remote_memory.h"

namespace understudy::memory {
namespace {

// Adds the time it lives to a counter.
class Stopwatch {
 public:
  explicit Stopwatch(uint64_t& total_ns) : total_ns_(total_ns), start_ns_(MonotonicNs()) {}
  ~Stopwatch() { total_ns_ += MonotonicNs() - start_ns_; }

 private:
  uint64_t& total_ns_;
  uint64_t start_ns_;
};

}  // namespace

GuestMemory::GuestMemory(pid_t pid, RamLayout layout, size_t staging_bytes, unsigned threads)
    : pid_(pid),
      pidfd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))),
      layout_(std::move(layout)),
      tracker_(pid, layout_),
      team_(std::clamp(threads, 1u, kThreadsMax)),
      staging_(staging_bytes),
      hashes_(layout_.end_page()),
      encoder_(pid, layout_, hashes_) {
  if (!pidfd_) throw SyscallError("pidfd_open", errno);
  written_.reserve(kScanRegionsMax);
  device_state_.resize(2 * kDrainReadBytes);
}

UniqueFd GuestMemory::ExpectAt(int gate_fd) const {
  UniqueFd gate = DuplicateGate(gate_fd);
  opens_.Begin(gate.get());
  return gate;
}

Capture GuestMemory::TakeCapture(const CaptureOptions& options, UniqueFd gate, int cancel_fd) {
  const Urgent urgent;
  // Only what was encoded to the end may be forgotten.
  if (held_ || !encoder_.done()) Abandon();
  options_ = options;
  Capture capture;
  capture.epoch = options.epoch;
  std::optional<GatePassage> passage;
  if (gate) {
    const uint64_t from_ns = MonotonicNs();
    gate_pipe_bytes_ = GatePipeBytes();
    passage.emplace(std::move(gate), cancel_fd, gate_pipe_bytes_);
    passage->WaitOpened(opens_, pidfd_.get(), options.begin.get(), options.open_timeout_ms);
    capture.gate_ns = MonotonicNs() - std::max(from_ns, options.begin ? options.begin->begun_at_ns() : 0);
  }
  capture.paused_at_ns = MonotonicNs();
  {
    const Stopwatch marking(capture.boundary_ns);
    for (const auto& boundary : options.boundaries) boundary->OnEpochClosed(options.epoch);
  }
  try {
    Scan(capture);
    Copy(capture);
    Finish(capture, passage ? &*passage : nullptr);
  } catch (...) {
    Abandon();
    throw;
  }
  return capture;
}

Capture GuestMemory::TakeRest(int cancel_fd) {
  const Urgent urgent;
  if (!held_) throw CodedError("NOTHING_HELD", "there is no partial capture to go on with");
  if (!encoder_.done())
    throw CodedError("STAGING_NOT_ENCODED",
                     "the staged part must be encoded before the rest is copied");
  Capture capture = *std::exchange(held_, std::nullopt);
  capture.gate_ns = capture.boundary_ns = capture.scan_ns = capture.copy_ns = 0;
  try {
    std::optional<GatePassage> passage;
    if (options_.gate_fd) passage.emplace(DuplicateGate(*options_.gate_fd), cancel_fd, gate_pipe_bytes_);
    Copy(capture);
    Finish(capture, passage ? &*passage : nullptr);
  } catch (...) {
    Abandon();
    throw;
  }
  return capture;
}

void GuestMemory::Scan(Capture& capture) {
  const Stopwatch scanning(capture.scan_ns);
  const bool count_all = std::exchange(count_all_, true);
  written_.clear();
  Population population;
  // Before the protection: its markers would make untouched pages look used.
  if (count_all) population = tracker_.Classify();
  tracker_.TakeWritten(team_, written_);
  pages_.Begin(count_all ? population.present : written_, population.absent);
  count_all_ = false;
  copied_ = {};
  capture.dirty_pages = pages_.pages();
  capture.dirty_ranges = pages_.runs().size();
}

void GuestMemory::Copy(Capture& capture) {
  const Stopwatch copying(capture.copy_ns);
  const PageCursor from = copied_;
  if (options_.copy == CopyMode::kLive) {
    copied_ = pages_.end();
    encoder_.Begin(pages_, from, copied_, nullptr);
    return;
  }
  staging_.Fill(pid_, layout_, pages_, copied_, team_);
  capture.staged_bytes = staging_.staged_bytes();
  encoder_.Begin(pages_, from, copied_, staging_.data());
}

// Lets the guest go if everything is copied; else keeps the gate shut and the rest in mind.
void GuestMemory::Finish(Capture& capture, GatePassage* passage) {
  capture.complete = copied_ == pages_.end();
  // Until it is known again, one page.
  const size_t expected_bytes = std::exchange(last_state_bytes_, 0);
  if (passage) passage->RequireBlocked();
  if (!capture.complete) {
    capture.pause_ns = MonotonicNs() - capture.paused_at_ns;
    // Its buffer is the caller's until this returns, and no longer.
    options_.ahead.reset();
    options_.outlet.reset();
    held_ = capture;
    return;
  }
  // Its pipe is not full yet, so QEMU does not wait for this.
  const std::optional<Encoded> outgoing = passage && options_.ahead ? EncodeAhead(capture.epoch) : std::nullopt;
  if (passage) {
    const Stopwatch draining(capture.drain_ns);
    last_state_bytes_ = passage->Drain(
        {options_.drain_timeout_ms, options_.device_state_bytes_max, expected_bytes}, device_state_);
  }
  capture.pause_ns = MonotonicNs() - capture.paused_at_ns;
  // A killed QEMU closes the gate too, and its page tables read as clean.
  RequireAlive();
  const auto state_end = device_state_.begin() + static_cast<ptrdiff_t>(last_state_bytes_);
  capture.device_state.assign(device_state_.begin(), state_end);
  if (outgoing) Send(capture, *outgoing);
}

// The first chunk goes out while QEMU is still saving. Returns what was sent by the outlet, which then takes the
// rest of the epoch as well.
std::optional<Encoded> GuestMemory::EncodeAhead(uint64_t epoch) {
  const Ahead& ahead = *options_.ahead;
  const Encoded encoded = encoder_.Next(ahead.into, ahead.bytes);
  const bool fits = options_.outlet && encoded.done;
  if (fits && (encoded.bytes == 0 || options_.outlet->lane->SendChunk(epoch, {ahead.into, encoded.bytes})))
    return encoded;
  ahead.on_encoded(encoded);
  return std::nullopt;
}

void GuestMemory::Send(Capture& capture, const Encoded& encoded) {
  RequireWholeDeviceState(capture.device_state);
  const auto& [lane, addresses] = *options_.outlet;
  const bool sent = lane->SendCheckpoint({.epoch = capture.epoch,
                                          .chunks = encoded.bytes == 0 ? 0u : 1u,
                                          .state = capture.device_state,
                                          .addresses = addresses,
                                          .holds = options_.boundaries});
  if (!sent) throw CodedError("LANE_ENDED", "the lane ended within the checkpoint");
  capture.sent = SentEpoch{encoded, MonotonicNs()};
}

// How much QEMU may write while pages are scanned and copied.
size_t GuestMemory::GatePipeBytes() const {
  const size_t bytes = std::bit_floor(last_state_bytes_ / kGatePipePartOfState);
  return std::clamp(bytes, kGatePipeBytesMin, kGatePipeBytesMax);
}

void GuestMemory::RequireAlive() const {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (poll(&ended, 1, 0) != 0) throw SyscallError("pidfd", ESRCH, "the guest's process has ended");
}

Encoded GuestMemory::EncodeInto(uint8_t* into, size_t bytes) { return encoder_.Next(into, bytes); }

void GuestMemory::Abandon() {
  held_.reset();
  encoder_.Reset();
  pages_.Carry(hashes_);
}

void GuestMemory::ForgetReplica() {
  held_.reset();
  encoder_.Reset();
  if (count_all_) {
    pages_.Clear();
    hashes_.ForgetAll();
    return;
  }
  pages_.CarryAll(layout_.AllPages(), hashes_);
}

std::string GuestMemory::DigestRam() const {
  constexpr uint64_t kPiecePages = kCopyBatchBytes / kPageBytes;
  const std::vector<uint8_t> zeroes(kCopyBatchBytes);
  std::vector<uint8_t> content(kCopyBatchBytes);
  const Population population = tracker_.Classify();
  EpochPages all;
  all.Begin(population.present, population.absent);
  Digest digest;
  for (const CapturedRun& run : all.runs()) {
    for (uint64_t at = 0; at < run.count;) {
      const RamLayout::Piece piece =
          layout_.Locate(run.first + at, std::min(run.count - at, kPiecePages));
      const size_t bytes = piece.pages * kPageBytes;
      if (!run.zero) {
        const iovec remote{reinterpret_cast<void*>(piece.hva), bytes};
        ReadRemote(pid_, &remote, 1, content.data(), bytes);
      }
      digest.Update(run.zero ? zeroes.data() : content.data(), bytes);
      at += piece.pages;
    }
  }
  RequireAlive();
  return digest.Hex();
}

}  // namespace understudy::memory
