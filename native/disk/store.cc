#include "disk/store.h"

#include <algorithm>
#include <exception>

#include "common/async.h"
#include "common/monotonic.h"
#include "disk/limits.h"
#include "memory/owned.h"

namespace understudy::disk {
namespace {


// Runs a step and returns how long it took, ns.
template <typename Step>
uint64_t Timed(Step step) {
  const uint64_t start_ns = MonotonicNs();
  step();
  return MonotonicNs() - start_ns;
}

const char* NameOf(SlotKind kind) {
  switch (kind) {
    case SlotKind::kNone: return "none";
    case SlotKind::kCopying: return "copying";
    case SlotKind::kTransaction: return "consistent";
    case SlotKind::kLive: return "live";
  }
  return "unknown";
}

}  // namespace

Store::Store(const std::string& journal_directory, const std::vector<DiskSpec>& specs)
    : disks_(specs), journal_(journal_directory, disks_.bytes()) {
  if (record().settled) return;
  journal_.MakeDurable();
  if (record().kind == SlotKind::kTransaction && record().chunks > 0) {
    const auto apply = [this](const uint8_t* chunk, size_t bytes) { disks_.Apply(chunk, bytes); };
    journal_.EachChunk(record().chunks, apply);
    disks_.Flush();
    replayed_ = true;
  }
  journal_.Settle();
}

template <typename Change>
void Store::Irrevocably(Change change) {
  try {
    change();
  } catch (const std::exception& failure) {
    broken_ = failure.what();
    throw;
  }
}

void Store::Demand(const char* operation, std::initializer_list<SlotKind> kinds) const {
  if (!broken_.empty()) {
    throw CodedError("STORE_BROKEN", "the store must be opened again, after: " + broken_);
  }
  if (std::find(kinds.begin(), kinds.end(), record().kind) == kinds.end()) {
    throw CodedError("STORE_STATE", std::string(operation) + " is not possible in state " +
                                        NameOf(record().kind));
  }
}

ChunkSummary Store::Validate(const ChunkBytes& chunk) const {
  return ValidateChunk(chunk.data, chunk.bytes, disks_.bytes());
}

void Store::ValidateAll(const std::vector<ChunkBytes>& chunks) const {
  for (const ChunkBytes& chunk : chunks) Validate(chunk);
}

void Store::BeginCopy() {
  Demand("beginCopy", {SlotKind::kNone, SlotKind::kCopying, SlotKind::kTransaction,
                       SlotKind::kLive});
  DiscardStaged();
  if (record().kind == SlotKind::kCopying) return;
  journal_.Begin(SlotKind::kCopying);
  journal_.Seal({});
  Irrevocably([this] {
    journal_.Flush();
    journal_.Settle();
  });
}

void Store::WriteThrough(const std::vector<ChunkBytes>& chunks) {
  Demand("writeThrough", {SlotKind::kCopying});
  ValidateAll(chunks);
  for (const ChunkBytes& chunk : chunks) disks_.Apply(chunk.data, chunk.bytes);
}

void Store::Append(const std::vector<ChunkBytes>& chunks) {
  if (staging_ == Staging::kFailed) {
    throw CodedError("STORE_STATE", "what was staged is incomplete and must be discarded");
  }
  ValidateAll(chunks);
  const bool is_first = staging_ == Staging::kNothing;
  staging_ = Staging::kFailed;
  journal_ns_ = (is_first ? 0 : journal_ns_) + Timed([&] {
    if (is_first) journal_.Begin(SlotKind::kTransaction);
    for (const ChunkBytes& chunk : chunks) {
      if (chunk.bytes > 0) journal_.Append(chunk.data, chunk.bytes);
    }
  });
  staging_ = Staging::kBegun;
}

void Store::Stage(const std::vector<ChunkBytes>& chunks) {
  Demand("stage", {SlotKind::kNone, SlotKind::kTransaction, SlotKind::kLive});
  Append(chunks);
  staged_chunks_ += std::count_if(chunks.begin(), chunks.end(),
                                  [](const ChunkBytes& chunk) { return chunk.bytes > 0; });
}

void Store::DiscardStaged() {
  staging_ = Staging::kNothing;
  staged_chunks_ = 0;
}

CommitTimes Store::Commit(const std::vector<ChunkBytes>& chunks, const Position& position) {
  Demand("commit", {SlotKind::kNone, SlotKind::kCopying, SlotKind::kTransaction, SlotKind::kLive});
  if (record().kind == SlotKind::kCopying) {
    WriteThrough(chunks);
    return RecordInPlace(SlotKind::kTransaction, position);
  }
  // What the transaction was compared with must be there when it is replayed, whoever wrote it.
  if (record().kind != SlotKind::kTransaction) Irrevocably([this] { disks_.Flush(); });
  Append(chunks);
  CommitTimes times;
  staging_ = Staging::kFailed;
  times.journal_ns = journal_ns_ + Timed([&] { times.journal_bytes = journal_.Seal(position); });
  Irrevocably([&] {
    times.journal_flush_ns = Timed([&] { journal_.Flush(); });
    times.apply_ns = Timed([&] {
      const auto apply = [&](const uint8_t* chunk, size_t bytes) {
        times.applied_bytes += disks_.Apply(chunk, bytes);
      };
      // What was not staged is still in memory.
      journal_.EachChunk(staged_chunks_, apply);
      for (const ChunkBytes& chunk : chunks) apply(chunk.data, chunk.bytes);
    });
    times.apply_flush_ns = Timed([&] { disks_.Flush(); });
    journal_.Settle();
  });
  DiscardStaged();
  return times;
}

CommitTimes Store::RecordInPlace(SlotKind kind, const Position& position) {
  CommitTimes times;
  Irrevocably([&] { times.apply_flush_ns = Timed([&] { disks_.Flush(); }); });
  times.journal_ns = Timed([&] {
    journal_.Begin(kind);
    times.journal_bytes = journal_.Seal(position);
  });
  Irrevocably([&] {
    times.journal_flush_ns = Timed([&] { journal_.Flush(); });
    journal_.Settle();
  });
  return times;
}

std::vector<uint8_t> Store::Digests(size_t disk, uint32_t block_bytes, uint64_t seed,
                                    uint64_t first_block, uint64_t count) {
  return disks_.Digests(disk, block_bytes, seed, first_block, count);
}

void Store::GoLive(const Position& position) {
  Demand("goLive", {SlotKind::kNone, SlotKind::kCopying, SlotKind::kTransaction, SlotKind::kLive});
  DiscardStaged();
  RecordInPlace(SlotKind::kLive, position);
}

void Store::Close() {
  // A broken store's files say nothing any more; the next opening writes them anew.
  if (!broken_.empty()) return;
  disks_.Flush();
  journal_.Close();
}

}  // namespace understudy::disk
