#include "plug_probe.h"

#include <linux/pkt_sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>

#include "../common/async.h"
#include "limits.h"
#include "../common/monotonic.h"
#include "plug_path.h"
#include "tap_device.h"

namespace understudy {
namespace {

// Locally administered addresses and an ethertype for experiments (IEEE 802): of no use to anybody.
constexpr std::array<uint8_t, kVnetHeaderBytes + 60> kFrame = [] {
  std::array<uint8_t, kVnetHeaderBytes + 60> frame{};
  constexpr std::array<uint8_t, kEthernetHeaderBytes> header{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
  for (size_t i = 0; i < header.size(); i++) frame[kVnetHeaderBytes + i] = header[i];
  return frame;
}();

void WaitForQueued(PlugPath& path, uint32_t frames) {
  const uint64_t deadline_ns = MonotonicNs() + kPlugProbeMsMax * kNsPerMs;
  for (;;) {
    const auto stats = path.Read();
    if (stats && stats->queued_frames == frames) return;
    if (MonotonicNs() > deadline_ns) {
      throw SyscallError("plug", EPROTO, frames == 0 ? "a released packet did not leave" : "a packet was not held");
    }
    SleepMs(1);
  }
}

}  // namespace

void ProbePlug() {
  static std::atomic<unsigned> probes{0};
  const std::string suffix = std::to_string(getpid()) + static_cast<char>('a' + probes++ % 26);
  TapDevice tap("uspt" + suffix);
  tap.BringUp();
  PlugPath path({"uspt" + suffix, "uspi" + suffix, kPlugProbeLimitBytes});
  try {
    if (write(tap.fd(), kFrame.data(), kFrame.size()) < 0) throw SyscallError("write", errno, tap.name());
    WaitForQueued(path, 1);
    path.Command(TCQ_PLUG_BUFFER);
    path.Command(TCQ_PLUG_RELEASE_ONE);
    WaitForQueued(path, 0);
    path.Command(TCQ_PLUG_RELEASE_INDEFINITE);
    path.Command(TCQ_PLUG_BUFFER);
    path.SetLimit(0);
  } catch (...) {
    path.Remove();
    throw;
  }
  path.Remove();
}

}  // namespace understudy
