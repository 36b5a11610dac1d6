// One slot of the journal as a file: writes a record into it, marks it, reads it back.
//
// A record is durable after one flush, with no order among the writes before it: the commit record's checksum stands
// for every byte, so a slot of which any part is missing is not whole.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "disk/recovery.h"
#include "disk/slot_format.h"
#include "memory/owned.h"

namespace understudy::disk {

class SlotFile {
 public:
  SlotFile(memory::UniqueFd fd, std::string path);

  // As it is on disk; valid while this object lives.
  SlotBytes Bytes() const;

  // Begins to overwrite the slot.
  void Begin(SlotKind kind, uint64_t sequence, const std::vector<uint64_t>& disk_bytes);
  // Writes one chunk, already validated and not empty.
  void Append(const uint8_t* chunk, size_t bytes);
  // Writes the commit record; durable after Flush. Returns what JudgeSlot would say of the slot now.
  SlotVerdict Seal(const Position& position);
  void Flush() const;

  // Marks a whole slot. Not flushed: a mark that is lost costs a needless replay or the detection of later damage.
  void Mark(MarkKind kind, const SlotVerdict& verdict) const;
  // Writes every byte of a whole slot again, and flushes: what was read may never have reached the disk.
  void Rewrite(const SlotVerdict& verdict) const;
  // Calls visit(content, bytes) for every chunk of a whole slot, in order.
  // The first `count`.
  void EachChunk(const SlotVerdict& verdict, uint64_t count,
                 const std::function<void(const uint8_t*, size_t)>& visit) const;
  // Gives blocks far behind the commit record back (kSlotKeepBytes).
  void CutBack(const SlotVerdict& verdict) const;

 private:
  // The record being written: what it will be, and the checksum of its parts so far.
  struct Writing {
    SlotVerdict verdict;
    RunningChecksum whole;
  };
  void Write(const void* head, size_t head_bytes, const void* body, size_t body_bytes);

  memory::UniqueFd fd_;
  std::string path_;
  std::optional<Writing> writing_;
  uint64_t at_ = 0;
  uint64_t writing_out_to_ = 0;
};

}  // namespace understudy::disk
