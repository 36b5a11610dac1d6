#include "mirror/remembered.h"

#include <algorithm>
#include <cstring>

#include "common/async.h"
#include "mirror/limits.h"
#include "mirror/records.h"

namespace understudy::mirror {
namespace {

using disk::kRecordHeaderBytes;
using disk::Record;
using disk::RecordKind;

// The last sector of a disk may be short.
uint64_t SectorsOf(uint64_t bytes) { return (bytes + kSectorBytes - 1) / kSectorBytes; }

}  // namespace

RememberedWrites::RememberedWrites(const std::string& directory, const std::vector<uint64_t>& disk_bytes,
                                   uint64_t data_bytes_max)
    : data_bytes_max_(data_bytes_max) {
  for (const uint64_t bytes : disk_bytes) {
    disks_.push_back({bytes, UnnamedFile(directory), SectorMap(SectorsOf(bytes))});
  }
}

void RememberedWrites::Store(const uint8_t* chunk, size_t bytes) {
  std::lock_guard lock(mutex_);
  replayed_ = false;
  ForEachRecord(chunk, bytes, [this](const Record& record) {
    Disk& disk = disks_[record.disk];
    const uint64_t begin = record.offset / kSectorBytes;
    const uint64_t end = SectorsOf(record.offset + record.length);
    if (record.kind == RecordKind::kWrite) {
      disk.file.Write(record.data, record.length, record.offset);
      disk.map.MarkData(begin, end);
    } else if (disk.map.MarkZero(begin, end)) {
      disk.file.Punch(record.offset, record.length);
    }
  });
  CountRemainingLocked();
  uint64_t data_bytes = 0;
  for (const Disk& disk : disks_) data_bytes += disk.map.data_sectors() * kSectorBytes;
  if (data_bytes > data_bytes_max_) {
    throw CodedError("FORGOTTEN", std::to_string(data_bytes) + " bytes were written since the last commit, more than the " +
                                      std::to_string(data_bytes_max_) + " that may be kept");
  }
}

bool RememberedWrites::Read(size_t disk_index, uint64_t offset, uint8_t* into, size_t bytes,
                            bool absent_is_zero) {
  std::lock_guard lock(mutex_);
  const Disk& disk = disks_[disk_index];
  const uint64_t end = offset + bytes;
  while (offset < end) {
    const SectorRun run = disk.map.RunAt(offset / kSectorBytes, SectorsOf(end));
    const size_t length = std::min(end, run.end * kSectorBytes) - offset;
    if (run.state == SectorState::kAbsent && !absent_is_zero) return false;
    if (run.state == SectorState::kData) {
      disk.file.Read(into, length, offset);
    } else {
      memset(into, 0, length);
    }
    into += length;
    offset += length;
  }
  return true;
}

void RememberedWrites::Rewind(uint64_t reader) {
  std::lock_guard lock(mutex_);
  reader_ = reader;
  next_disk_ = 0;
  next_sector_ = 0;
  replayed_ = false;
  CountRemainingLocked();
}

size_t RememberedWrites::Replay(uint64_t reader, uint8_t* into, size_t room) {
  std::lock_guard lock(mutex_);
  if (reader != reader_) throw CodedError("STOPPED", "the log is not taken from any more");
  size_t used = 0;
  while (next_disk_ < disks_.size()) {
    const auto run = disks_[next_disk_].map.NextPresent(next_sector_);
    if (!run) {
      ++next_disk_;
      next_sector_ = 0;
      continue;
    }
    const size_t added = EmitRun(next_disk_, *run, into + used, room - used);
    if (added == 0) break;
    used += added;
  }
  replayed_ = next_disk_ == disks_.size();
  return used;
}

bool RememberedWrites::FreeReplayed() {
  std::lock_guard lock(mutex_);
  if (!replayed_) return false;
  bool anything = false;
  for (const Disk& disk : disks_) anything = anything || disk.map.present_sectors() > 0;
  ClearLocked();
  return anything;
}

void RememberedWrites::Clear() {
  std::lock_guard lock(mutex_);
  ClearLocked();
}

// As much of the run as there is room for; moves the place of the replay behind it.
size_t RememberedWrites::EmitRun(size_t disk, const SectorRun& run, uint8_t* into, size_t room) {
  if (room < kRecordHeaderBytes) return 0;
  const uint64_t offset = run.begin * kSectorBytes;
  Record record{kHole, static_cast<uint8_t>(disk), offset,
                std::min(run.end * kSectorBytes, disks_[disk].bytes) - offset, nullptr};
  size_t data_bytes = 0;
  if (run.state == SectorState::kData) {
    record.kind = RecordKind::kWrite;
    record.length = CutAt(offset, record.length, room - kRecordHeaderBytes);
    if (record.length == 0) return 0;
    data_bytes = record.length;
    disks_[disk].file.Read(into + kRecordHeaderBytes, data_bytes, offset);
  }
  disk::WriteRecordHeader(into, record);
  next_sector_ = SectorsOf(offset + record.length);
  remaining_bytes_ -= (next_sector_ - run.begin) * kSectorBytes;
  return kRecordHeaderBytes + data_bytes;
}

void RememberedWrites::CountRemainingLocked() {
  uint64_t sectors = 0;
  for (const Disk& disk : disks_) sectors += disk.map.present_sectors();
  remaining_bytes_ = sectors * kSectorBytes;
}

void RememberedWrites::ClearLocked() {
  for (Disk& disk : disks_) {
    disk.map.Clear();
    disk.file.Clear();
  }
  replayed_ = false;
  CountRemainingLocked();
}

}  // namespace understudy::mirror
