// What the bytes of two slots say: the pure half of recovery. No file is opened or changed here.
//
// At every moment one slot is whole, because a record is written into the slot that does not hold the newest one.
// So a slot that is not whole is either one that was being written when the host fell, and the other one counts,
// or it is damaged. Two things tell damage from a torn write: both slots are unusable, which no crash can cause;
// or the newest whole slot is marked as superseded, that is, a newer record was durable once and is not to be seen.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "disk/slot_format.h"

namespace understudy::disk {

// Copies up to `bytes` from `offset` on and returns how many; fewer only at the slot's end.
using SlotBytes = std::function<size_t(uint64_t offset, uint8_t* into, size_t bytes)>;

struct SlotVerdict {
  // `missing`: no file. `empty`: no bytes. `unusable`: torn or damaged. `foreign`: of another version.
  enum class State { kMissing, kEmpty, kUnusable, kForeign, kWhole };
  State state = State::kMissing;
  // Why it is unusable.
  std::string reason;
  // The rest is of a whole slot only.
  SlotKind kind = SlotKind::kNone;
  uint64_t sequence = 0;
  uint64_t nonce = 0;
  std::vector<uint64_t> disk_bytes;
  Position position;
  uint64_t total_bytes = 0;
  uint64_t chunks = 0;
  // The record and everything it stands for was durable, so that nothing is left to be done.
  bool settled = false;
  // A newer record was durable in the other slot.
  bool superseded = false;
};

SlotVerdict JudgeSlot(const SlotBytes& slot);

struct Choice {
  enum class Kind { kFresh, kDamaged, kSlot };
  Kind kind;
  // The newest record's slot, 0 or 1.
  size_t slot = 0;
  // Why the journal is damaged.
  std::string reason;
};

Choice Choose(const SlotVerdict& slot0, const SlotVerdict& slot1);

}  // namespace understudy::disk
