#include "memory/staging.h"

#include <algorithm>
#include <cstring>

#include "memory/limits.h"
#include "memory/remote_memory.h"

namespace understudy::memory {

Staging::Staging(size_t bytes)
    : arena_(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) {
  if (madvise(arena_.data(), bytes, MADV_DONTFORK) != 0) throw SyscallError("madvise", errno);
  // Fails where the kernel has no huge pages; base pages are only slower.
  (void)madvise(arena_.data(), bytes, MADV_HUGEPAGE);
  memset(arena_.data(), 0xff, std::min(bytes, kStagingWarmBytes));
  pieces_.reserve(kScanRegionsMax);
  batches_.reserve(kScanRegionsMax);
}

void Staging::AddPiece(uint64_t hva, size_t bytes) {
  if (batches_.empty() || batches_.back().pieces == kReadPiecesMax ||
      batches_.back().bytes + bytes > kCopyBatchBytes) {
    batches_.push_back({pieces_.size(), 0, staged_bytes_, 0});
  }
  pieces_.push_back({reinterpret_cast<void*>(hva), bytes});
  batches_.back().pieces += 1;
  batches_.back().bytes += bytes;
  staged_bytes_ += bytes;
}

void Staging::Plan(const RamLayout& layout, const EpochPages& epoch, PageCursor& at) {
  pieces_.clear();
  batches_.clear();
  staged_bytes_ = 0;
  while (at != epoch.end()) {
    const CapturedRun& run = epoch.runs()[at.run];
    const uint64_t left = run.count - at.offset;
    if (run.zero) {
      epoch.Advance(at, left);
      continue;
    }
    const size_t room_pages = (arena_.bytes() - staged_bytes_) / kPageBytes;
    if (room_pages == 0) return;
    const uint64_t wanted =
        std::min({left, uint64_t{room_pages}, uint64_t{kCopyBatchBytes / kPageBytes}});
    const RamLayout::Piece piece = layout.Locate(run.first + at.offset, wanted);
    AddPiece(piece.hva, piece.pages * kPageBytes);
    epoch.Advance(at, piece.pages);
  }
}

void Staging::Fill(pid_t pid, const RamLayout& layout, const EpochPages& epoch, PageCursor& at,
                   ThreadTeam& team) {
  Plan(layout, epoch, at);
  const auto copy = [&](size_t i) {
    const Batch& batch = batches_[i];
    ReadRemote(pid, &pieces_[batch.first_piece], batch.pieces, arena_.data() + batch.offset,
               batch.bytes);
  };
  if (team.threads() > 1 && staged_bytes_ >= kParallelCopyBytesMin) {
    team.Run(batches_.size(), copy);
  } else {
    for (size_t i = 0; i < batches_.size(); ++i) copy(i);
  }
}

}  // namespace understudy::memory
