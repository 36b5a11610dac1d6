// The write log's reading side: the one thread that takes or stores.
#include <chrono>
#include <cstring>

#include "common/async.h"
#include "common/monotonic.h"
#include "memory/owned.h"
#include "mirror/log.h"

namespace understudy::mirror {


Taken WriteLog::Take(uint64_t reader, uint8_t* into, size_t room) {
  PunchGarbage();
  std::unique_lock lock(mutex_);
  if (!WaitDueLocked(lock, reader)) throw CodedError("STOPPED", "the log is not taken from any more");
  // The first one with something to take.
  while (parts_[next_]->taken_bytes == parts_[next_]->bytes && !parts_[next_]->ends_epoch) ++next_;
  Taken taken{parts_[next_]->epoch, 0, false, false};
  std::vector<Piece> pieces;
  while (next_ < parts_.size() && !taken.ends_epoch) {
    Part& part = *parts_[next_];
    const Piece piece = Untaken(part);
    if (part.epoch != taken.epoch || taken.bytes + piece.bytes > room) break;
    if (piece.bytes > 0) pieces.push_back(piece);
    part.taken_bytes = part.bytes;
    taken.bytes += piece.bytes;
    taken.ends_epoch = part.ends_epoch;
    taken.intact = part.intact;
    if (open_ && next_ + 1 == parts_.size()) break;
    ++next_;
  }
  waiting_bytes_ -= taken.bytes;
  waiting_marks_ -= taken.ends_epoch ? 1 : 0;
  lock.unlock();
  for (const Piece& piece : pieces) {
    ReadPiece(piece, into);
    into += piece.bytes;
  }
  lock.lock();
  if (reader != reader_) throw CodedError("STOPPED", "the log is not taken from any more");
  // Under the mutex, so that whoever uses a buffer again sees that it was read.
  pieces.clear();
  if (!retain_) LetGoTakenLocked(next_);
  return taken;
}

bool WriteLog::NextToStore(uint64_t reader, std::vector<uint8_t>& into) {
  PunchGarbage();
  std::unique_lock lock(mutex_);
  if (!WaitDueLocked(lock, reader)) return false;
  if (parts_.size() == 1) open_ = false;
  const Piece piece = Untaken(*parts_.front());
  lock.unlock();
  into.resize(piece.bytes);
  ReadPiece(piece, into.data());
  return true;
}

void WriteLog::Stored(uint64_t reader) {
  std::lock_guard lock(mutex_);
  // Otherwise the part has become the next consumer's, who does with it what must be done.
  if (reader != reader_ || parts_.empty()) return;
  LetGoFrontLocked(1);
  if (parts_.empty()) {
    hurry_ = false;
    stored_.notify_all();
  }
}

bool WriteLog::WaitDueLocked(std::unique_lock<std::mutex>& lock, uint64_t reader) {
  while (reader == reader_ && consumer_ != Consumer::kNone) {
    const bool waiting = IsAnythingWaitingLocked();
    const uint64_t now_ns = MonotonicNs();
    if (waiting && (IsWorthLocked() || now_ns >= DueNsLocked())) return true;
    if (!waiting) {
      reader_sleeps_ = Sleep::kForBytes;
      readable_.wait(lock);
    } else {
      reader_sleeps_ = Sleep::kForTime;
      readable_.wait_for(lock, std::chrono::nanoseconds(DueNsLocked() - now_ns));
    }
    reader_sleeps_ = Sleep::kNone;
  }
  return false;
}

void WriteLog::PunchGarbage() {
  std::vector<std::pair<uint64_t, uint64_t>> garbage;
  {
    std::lock_guard lock(mutex_);
    garbage.swap(garbage_);
  }
  for (const auto& [at, bytes] : garbage) spill_.file().Punch(at, Spill::RoomFor(bytes));
}

void WriteLog::ReadPiece(const Piece& piece, uint8_t* into) {
  if (piece.memory) {
    memcpy(into, piece.memory.get() + piece.offset, piece.bytes);
  } else {
    spill_.file().Read(into, piece.bytes, piece.spilled_at + piece.offset);
  }
}

WriteLog::Piece WriteLog::Untaken(const Part& part) {
  return {part.memory, part.spilled_at.value_or(0), part.taken_bytes, part.bytes - part.taken_bytes};
}

}  // namespace understudy::mirror
