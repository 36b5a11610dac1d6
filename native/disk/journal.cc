#include "disk/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cstdio>
#include <utility>

#include "common/async.h"
#include "disk/limits.h"

namespace understudy::disk {
namespace {

constexpr const char* kSlotNames[] = {"slot-0", "slot-1"};
// The first record becomes slot-0 by a rename, so that it is never seen in part.
constexpr const char* kFirstRecordName = "slot-0.new";
constexpr mode_t kSlotMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
constexpr uint64_t kFirstSequence = 1;

void FlushDirectory(int fd, const std::string& path) {
  if (fsync(fd) != 0) throw SyscallError("fsync", errno, path);
}

memory::UniqueFd OpenDirectory(const std::string& path) {
  return memory::OpenFile(path.c_str(), O_RDONLY | O_DIRECTORY);
}

memory::UniqueFd MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), kDirectoryMode) == 0) {
    // Its name must be as durable as what will be in it.
    const std::string parent = path + "/..";
    FlushDirectory(OpenDirectory(parent).get(), parent);
  } else if (errno != EEXIST) {
    throw SyscallError("mkdir", errno, path);
  }
  return OpenDirectory(path);
}

[[noreturn]] void Damaged(const std::string& directory, const std::string& reason) {
  throw CodedError("JOURNAL_DAMAGED", "the journal in " + directory + " is damaged: " + reason);
}

}  // namespace

Journal::Slot Journal::OpenSlot(int directory, const char* name, int flags) {
  memory::UniqueFd fd(openat(directory, name, flags | O_CLOEXEC, kSlotMode));
  const bool exists = static_cast<bool>(fd);
  if (!exists && errno != ENOENT) throw SyscallError("openat", errno, name);
  Slot slot{SlotFile(std::move(fd), name), {}};
  if (exists) slot.verdict = JudgeSlot(slot.file.Bytes());
  return slot;
}

Journal::Journal(std::string directory, std::vector<uint64_t> disk_bytes)
    : directory_(std::move(directory)),
      disk_bytes_(std::move(disk_bytes)),
      directory_fd_(MakeDirectory(directory_)) {
  // Of the directory itself: no lock file is left behind, and the lock ends with the process.
  if (flock(directory_fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    throw SyscallError("flock", errno == EWOULDBLOCK ? EBUSY : errno,
                       directory_ + " is in use by another store");
  }
  for (const char* name : kSlotNames) {
    slots_.push_back(OpenSlot(directory_fd_.get(), name, O_RDWR));
  }
  const Choice choice = Choose(slots_[0].verdict, slots_[1].verdict);
  switch (choice.kind) {
    case Choice::Kind::kDamaged:
      Damaged(directory_, choice.reason);
    case Choice::Kind::kFresh:
      Create();
      break;
    case Choice::Kind::kSlot:
      current_ = choice.slot;
      // A journal without a record says nothing about disks, of whatever size.
      if (newest().kind != SlotKind::kNone && newest().disk_bytes != disk_bytes_) {
        throw CodedError("ESIZE", "the journal in " + directory_ + " is of disks of other sizes");
      }
  }
}

void Journal::Create() {
  const int directory = directory_fd_.get();
  slots_[1] = OpenSlot(directory, kSlotNames[1], O_RDWR | O_CREAT | O_TRUNC);
  slots_[0] = OpenSlot(directory, kFirstRecordName, O_RDWR | O_CREAT | O_TRUNC);
  slots_[0].file.Begin(SlotKind::kNone, kFirstSequence, disk_bytes_);
  slots_[0].verdict = slots_[0].file.Seal({});
  slots_[0].file.Flush();
  // slot-1 has its name before slot-0 has: a file that is missing later is damage.
  FlushDirectory(directory, directory_);
  if (renameat(directory, kFirstRecordName, directory, kSlotNames[0]) != 0) {
    throw SyscallError("renameat", errno, directory_);
  }
  FlushDirectory(directory, directory_);
  current_ = 0;
}

void Journal::Begin(SlotKind kind) {
  other().verdict = {};
  other().file.Begin(kind, newest().sequence + 1, disk_bytes_);
}

void Journal::Append(const uint8_t* chunk, size_t bytes) { other().file.Append(chunk, bytes); }

uint64_t Journal::Seal(const Position& position) {
  other().verdict = other().file.Seal(position);
  return other().verdict.total_bytes;
}

void Journal::Flush() {
  other().file.Flush();
  current_ = 1 - current_;
  other().file.Mark(MarkKind::kSuperseded, other().verdict);
}

void Journal::MakeDurable() {
  if (newest().settled) return;
  slots_[current_].file.Rewrite(newest());
  if (other().verdict.state == SlotVerdict::State::kWhole) {
    other().file.Mark(MarkKind::kSuperseded, other().verdict);
  }
}

void Journal::Settle() {
  Slot& slot = slots_[current_];
  slot.file.Mark(MarkKind::kSettled, slot.verdict);
  slot.verdict.settled = true;
  slot.file.CutBack(slot.verdict);
}

void Journal::EachChunk(uint64_t count,
                        const std::function<void(const uint8_t*, size_t)>& visit) const {
  slots_[current_].file.EachChunk(newest(), count, visit);
}

void Journal::Close() const {
  for (const Slot& slot : slots_) slot.file.Flush();
}

SlotVerdict ReadNewest(const std::string& directory) {
  memory::UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return {};
  if (!fd) throw SyscallError("open", errno, directory);
  for (int attempt = 1;; ++attempt) {
    const SlotVerdict slots[] = {
        Journal::OpenSlot(fd.get(), kSlotNames[0], O_RDONLY).verdict,
        Journal::OpenSlot(fd.get(), kSlotNames[1], O_RDONLY).verdict,
    };
    const Choice choice = Choose(slots[0], slots[1]);
    if (choice.kind == Choice::Kind::kFresh) return {};
    if (choice.kind == Choice::Kind::kSlot) return slots[choice.slot];
    if (attempt == kReadAttemptsMax) Damaged(directory, choice.reason);
  }
}

}  // namespace understudy::disk
