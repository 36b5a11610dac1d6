// What was written since the backup's last commit while the backup is away: the latest content of each
// sector, in sparse files without names on this host. Order is gone, so it can only be replayed whole.
//
// The log's own thread stores and replays; the server's thread reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "mirror/sector_map.h"
#include "mirror/unnamed_file.h"

namespace understudy::mirror {

class RememberedWrites {
 public:
  // `data_bytes_max`: of stored data; zeroes cost nothing. Throws SyscallError.
  RememberedWrites(const std::string& directory, const std::vector<uint64_t>& disk_bytes,
                   uint64_t data_bytes_max);

  // A chunk of the log. Throws SyscallError, and CodedError FORGOTTEN when it is more than may be kept.
  void Store(const uint8_t* chunk, size_t bytes);
  // Sectors that are not remembered: zeroes, or with `absent_is_zero` false a refusal (false). Throws SyscallError.
  bool Read(size_t disk, uint64_t offset, uint8_t* into, size_t bytes, bool absent_is_zero);

  // Replay begins from the beginning again, by the reader of that number only.
  void Rewind(uint64_t reader);
  // The next records as a chunk of at most `room` bytes; 0 when all were given. Throws CodedError STOPPED when
  // another reader came, SyscallError.
  size_t Replay(uint64_t reader, uint8_t* into, size_t room);
  // The backup holds all that was replayed wholly: gives it up. Returns whether there was anything.
  bool FreeReplayed();
  // Throws SyscallError.
  void Clear();

  // Any thread: of the sectors that are not replayed yet.
  uint64_t remaining_bytes() const { return remaining_bytes_; }

 private:
  struct Disk {
    uint64_t bytes;
    UnnamedFile file;
    SectorMap map;
  };

  size_t EmitRun(size_t disk, const SectorRun& run, uint8_t* into, size_t room);
  void CountRemainingLocked();
  void ClearLocked();

  const uint64_t data_bytes_max_;
  std::mutex mutex_;
  std::vector<Disk> disks_;
  std::atomic<uint64_t> remaining_bytes_{0};
  uint64_t reader_ = 0;
  size_t next_disk_ = 0;
  uint64_t next_sector_ = 0;
  bool replayed_ = false;
};

}  // namespace understudy::mirror
