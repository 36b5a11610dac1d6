// Where an epoch's pages are copied inside the pause: one bounded, warm arena, filled in the
// order of the epoch's runs.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <vector>

#include "memory/epoch_pages.h"
#include "memory/owned.h"
#include "memory/ram_layout.h"
#include "memory/thread_team.h"

namespace understudy::memory {

class Staging {
 public:
  explicit Staging(size_t bytes);

  // Copies the data pages from `at` on until all are copied or the arena is full; moves `at`.
  // Whatever was staged before is overwritten.
  void Fill(pid_t pid, const RamLayout& layout, const EpochPages& epoch, PageCursor& at,
            ThreadTeam& team);

  const uint8_t* data() const { return arena_.data(); }
  size_t staged_bytes() const { return staged_bytes_; }

 private:
  // Some pieces read by one system call, and where they go.
  struct Batch {
    size_t first_piece;
    size_t pieces;
    size_t offset;
    size_t bytes;
  };
  void Plan(const RamLayout& layout, const EpochPages& epoch, PageCursor& at);
  void AddPiece(uint64_t hva, size_t bytes);

  Mapping arena_;
  size_t staged_bytes_ = 0;
  std::vector<iovec> pieces_;
  std::vector<Batch> batches_;
};

}  // namespace understudy::memory
