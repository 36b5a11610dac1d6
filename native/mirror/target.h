// The mirror target: what QEMU's mirror jobs write to, and what becomes of it.
//
// `forgetting`: answered, nothing kept. `shipping`: into the log, for a taker. `remembering`: into the log, for
// the store on this host. The log is always between, so the server's thread never waits for a file of the store
// and the order of all writes is the log's. The server's thread calls the Disks part, the capture thread
// OnEpochClosed, JavaScript's thread what is named so, the target's own thread the rest.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "guard/guard.h"
#include "mirror/known.h"
#include "mirror/log.h"
#include "mirror/patience.h"
#include "mirror/remembered.h"
#include "nbd/disks.h"
#include "nbd/server.h"

namespace understudy::mirror {

enum class Mode { kForgetting, kShipping, kRemembering };

struct Trouble {
  const char* kind;
  std::string reason;
  std::optional<std::string> disk{};
};

struct TargetOptions {
  std::string socket_path;
  uid_t owner_uid;
  std::vector<nbd::ExportInfo> disks;
  uint64_t memory_bytes_max;
  std::string spill_directory;
  uint64_t spill_bytes_max;
  uint64_t remember_bytes_max;
  int freeze_ms_max;
  // Any thread; must not block.
  std::function<void(const Trouble&)> on_trouble;
};

struct DiskStats {
  bool connected;
  bool unbroken;
  uint64_t requests;
  uint64_t written_bytes;
};

struct TargetStats {
  Mode mode;
  std::vector<DiskStats> disks;
  LogStats log;
  uint64_t known_bytes;
  PatienceStats back_pressure;
  uint64_t remembered_bytes;
  uint64_t interventions;
};

class MirrorTarget final : public nbd::Disks {
 public:
  // Serves when it returns. Throws SyscallError, CodedError.
  explicit MirrorTarget(TargetOptions options);
  ~MirrorTarget() override;

  // ---- JavaScript thread. CodedError MIRROR_STATE where the mode does not allow it.
  void SetKnown(size_t disk, const KnownContent& known);
  void AddDigests(size_t disk, uint64_t first_block, const uint8_t* digests, size_t bytes);
  void Ship(uint64_t epoch);
  void Complete();
  // True: `FreeReplayed` must follow on the target's own thread.
  bool Committed(uint64_t epoch);
  // `StoreRemembered` must follow on the target's own thread.
  void Remember();
  void Replay(uint64_t epoch);
  // `ClearRemembered` must follow on the target's own thread.
  void Forget();
  void GuardGate(int fd);
  bool IsShipping();
  // Who takes now: a call of Take that was made for an earlier reader ends with STOPPED.
  uint64_t reader() const { return reader_; }
  // Nothing waits any more, every connection ends; `Close` may follow on any thread.
  void Stop();

  // ---- the target's own thread
  Taken Take(uint64_t reader, uint8_t* into, size_t room);
  void FreeReplayed() noexcept;
  // Returns when the mode has changed.
  void StoreRemembered(uint64_t reader) noexcept;
  void ClearRemembered() noexcept;
  // Ends the server and the guard. Safe to call twice.
  void Close();

  // ---- any thread
  TargetStats Stats();

  // ---- capture thread
  // See BoundaryListener.
  void OnEpochClosed(uint64_t closed_epoch);

  // ---- nbd::Disks
  const std::vector<nbd::ExportInfo>& Exports() const override { return options_.disks; }
  int Write(size_t disk, uint64_t offset, const uint8_t* data, uint32_t bytes) override;
  int Zero(size_t disk, uint64_t offset, uint64_t bytes, bool may_punch) override;
  int Trim(size_t disk, uint64_t offset, uint64_t bytes) override;
  int Read(size_t disk, uint64_t offset, uint8_t* into, uint32_t bytes) override;
  int Flush(size_t disk) override;
  void OnConnected(size_t disk) override;
  void OnDisconnected(size_t disk, const std::string& why) override;
  void OnProtocolError(const std::string& why) override;
  bool MustWait() override;
  int OnTurn() override;

 private:
  struct DiskState {
    std::atomic<bool> connected{false};
    std::atomic<bool> unbroken{false};
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> written_bytes{0};
  };

  void RequireLocked(Mode mode, const char* call) const;
  void ForgetLocked();
  void GiveUp(uint64_t reader, const char* kind, const std::string& reason);
  int PutZeroes(disk::RecordKind kind, size_t disk, uint64_t offset, uint64_t bytes);
  bool Account(size_t disk, uint64_t offset, uint64_t bytes);
  void MakeRoom();
  bool IsIntact();
  uint64_t Interventions();
  void LookAtGuard();
  void OnGuardGone(const std::string& why);
  void Tell(const char* kind, const std::string& reason, std::optional<std::string> disk = {});

  const TargetOptions options_;
  const Emit append_;
  WriteLog log_;
  RememberedWrites remembered_;
  Patience patience_;
  std::vector<DiskState> disks_;

  // Held by the server's thread while it does a request, and by JavaScript's while it changes what follows.
  std::mutex mutex_;
  Mode mode_ = Mode::kForgetting;
  // Empty once complete.
  std::vector<Known> known_;
  // The replica began with zeroes, so what was never written reads as such.
  std::vector<bool> began_as_zeroes_;
  std::atomic<uint64_t> replay_epoch_{0};
  // What was replayed is still there, in case the backup goes before it commits it.
  bool holds_replayed_ = false;

  std::atomic<bool> complete_{false};
  std::atomic<uint64_t> reader_{0};
  // The reader that is given what was remembered; 0: all was given.
  std::atomic<uint64_t> replay_reader_{0};
  // What was remembered has gone to the backup, so it cannot be read here any more.
  std::atomic<bool> freed_{false};
  std::atomic<uint64_t> known_bytes_{0};
  std::atomic<bool> closing_{false};

  std::atomic<bool> guard_gone_{false};
  // The guard's count when all was complete: one more and the mirror is broken.
  std::atomic<uint64_t> interventions_at_complete_{0};
  // Server thread only.
  uint64_t interventions_told_ = 0;

  std::mutex close_mutex_;
  // Held while the guard is asked or ended.
  std::mutex guard_mutex_;
  // In this order: the server uses the guard, both use all the above.
  std::unique_ptr<guard::Guard> guard_;
  std::unique_ptr<nbd::Server> server_;
};

}  // namespace understudy::mirror
