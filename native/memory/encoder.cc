#include "memory/encoder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "memory/limits.h"
#include "memory/page_delta.h"
#include "memory/remote_memory.h"

namespace understudy::memory {

void Encoder::Begin(const EpochPages& epoch, PageCursor from, PageCursor to,
                    const uint8_t* staged) {
  epoch_ = &epoch;
  at_ = from;
  to_ = to;
  staged_ = staged;
  compares_ = staged && epoch.pages() <= kDeltaEpochPagesMax;
}

Encoded Encoder::Next(uint8_t* into, size_t bytes) {
  if (bytes < kChunkBytesMin) {
    throw CodedError("BUFFER_TOO_SMALL", "a chunk needs a buffer of at least " +
                                             std::to_string(kChunkBytesMin) + " bytes");
  }
  ChunkWriter writer(into, bytes);
  unchanged_ = 0;
  while (!done() && writer.RoomPages() > 0) {
    const CapturedRun& run = epoch_->runs()[at_.run];
    if (run.zero) {
      EncodeZeroRun(run, writer);
    } else if (staged_) {
      EncodeStagedRun(run, writer);
    } else {
      EncodeLivePages(writer);
    }
  }
  Encoded encoded;
  encoded.bytes = writer.Finish();
  encoded.data_pages = writer.data_pages() + writer.delta_pages();
  encoded.zero_pages = writer.zero_pages();
  encoded.unchanged_pages = unchanged_;
  encoded.done = done();
  return encoded;
}

// The caller made sure that the writer has room for one page with a run of its own.
void Encoder::Take(uint64_t page, const uint8_t* content, ChunkWriter& writer) {
  if (IsZeroPage(content)) {
    if (hashes_.HasZero(page)) {
      ++unchanged_;
    } else {
      writer.AddZero(page);
    }
    return;
  }
  if (!staged_) {
    // Sync sends everything once; hashing it would cost more than the few pages it could spare.
    hashes_.ForgetPage(page);
  } else if (compares_) {
    if (TakeKnown(page, content, writer)) return;
  } else if (hashes_.HasContent(page, content)) {
    ++unchanged_;
    return;
  }
  if (writer.Tail() != content) memmove(writer.Tail(), content, kPageBytes);
  writer.CommitData(page);
}

bool Encoder::TakeKnown(uint64_t page, const uint8_t* content, ChunkWriter& writer) {
  uint8_t* const known = hashes_.contents().Find(page);
  if (!known) {
    if (hashes_.HasContent(page, content)) {
      ++unchanged_;
      return true;
    }
    hashes_.contents().Put(page, content);
    return false;
  }
  const uint64_t lines = DifferingLines(known, content);
  if (lines == 0) {
    ++unchanged_;
    return true;
  }
  // Its content says more than its hash, and is looked at first.
  hashes_.ForgetHash(page);
  EachLine(lines, [&](size_t offset) { memcpy(known + offset, content + offset, kLineBytes); });
  if (std::popcount(lines) > kDeltaLinesMax) return false;
  writer.AddDelta(page, lines, content);
  return true;
}

// Ends at the end of the run, or of the window inside it.
static uint64_t EndInRun(const CapturedRun& run, const PageCursor& at, const PageCursor& to) {
  return at.run == to.run ? to.offset : run.count;
}

void Encoder::EncodeZeroRun(const CapturedRun& run, ChunkWriter& writer) {
  const uint64_t end = EndInRun(run, at_, to_);
  uint64_t offset = at_.offset;
  for (; offset < end && writer.RoomPages() > 0; ++offset) {
    const uint64_t page = run.first + offset;
    if (hashes_.HasZero(page)) {
      ++unchanged_;
    } else {
      writer.AddZero(page);
    }
  }
  epoch_->Advance(at_, offset - at_.offset);
}

void Encoder::EncodeStagedRun(const CapturedRun& run, ChunkWriter& writer) {
  const uint64_t end = EndInRun(run, at_, to_);
  uint64_t offset = at_.offset;
  for (; offset < end && writer.RoomPages() > 0; ++offset) {
    Take(run.first + offset, staged_, writer);
    staged_ += kPageBytes;
  }
  epoch_->Advance(at_, offset - at_.offset);
}

// Reads as many pages as fit straight to the writer's tail, then closes the gaps that zero and
// unchanged pages leave.
void Encoder::EncodeLivePages(ChunkWriter& writer) {
  std::array<iovec, kLiveReadPages> pieces;
  std::array<uint64_t, kLiveReadPages> numbers;
  const size_t room = std::min(writer.RoomPages(), kLiveReadPages);
  size_t pages = 0, count = 0;
  PageCursor at = at_;
  while (pages < room && at != to_) {
    const CapturedRun& run = epoch_->runs()[at.run];
    if (run.zero) break;
    const uint64_t wanted = std::min<uint64_t>(EndInRun(run, at, to_) - at.offset, room - pages);
    const RamLayout::Piece piece = layout_.Locate(run.first + at.offset, wanted);
    pieces[count++] = {reinterpret_cast<void*>(piece.hva), piece.pages * kPageBytes};
    for (uint64_t i = 0; i < piece.pages; ++i) numbers[pages++] = run.first + at.offset + i;
    epoch_->Advance(at, piece.pages);
  }
  const uint8_t* const content = writer.Tail();
  ReadRemote(pid_, pieces.data(), count, writer.Tail(), pages * kPageBytes);
  for (size_t i = 0; i < pages; ++i) Take(numbers[i], content + i * kPageBytes, writer);
  at_ = at;
}

}  // namespace understudy::memory
