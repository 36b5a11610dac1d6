#include "mirror/log.h"

namespace understudy::mirror {

WriteLog::WriteLog(LogOptions options)
    : options_(std::move(options)), spill_(options_.spill_directory, options_.spill_bytes_max) {}

uint64_t WriteLog::SetConsumer(Consumer consumer) {
  std::lock_guard lock(mutex_);
  consumer_ = consumer;
  hurry_ = false;
  readable_.notify_all();
  stored_.notify_all();
  return ++reader_;
}

void WriteLog::Start(uint64_t epoch) {
  Clear();
  std::lock_guard lock(mutex_);
  tag_ = epoch;
  retain_ = false;
  let_go_ = false;
}

void WriteLog::Retain() {
  std::lock_guard lock(mutex_);
  retain_ = true;
}

void WriteLog::Rewind() {
  std::lock_guard lock(mutex_);
  RestartReadingLocked();
}

void WriteLog::Retag(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  std::erase_if(parts_, [](const PartRef& part) { return part->ends_epoch; });
  for (const PartRef& part : parts_) part->epoch = epoch;
  tag_ = epoch;
  RestartReadingLocked();
}

void WriteLog::Committed(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  size_t done = 0;
  while (done < next_ && parts_[done]->epoch <= epoch) ++done;
  LetGoTakenLocked(done);
}

void WriteLog::Clear() {
  std::lock_guard lock(mutex_);
  LetGoFrontLocked(parts_.size());
  open_ = false;
  stored_.notify_all();
}

LogStats WriteLog::Stats() {
  std::lock_guard lock(mutex_);
  return {logged_bytes_, memory_bytes_, spill_.used_bytes()};
}

bool WriteLog::HasLetGo() {
  std::lock_guard lock(mutex_);
  return let_go_;
}

void WriteLog::LetGoLocked(Part& part) {
  part.gone = true;
  if (part.spilled_at) {
    spill_.GiveBack(part.bytes);
    garbage_.emplace_back(*part.spilled_at, part.bytes);
  } else {
    memory_bytes_ -= part.bytes;
    // Somebody may still be copying from it: then it dies with him.
    if (part.memory && part.memory.use_count() == 1 && spare_.size() < kSpareBuffersMax) {
      spare_.push_back(std::move(part.memory));
    }
  }
}

void WriteLog::LetGoFrontLocked(size_t count) {
  if (count == 0) return;
  for (size_t i = 0; i < count; ++i) {
    Part& part = *parts_.front();
    waiting_bytes_ -= part.bytes - part.taken_bytes;
    if (part.ends_epoch && next_ == 0) --waiting_marks_;
    LetGoLocked(part);
    parts_.pop_front();
    if (next_ > 0) --next_;
  }
  if (parts_.empty()) open_ = false;
  if (full_told_ && !IsFullLocked()) {
    full_told_ = false;
    options_.on_room();
  }
}

void WriteLog::LetGoTakenLocked(size_t count) {
  for (size_t i = 0; i < count; ++i) let_go_ = let_go_ || parts_[i]->bytes > 0;
  LetGoFrontLocked(count);
}

void WriteLog::RestartReadingLocked() {
  next_ = 0;
  open_ = false;
  waiting_bytes_ = 0;
  waiting_marks_ = 0;
  for (const PartRef& part : parts_) {
    part->taken_bytes = 0;
    waiting_bytes_ += part->bytes;
    waiting_marks_ += part->ends_epoch ? 1 : 0;
  }
}

}  // namespace understudy::mirror
