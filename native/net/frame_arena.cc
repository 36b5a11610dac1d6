#include "frame_arena.h"

#include <cstring>
#include <utility>

#include "limits.h"

namespace understudy {

// Records start at multiples of 8, so that their numbers are aligned.
size_t FrameArena::RecordBytes(size_t length) { return sizeof(Record) + ((length + 7) & ~size_t{7}); }

uint8_t* FrameArena::Reserve() {
  if (chunks_.empty() || chunks_.back().end + RecordBytes(kFrameBytesMax) > kArenaChunkBytes) {
    if (spare_.empty()) {
      chunks_.push_back({std::make_unique_for_overwrite<uint8_t[]>(kArenaChunkBytes)});
    } else {
      chunks_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
  }
  const Chunk& chunk = chunks_.back();
  return chunk.memory.get() + chunk.end + sizeof(Record);
}

void FrameArena::Commit(size_t length, uint64_t epoch, uint64_t arrived_ns) {
  Chunk& chunk = chunks_.back();
  const Record record{epoch, arrived_ns, length};
  memcpy(chunk.memory.get() + chunk.end, &record, sizeof record);
  chunk.end += RecordBytes(length);
  frames_ += 1;
  bytes_ += length;
}

Frame FrameArena::Front() const {
  const Chunk& chunk = chunks_.front();
  Record record;
  memcpy(&record, chunk.memory.get() + chunk.begin, sizeof record);
  return {chunk.memory.get() + chunk.begin + sizeof record, record.length, record.epoch,
          record.arrived_ns};
}

void FrameArena::PopFront() {
  const size_t length = Front().length;
  Chunk& chunk = chunks_.front();
  chunk.begin += RecordBytes(length);
  frames_ -= 1;
  bytes_ -= length;
  if (chunk.begin < chunk.end) return;
  Chunk emptied = std::move(chunk);
  chunks_.pop_front();
  Recycle(std::move(emptied));
}

size_t FrameArena::Clear(bool keep_front) {
  const size_t kept = keep_front && frames_ > 0 ? 1 : 0;
  const size_t cleared = frames_ - kept;
  if (cleared == 0) return 0;
  const size_t kept_bytes = kept ? Front().length : 0;
  while (chunks_.size() > kept) {
    Chunk last = std::move(chunks_.back());
    chunks_.pop_back();
    Recycle(std::move(last));
  }
  if (kept) chunks_.front().end = chunks_.front().begin + RecordBytes(kept_bytes);
  frames_ = kept;
  bytes_ = kept_bytes;
  return cleared;
}

void FrameArena::Recycle(Chunk chunk) {
  if (spare_.size() >= kArenaSpareChunksMax) return;
  chunk.begin = chunk.end = 0;
  spare_.push_back(std::move(chunk));
}

}  // namespace understudy
