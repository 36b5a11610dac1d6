// The write log: one order over all disks of a domain, in parts of one epoch each.
//
// The server's thread appends, the capture thread ends epochs, and one consumer at a time reads from the
// front: a taker (the backup is there) or the store of remembered writes (it is not). Both wait here, and are
// woken late on purpose: a wake-up per write would cost the guest the processor it runs on.
//
// Once `Retain` was called, parts stay after they were taken until their epoch is committed. Beyond its
// memory the log spills; beyond both it is full, and the server takes no more requests.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "disk/disk_chunk.h"
#include "mirror/part.h"
#include "mirror/spill.h"

namespace understudy::mirror {

struct LogOptions {
  uint64_t memory_bytes_max;
  std::string spill_directory;
  uint64_t spill_bytes_max;
  // Any thread, the log's mutex held: a log that was full has room again.
  std::function<void()> on_room;
};

struct LogStats {
  uint64_t logged_bytes;
  uint64_t memory_bytes;
  uint64_t spilled_bytes;
};

struct Taken {
  uint64_t epoch;
  size_t bytes;
  bool ends_epoch;
  bool intact;
};

// Who reads from the front.
enum class Consumer { kNone, kTaker, kStore };

class WriteLog {
 public:
  // Throws SyscallError.
  explicit WriteLog(LogOptions options);

  // ---- JavaScript thread

  // A new reader, whose number it returns: whatever the former one waits for ends with STOPPED.
  uint64_t SetConsumer(Consumer consumer);
  // An empty log that is tagged with `epoch`; taken parts are not kept.
  void Start(uint64_t epoch);
  void Retain();
  // The reader goes back to the oldest part that is kept.
  void Rewind();
  // What is in the log, and what comes, belongs to `epoch`.
  void Retag(uint64_t epoch);
  void Committed(uint64_t epoch);
  void Clear();

  // ---- server thread (and JavaScript's in complete())

  // Only copies. Larger than a part: split, at multiples of 4 KiB of the disk where possible.
  void Append(const disk::Record& record);
  // Spills what memory has no room for: the only I/O of the appending side, without any lock. Throws SyscallError,
  // once: afterwards the log does without the file.
  void MakeRoom();
  bool Full();
  // Wakes a consumer whose bytes are old enough; how many ms until that is due, -1 when it is not needed.
  int WakeDue();
  // Waits until a kStore consumer has stored everything; false when `ns` or the consumer passed before.
  bool WaitStored(uint64_t ns);

  // ---- capture thread

  // False when that epoch was closed before: nothing moves.
  bool CloseEpoch(uint64_t epoch, bool intact);

  // ---- the log's own thread

  // Waits for the next parts of one epoch and copies as many as fit. Throws CodedError STOPPED when `reader` is no
  // longer the consumer, SyscallError when the spill file cannot be read.
  Taken Take(uint64_t reader, uint8_t* into, size_t room);
  // The same for the store, part by part: stays in the log until `Stored`. False: no longer the consumer.
  bool NextToStore(uint64_t reader, std::vector<uint8_t>& into);
  void Stored(uint64_t reader);

  // ---- any thread
  LogStats Stats();
  // Whether records left for the backup's sake alone since Start: the log is not all that was written since.
  bool HasLetGo();

 private:
  using PartRef = std::shared_ptr<Part>;
  struct Piece {
    std::shared_ptr<uint8_t[]> memory;
    uint64_t spilled_at;
    size_t offset;
    size_t bytes;
  };

  Part& OpenPartLocked(size_t record_bytes_min);
  std::shared_ptr<uint8_t[]> BufferLocked();
  void LetGoLocked(Part& part);
  void LetGoFrontLocked(size_t count);
  void LetGoTakenLocked(size_t count);
  void WakeIfWorthLocked();
  bool IsAnythingWaitingLocked() const { return waiting_bytes_ > 0 || waiting_marks_ > 0; }
  bool IsWorthLocked() const { return waiting_bytes_ >= kTakeBytesMin || waiting_marks_ > 0 || hurry_; }
  uint64_t DueNsLocked() const { return parts_[next_]->oldest_ns + kTakeDelayNs; }
  bool WaitDueLocked(std::unique_lock<std::mutex>& lock, uint64_t reader);
  void PunchGarbage();
  void ReadPiece(const Piece& piece, uint8_t* into);
  bool IsFullLocked() const;
  PartRef NewestInMemoryLocked() const;
  static Piece Untaken(const Part& part);
  void RestartReadingLocked();

  const LogOptions options_;
  std::mutex mutex_;
  std::condition_variable readable_;
  std::condition_variable stored_;
  Spill spill_;
  std::deque<PartRef> parts_;
  // The first part that was not taken wholly, or may still grow.
  size_t next_ = 0;
  // Whether the last part takes more records.
  bool open_ = false;
  uint64_t tag_ = 0;
  bool retain_ = false;
  bool let_go_ = false;
  uint64_t reader_ = 0;
  Consumer consumer_ = Consumer::kNone;

  enum class Sleep { kNone, kForBytes, kForTime };
  Sleep reader_sleeps_ = Sleep::kNone;
  bool hurry_ = false;
  // Of the parts from next_ on.
  uint64_t waiting_bytes_ = 0;
  size_t waiting_marks_ = 0;

  uint64_t memory_bytes_ = 0;
  uint64_t logged_bytes_ = 0;
  bool full_told_ = false;
  std::vector<std::shared_ptr<uint8_t[]>> spare_;
  // What the spill file still holds and nobody needs: {offset, bytes}.
  std::vector<std::pair<uint64_t, uint64_t>> garbage_;
};

}  // namespace understudy::mirror
