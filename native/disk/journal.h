// The journal of a domain's replica: two slots used in turn, one record in each, the newer one counts. slot_format.h
// has the bytes, recovery.h the rules by which a record is found again.
//
// What happens to a transaction, in order; "|" is a flush (fdatasync), which orders what is on both sides of it:
//
//   slot B: header, chunks, commit record | slot A: mark superseded; disks: in place | slot B: mark settled
//
// and where a crash leaves us (A holds record n, settled; B is about to hold n + 1):
//
//   before B's flush ends           A is whole; B is torn, or whole by luck. The disks are as n left them, so either
//                                   may count: n + 1 is replayed, or was never there.
//   after it, disks in any mixture  B is whole and not settled: it is replayed wholly over the mixture.
//   after the disks' flush          The same, or B is settled and nothing is done.
//
// A is not written again before the disks' flush for B has ended, so the newest durable record is never lost. Its
// blocks are kept and overwritten. After a failed flush nothing more is written until the journal is opened again:
// then the newest record is written and flushed anew before it is acted on, as it may be in the page cache only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "disk/recovery.h"
#include "disk/slot_file.h"
#include "memory/owned.h"

namespace understudy::disk {

class Journal {
 public:
  // Opens the journal in `directory`, or makes one, of kind none. Only one may have it open: EBUSY. Throws
  // JOURNAL_DAMAGED when its record is lost.
  Journal(std::string directory, std::vector<uint64_t> disk_bytes);

  // The record that counts.
  const SlotVerdict& newest() const { return slots_[current_].verdict; }

  // Begins the next record in the other slot, over what may have been begun there before.
  void Begin(SlotKind kind);
  void Append(const uint8_t* chunk, size_t bytes);
  // Ends writing: the record is complete but not durable. Returns its bytes.
  uint64_t Seal(const Position& position);
  // Makes it durable: from now on it counts. When this throws, the journal must be opened anew.
  void Flush();

  // Makes the newest record durable when it was found and not written by us.
  void MakeDurable();
  // What the newest record stands for is durable on the disks.
  void Settle();
  // Calls visit(chunk, bytes) for the first `count` chunks of the newest record, in order.
  void EachChunk(uint64_t count, const std::function<void(const uint8_t*, size_t)>& visit) const;
  // Makes the marks durable too.
  void Close() const;

 private:
  struct Slot {
    SlotFile file;
    SlotVerdict verdict;
  };
  static Slot OpenSlot(int directory, const char* name, int flags);
  void Create();
  Slot& other() { return slots_[1 - current_]; }

  std::string directory_;
  std::vector<uint64_t> disk_bytes_;
  memory::UniqueFd directory_fd_;
  std::vector<Slot> slots_;
  size_t current_ = 0;

  friend SlotVerdict ReadNewest(const std::string& directory);
};

// The record of a journal that need not exist, may be in use, and is not changed; kind none when there is none.
// Throws JOURNAL_DAMAGED.
SlotVerdict ReadNewest(const std::string& directory);

}  // namespace understudy::disk
