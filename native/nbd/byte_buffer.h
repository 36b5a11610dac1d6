// A queue of bytes in one piece of memory: filled at the back, taken from the front, always contiguous.
// Its capacity is address space; memory comes with use and what a rare large request took goes back.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstring>

#include "memory/owned.h"
#include "nbd/limits.h"

namespace understudy::nbd {

class ByteBuffer {
 public:
  explicit ByteBuffer(size_t capacity)
      : memory_(capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) {}

  const uint8_t* data() const { return memory_.data() + begin_; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  // Where `bytes` more may be written; size() + bytes must not exceed the capacity.
  uint8_t* Room(size_t bytes) {
    if (begin_ > 0 && end_ + bytes > std::min(kBufferSoftBytes, memory_.bytes())) {
      memmove(memory_.data(), data(), size());
      end_ = size();
      begin_ = 0;
    }
    assert(end_ + bytes <= memory_.bytes());
    return memory_.data() + end_;
  }
  void Grew(size_t bytes) {
    end_ += bytes;
    used_ = std::max(used_, end_);
  }
  void Consume(size_t bytes) {
    begin_ += bytes;
    if (begin_ < end_) return;
    begin_ = end_ = 0;
    if (used_ <= kBufferKeepBytes) return;
    // Fails for no mapping of ours; at worst the memory stays.
    (void)madvise(memory_.data() + kBufferKeepBytes, memory_.bytes() - kBufferKeepBytes, MADV_DONTNEED);
    used_ = kBufferKeepBytes;
  }

 private:
  memory::Mapping memory_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t used_ = 0;
};

}  // namespace understudy::nbd
