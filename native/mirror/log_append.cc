// The write log's appending side: the server's thread and the capture thread.
#include <chrono>
#include <cstring>

#include "common/async.h"
#include "common/monotonic.h"
#include "memory/owned.h"
#include "mirror/log.h"
#include "mirror/records.h"

namespace understudy::mirror {

using disk::kRecordHeaderBytes;
using disk::Record;
using disk::RecordKind;

void WriteLog::Append(const Record& record) {
  std::lock_guard lock(mutex_);
  Record piece = record;
  for (uint64_t done = 0; done < record.length; done += piece.length) {
    piece.offset = record.offset + done;
    piece.length = record.length - done;
    size_t data_bytes = 0;
    Part* part = &OpenPartLocked(kRecordHeaderBytes);
    if (record.kind == RecordKind::kWrite) {
      const auto room = [&part] { return kPartBytesMax - part->bytes - kRecordHeaderBytes; };
      const uint64_t rest = piece.length;
      piece.length = CutAt(piece.offset, rest, room());
      if (piece.length == 0) {
        part = &OpenPartLocked(kPartBytesMax);
        piece.length = CutAt(piece.offset, rest, room());
      }
      piece.data = record.data + done;
      data_bytes = piece.length;
    }
    disk::WriteRecordHeader(part->memory.get() + part->bytes, piece);
    if (data_bytes > 0) memcpy(part->memory.get() + part->bytes + kRecordHeaderBytes, piece.data, data_bytes);
    const size_t added = kRecordHeaderBytes + data_bytes;
    if (part->taken_bytes == part->bytes) part->oldest_ns = MonotonicNs();
    part->bytes += added;
    memory_bytes_ += added;
    logged_bytes_ += added;
    waiting_bytes_ += added;
  }
  WakeIfWorthLocked();
}

void WriteLog::MakeRoom() {
  std::unique_lock lock(mutex_);
  while (memory_bytes_ > options_.memory_bytes_max) {
    const PartRef part = NewestInMemoryLocked();
    if (!part || !spill_.HasRoom(part->bytes)) return;
    const std::shared_ptr<uint8_t[]> bytes = part->memory;
    const uint64_t at = spill_.Reserve(part->bytes);
    lock.unlock();
    try {
      spill_.file().Write(bytes.get(), part->bytes, at);
    } catch (const SyscallError&) {
      lock.lock();
      spill_.GiveBack(part->bytes);
      garbage_.emplace_back(at, part->bytes);
      spill_.SetFailed();
      throw;
    }
    lock.lock();
    if (part->gone) {
      spill_.GiveBack(part->bytes);
      garbage_.emplace_back(at, part->bytes);
      continue;
    }
    part->spilled_at = at;
    part->memory.reset();
    memory_bytes_ -= part->bytes;
    if (spare_.size() < kSpareBuffersMax && bytes.use_count() == 1) spare_.push_back(bytes);
  }
}

bool WriteLog::Full() {
  std::lock_guard lock(mutex_);
  full_told_ = IsFullLocked();
  return full_told_;
}

int WriteLog::WakeDue() {
  std::lock_guard lock(mutex_);
  if (reader_sleeps_ != Sleep::kForBytes || !IsAnythingWaitingLocked()) return -1;
  const uint64_t now_ns = MonotonicNs();
  if (now_ns < DueNsLocked()) return static_cast<int>((DueNsLocked() - now_ns) / 1'000'000) + 1;
  readable_.notify_one();
  return -1;
}

bool WriteLog::WaitStored(uint64_t ns) {
  std::unique_lock lock(mutex_);
  if (parts_.empty()) return true;
  hurry_ = true;
  readable_.notify_one();
  stored_.wait_for(lock, std::chrono::nanoseconds(ns),
                   [this, reader = reader_] { return parts_.empty() || reader != reader_; });
  return parts_.empty();
}

bool WriteLog::CloseEpoch(uint64_t epoch, bool intact) {
  std::lock_guard lock(mutex_);
  if (epoch < tag_) return false;
  tag_ = epoch + 1;
  open_ = false;
  if (consumer_ != Consumer::kTaker) return true;
  const Part mark{.epoch = epoch, .oldest_ns = MonotonicNs(), .ends_epoch = true, .intact = intact};
  parts_.push_back(std::make_shared<Part>(mark));
  ++waiting_marks_;
  WakeIfWorthLocked();
  return true;
}

Part& WriteLog::OpenPartLocked(size_t record_bytes_min) {
  if (open_ && parts_.back()->bytes + record_bytes_min <= kPartBytesMax) return *parts_.back();
  const Part fresh{.epoch = tag_, .oldest_ns = MonotonicNs(), .memory = BufferLocked()};
  parts_.push_back(std::make_shared<Part>(fresh));
  open_ = true;
  return *parts_.back();
}

std::shared_ptr<uint8_t[]> WriteLog::BufferLocked() {
  if (spare_.empty()) return std::make_shared_for_overwrite<uint8_t[]>(kPartBytesMax);
  std::shared_ptr<uint8_t[]> buffer = std::move(spare_.back());
  spare_.pop_back();
  return buffer;
}

void WriteLog::WakeIfWorthLocked() {
  if (reader_sleeps_ != Sleep::kNone && IsWorthLocked()) readable_.notify_one();
}

bool WriteLog::IsFullLocked() const {
  return memory_bytes_ >= options_.memory_bytes_max && !spill_.HasRoom(kPartBytesMax);
}

WriteLog::PartRef WriteLog::NewestInMemoryLocked() const {
  // The newest: it is taken last, so that it is written once and read once.
  const size_t sealed = parts_.size() - (open_ ? 1 : 0);
  for (size_t i = sealed; i-- > 0;) {
    if (parts_[i]->memory) return parts_[i];
  }
  return nullptr;
}

}  // namespace understudy::mirror
