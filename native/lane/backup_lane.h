// The backup's end: verifies a checkpoint, commits it, answers and applies it, all on one thread. JavaScript is
// told afterwards, and decides when it ends: after `Stop` nothing is committed by it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lane/records.h"
#include "lane/sealed_link.h"
#include "memory/replica.h"

namespace understudy::lane {

class BackupLane {
 public:
  // Called on the lane's thread.
  struct Events {
    std::function<void(uint64_t epoch)> on_committed;
    // Once, unless it was stopped or the primary hung up. `code` APPLY_FAILED: the replica is not to be trusted.
    std::function<void(const std::string& code, const std::string& why)> on_failed;
  };
  struct Committed {
    uint64_t epoch = 0;
    std::vector<uint8_t> state;
    std::string addresses;
  };

  // Listens on a port of its own of that address, for one connection. Throws SyscallError, LANE_ADDRESS.
  BackupLane(std::shared_ptr<memory::Replica> replica, const std::string& host, const Secret& secret, Events events);
  ~BackupLane() { Stop(); }
  BackupLane(const BackupLane&) = delete;
  BackupLane& operator=(const BackupLane&) = delete;

  uint16_t port() const { return port_; }
  // These three on any thread but the lane's.
  // What was committed by another way.
  void SetCommitted(Committed committed);
  // The last checkpoint that was committed, if it is later than `epoch`.
  std::optional<Committed> CommittedAfter(uint64_t epoch) const;
  // When it returns, all that was committed is applied and nothing more will be.
  void Stop();

 private:
  struct Staged {
    uint64_t epoch;
    std::vector<uint8_t> chunk;
  };
  void Run();
  std::shared_ptr<SealedLink> AcceptPrimary();
  std::shared_ptr<SealedLink> Greeted(UniqueFd socket);
  void Serve(SealedLink& link);
  void OnChunk(uint64_t epoch, Bytes chunk);
  void OnCheckpoint(SealedLink& link, const RecordHeader& header, Bytes body);
  std::vector<uint8_t> StateOf(const RecordHeader& header, Bytes sent) const;

  const std::shared_ptr<memory::Replica> replica_;
  const Secret secret_;
  // The thread's, and whoever stopped it.
  Events events_;
  UniqueFd listener_;
  UniqueFd stop_;
  uint16_t port_ = 0;
  std::optional<Staged> staged_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  Committed committed_;
  // Of the connection, while there is one.
  std::shared_ptr<SealedLink> link_;
  std::thread thread_;
};

}  // namespace understudy::lane
