// The primary's end: an epoch whose pages are one chunk goes out from the thread that captured it, and its output
// is let go on the thread that hears of its commit. JavaScript is told of both afterwards: each turn through its
// event loop, and each through a TLS stream there, would cost the client that waits some 0.2 ms.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/boundary.h"
#include "lane/sealed_link.h"

namespace understudy::lane {

class PrimaryLane {
 public:
  // Called on the lane's thread.
  struct Events {
    std::function<void(uint64_t epoch, uint64_t at_ns)> on_committed;
    // Once, unless it was closed here.
    std::function<void(const std::string& why)> on_ended;
  };
  struct Checkpoint {
    uint64_t epoch;
    uint32_t chunks;
    Bytes state;
    // JSON, as in the message `checkpoint`.
    const std::string& addresses;
    // Told when it is committed, as long as the lease lasts.
    std::vector<std::shared_ptr<BoundaryListener>> holds;
  };

  // Connected already. Throws SyscallError.
  PrimaryLane(UniqueFd socket, const Secret& secret, Events events);
  ~PrimaryLane() { Close(); }
  PrimaryLane(const PrimaryLane&) = delete;
  PrimaryLane& operator=(const PrimaryLane&) = delete;

  // These two on the capture's thread; false when the lane has ended.
  bool SendChunk(uint64_t epoch, Bytes chunk);
  bool SendCheckpoint(const Checkpoint& checkpoint);
  // Any thread. What the backup has by another way, for differences to come.
  void SetBase(Bytes state);
  // Until then (CLOCK_MONOTONIC) what is committed may leave; 0: not here.
  void LeaseUntil(uint64_t until_ns) { lease_until_ns_ = until_ns; }
  // Not on the lane's thread. When it returns, nothing leaves any more by this lane.
  void Close();

 private:
  struct Sent {
    uint64_t epoch;
    std::vector<uint8_t> state;
    std::vector<std::shared_ptr<BoundaryListener>> holds;
  };
  void Run();
  void OnCommitted(uint64_t epoch);
  bool Send(std::initializer_list<Bytes> parts);
  void End(const std::string& why);

  SealedLink link_;
  const Events events_;
  std::atomic<uint64_t> lease_until_ns_{0};
  std::atomic<bool> ended_{false};
  std::mutex mutex_;
  std::vector<uint8_t> base_;
  std::optional<Sent> sent_;
  std::thread thread_;
};

// A JavaScript `NativeOutlet` is a Napi::External<PrimaryLaneRef>.
struct PrimaryLaneRef {
  std::shared_ptr<PrimaryLane> lane;
};

}  // namespace understudy::lane
