// A first-in first-out store of frames in large chunks: no allocation per frame, frames are
// read from the tap straight into place. Not thread-safe; the holder's mutex guards it. The
// one exception: the bytes of Front() may be read without the mutex until PopFront(), because
// nothing moves or overwrites a stored frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace understudy {

struct Frame {
  const uint8_t* bytes;
  size_t length;
  uint64_t epoch;
  uint64_t arrived_ns;
};

class FrameArena {
 public:
  // Room for one frame of kFrameBytesMax; valid until the next Reserve or Commit.
  uint8_t* Reserve();
  // Stores the first `length` bytes of the reserved room as the newest frame.
  void Commit(size_t length, uint64_t epoch, uint64_t arrived_ns);

  bool empty() const { return frames_ == 0; }
  // The oldest frame; the arena must not be empty.
  Frame Front() const;
  void PopFront();
  // Throws away everything (but the oldest frame when it is being written); returns how many.
  size_t Clear(bool keep_front);

  size_t frames() const { return frames_; }
  // Sum of the frames' lengths.
  size_t bytes() const { return bytes_; }

 private:
  struct Record {
    uint64_t epoch;
    uint64_t arrived_ns;
    uint64_t length;
  };
  struct Chunk {
    std::unique_ptr<uint8_t[]> memory;
    size_t begin = 0;
    size_t end = 0;
  };

  static size_t RecordBytes(size_t length);
  void Recycle(Chunk chunk);

  std::deque<Chunk> chunks_;
  std::vector<Chunk> spare_;
  size_t frames_ = 0;
  size_t bytes_ = 0;
};

}  // namespace understudy
