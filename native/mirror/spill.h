// Where parts of the log lie that memory has no room for: a file without a name, parts written whole
// one behind the other, their space given back when they are done with.
//
// Room is counted under the log's mutex; the file itself is written by the server's thread and read and
// punched by the log's own, without any lock.
#pragma once

#include <cstdint>
#include <string>

#include "mirror/limits.h"
#include "mirror/unnamed_file.h"

namespace understudy::mirror {

class Spill {
 public:
  // Throws SyscallError.
  Spill(const std::string& directory, uint64_t bytes_max) : file_(directory), bytes_max_(bytes_max) {}

  // Whole pages, or giving back would leave the halves at both ends taken for ever.
  static uint64_t RoomFor(uint64_t bytes) { return (bytes + kPieceBytes - 1) / kPieceBytes * kPieceBytes; }

  // All that follows: with the log's mutex.
  bool HasRoom(uint64_t bytes) const { return !failed_ && used_bytes_ + RoomFor(bytes) <= bytes_max_; }
  // Takes room for a part and says where. The file grows by holes: what was given back is never used
  // again, so that a reader that comes late finds zeroes or its own bytes, never another part's.
  uint64_t Reserve(uint64_t bytes) {
    const uint64_t at = end_;
    end_ += RoomFor(bytes);
    used_bytes_ += RoomFor(bytes);
    return at;
  }
  void GiveBack(uint64_t bytes) { used_bytes_ -= RoomFor(bytes); }
  // The file took no more: from here on the log has only its memory.
  void SetFailed() { failed_ = true; }
  uint64_t used_bytes() const { return used_bytes_; }

  UnnamedFile& file() { return file_; }

 private:
  UnnamedFile file_;
  const uint64_t bytes_max_;
  uint64_t used_bytes_ = 0;
  uint64_t end_ = 0;
  bool failed_ = false;
};

}  // namespace understudy::mirror
