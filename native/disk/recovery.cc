#include "disk/recovery.h"

#include <algorithm>
#include <optional>

#include "disk/limits.h"

namespace understudy::disk {
namespace {

using State = SlotVerdict::State;

SlotVerdict Unusable(std::string reason) {
  SlotVerdict verdict;
  verdict.state = State::kUnusable;
  verdict.reason = std::move(reason);
  return verdict;
}

template <typename T>
std::optional<T> ReadAs(const SlotBytes& slot, uint64_t offset) {
  uint8_t bytes[sizeof(T)];
  if (slot(offset, bytes, sizeof bytes) != sizeof bytes) return std::nullopt;
  T value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

bool IsMarked(const SlotBytes& slot, const SlotHeader& header, MarkKind kind) {
  const auto mark = ReadAs<SlotMark>(slot, MarkAt(kind));
  return mark && mark->magic == static_cast<uint32_t>(kind) && mark->sequence == header.sequence &&
         mark->checksum == ChecksumOf(&*mark, offsetof(SlotMark, checksum), header.nonce);
}

bool IsPlausible(const SlotHeader& header) {
  if (header.kind > SlotKind::kLive || header.disks == 0 || header.disks > kDisksMax) return false;
  const auto end = header.disk_bytes.begin() + header.disks;
  return std::none_of(header.disk_bytes.begin(), end, [](uint64_t size) { return size == 0; });
}

// Whether `bytes` from `offset` on have this checksum.
bool Matches(const SlotBytes& slot, uint64_t offset, uint64_t bytes, const Checksum& expected,
             uint64_t seed) {
  std::vector<uint8_t> piece(std::min<uint64_t>(bytes, kSlotPieceBytes));
  RunningChecksum running(seed);
  for (uint64_t done = 0; done < bytes;) {
    const size_t count = std::min<uint64_t>(piece.size(), bytes - done);
    if (slot(offset + done, piece.data(), count) != count) return false;
    running.Update(piece.data(), count);
    done += count;
  }
  return running.Result() == expected;
}

}  // namespace

SlotVerdict JudgeSlot(const SlotBytes& slot) {
  uint8_t first;
  if (slot(0, &first, 1) == 0) {
    SlotVerdict empty;
    empty.state = State::kEmpty;
    return empty;
  }
  const auto header = ReadAs<SlotHeader>(slot, 0);
  if (!header) return Unusable("the header is cut off");
  if (header->magic != kSlotMagic) return Unusable("there is no header");
  if (header->checksum != ChecksumOf(&*header, offsetof(SlotHeader, checksum), 0)) {
    return Unusable("the header's checksum is wrong");
  }
  if (header->version != kSlotVersion) {
    SlotVerdict foreign = Unusable("the version is " + std::to_string(header->version));
    foreign.state = State::kForeign;
    return foreign;
  }
  if (!IsPlausible(*header)) return Unusable("the header's fields are out of bounds");

  RunningChecksum whole(header->nonce);
  whole.Update(&*header, sizeof *header);
  uint64_t at = kBodyAt;
  for (uint64_t chunks = 0;; ++chunks) {
    const auto magic = ReadAs<uint32_t>(slot, at);
    if (!magic) return Unusable("the commit record is cut off");
    if (*magic == kCommitMagic) {
      const auto commit = ReadAs<CommitRecord>(slot, at);
      if (!commit) return Unusable("the commit record is cut off");
      whole.Update(&*commit, offsetof(CommitRecord, checksum));
      if (commit->checksum != whole.Result() || commit->sequence != header->sequence ||
          commit->chunks != chunks || commit->total_bytes != at + sizeof *commit) {
        return Unusable("the commit record is not this transaction's");
      }
      SlotVerdict verdict;
      verdict.state = State::kWhole;
      verdict.kind = header->kind;
      verdict.sequence = header->sequence;
      verdict.nonce = header->nonce;
      verdict.disk_bytes.assign(header->disk_bytes.begin(),
                                header->disk_bytes.begin() + header->disks);
      verdict.position = commit->position;
      verdict.total_bytes = commit->total_bytes;
      verdict.chunks = chunks;
      verdict.settled = IsMarked(slot, *header, MarkKind::kSettled);
      verdict.superseded = IsMarked(slot, *header, MarkKind::kSuperseded);
      return verdict;
    }
    const auto head = ReadAs<ChunkHead>(slot, at);
    if (!head || head->magic != kChunkMagic) return Unusable("there is no commit record");
    if (head->bytes == 0 || head->bytes > kChunkBytesMax) {
      return Unusable("a chunk's length is out of bounds");
    }
    if (!Matches(slot, at + sizeof *head, head->bytes, head->checksum, header->nonce)) {
      return Unusable("a chunk's checksum is wrong");
    }
    whole.Update(&*head, sizeof *head);
    at += sizeof *head + head->bytes;
  }
}

Choice Choose(const SlotVerdict& slot0, const SlotVerdict& slot1) {
  const auto damaged = [](std::string reason) {
    return Choice{Choice::Kind::kDamaged, 0, std::move(reason)};
  };
  const auto holds_nothing = [](const SlotVerdict& slot) {
    return slot.state == State::kMissing || slot.state == State::kEmpty;
  };
  const SlotVerdict* const slots[] = {&slot0, &slot1};
  for (size_t i = 0; i < 2; ++i) {
    if (slots[i]->state == State::kForeign) {
      return damaged("slot " + std::to_string(i) + " is not ours: " + slots[i]->reason);
    }
  }
  if (holds_nothing(slot0) && holds_nothing(slot1)) return {Choice::Kind::kFresh, 0, ""};
  // A new journal's first record comes with both files in place (Journal::Create).
  if (slot0.state == State::kMissing || slot1.state == State::kMissing) {
    return damaged("one of its files is missing");
  }
  const bool whole0 = slot0.state == State::kWhole;
  const bool whole1 = slot1.state == State::kWhole;
  if (!whole0 && !whole1) {
    const auto said = [](const SlotVerdict& slot) {
      return slot.state == State::kEmpty ? std::string("it is empty") : slot.reason;
    };
    return damaged("neither slot is whole (slot 0: " + said(slot0) + "; slot 1: " + said(slot1) +
                   ")");
  }
  if (whole0 && whole1 && slot0.sequence == slot1.sequence) {
    return damaged("both slots have the same sequence number");
  }
  const size_t newest = whole0 && (!whole1 || slot0.sequence > slot1.sequence) ? 0 : 1;
  if (slots[newest]->superseded) {
    const SlotVerdict& other = *slots[1 - newest];
    return damaged("a newer record than that of slot " + std::to_string(newest) + " is lost (" +
                   (other.state == State::kUnusable ? other.reason : "the other slot is older") +
                   ")");
  }
  return {Choice::Kind::kSlot, newest, ""};
}

}  // namespace understudy::disk
