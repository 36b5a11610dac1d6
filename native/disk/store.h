// A domain's replica disks and their journal: every change of what the disks hold goes through here. One thread at a
// time, apart from Validate.
//
// A failure before a record's flush (no space for the journal, say) leaves the store usable once what was staged is
// discarded. A failed flush, or a failure in place, ends it (STORE_BROKEN): only opening it again, which writes the
// newest record anew, can tell what is on the disks.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "disk/disk_chunk.h"
#include "disk/journal.h"
#include "disk/replica_disks.h"

namespace understudy::disk {

struct ChunkBytes {
  const uint8_t* data;
  size_t bytes;
};

struct CommitTimes {
  uint64_t journal_bytes = 0;
  uint64_t applied_bytes = 0;
  uint64_t journal_ns = 0;
  uint64_t journal_flush_ns = 0;
  uint64_t apply_ns = 0;
  uint64_t apply_flush_ns = 0;
};

class Store {
 public:
  // Opens and recovers: afterwards the disks are what the journal's record says.
  Store(const std::string& journal_directory, const std::vector<DiskSpec>& specs);

  const SlotVerdict& record() const { return journal_.newest(); }
  // Whether opening had to write a transaction in place (again).
  bool replayed() const { return replayed_; }

  // Any thread.
  const std::vector<uint64_t>& disk_bytes() const { return disks_.bytes(); }
  ChunkSummary Validate(const ChunkBytes& chunk) const;

  void BeginCopy();
  void WriteThrough(const std::vector<ChunkBytes>& chunks);
  void Stage(const std::vector<ChunkBytes>& chunks);
  void DiscardStaged();
  CommitTimes Commit(const std::vector<ChunkBytes>& chunks, const Position& position);
  std::vector<uint8_t> Digests(size_t disk, uint32_t block_bytes, uint64_t seed,
                               uint64_t first_block, uint64_t count);
  void GoLive(const Position& position);
  // Flushes everything. The store must not be used afterwards.
  void Close();

 private:
  enum class Staging { kNothing, kBegun, kFailed };
  // Throws unless the store works and is in one of these states.
  void Demand(const char* operation, std::initializer_list<SlotKind> kinds) const;
  void ValidateAll(const std::vector<ChunkBytes>& chunks) const;
  // Begins a transaction when there is none, and appends.
  void Append(const std::vector<ChunkBytes>& chunks);
  // What is in place becomes durable, then a record without chunks.
  CommitTimes RecordInPlace(SlotKind kind, const Position& position);
  // Runs what must not fail by half: its failure breaks the store.
  template <typename Change>
  void Irrevocably(Change change);

  ReplicaDisks disks_;
  Journal journal_;
  bool replayed_ = false;
  Staging staging_ = Staging::kNothing;
  uint64_t journal_ns_ = 0;
  // Chunks that are in the slot only: of the transaction that is being staged.
  uint64_t staged_chunks_ = 0;
  // Why nothing more can be done; empty while all is well.
  std::string broken_;
};

}  // namespace understudy::disk
