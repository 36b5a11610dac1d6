#include "disk/replica_disks.h"

#include <algorithm>

#include "common/async.h"
#include "disk/checksum.h"
#include "disk/disk_chunk.h"
#include "disk/file_io.h"
#include "disk/limits.h"

namespace understudy::disk {
namespace {

// Joins writes that follow one another on a disk into one system call.
class Joiner {
 public:
  explicit Joiner(std::vector<DiskFile>& disks) : disks_(disks) { pieces_.reserve(kJoinPiecesMax); }

  void Add(const Record& record) {
    if (record.kind == RecordKind::kWrite) {
      const bool follows = record.disk == disk_ && record.offset == end_;
      if (!follows || pieces_.size() == kJoinPiecesMax) {
        Finish();
        disk_ = record.disk;
        start_ = record.offset;
      }
      pieces_.push_back({const_cast<uint8_t*>(record.data), record.length});
      end_ = record.offset + record.length;
      return;
    }
    Finish();
    DiskFile& disk = disks_[record.disk];
    if (record.kind == RecordKind::kZero) disk.Zero(record.offset, record.length);
    if (record.kind == RecordKind::kTrim) disk.Trim(record.offset, record.length);
  }

  void Finish() {
    if (pieces_.empty()) return;
    disks_[disk_].Write(start_, pieces_.data(), pieces_.size(), end_ - start_);
    pieces_.clear();
  }

 private:
  std::vector<DiskFile>& disks_;
  std::vector<iovec> pieces_;
  size_t disk_ = 0;
  uint64_t start_ = 0;
  uint64_t end_ = 0;
};

// Where a disk's file has content, asked from front to back.
class Extents {
 public:
  explicit Extents(const DiskFile& disk) : disk_(disk) {}

  bool HasContent(uint64_t start, uint64_t end) {
    if (start >= content_end_) Seek(start);
    return content_start_ < end;
  }

 private:
  void Seek(uint64_t from) {
    content_end_ = disk_.bytes();
    const off_t content = lseek(disk_.fd(), static_cast<off_t>(from), SEEK_DATA);
    if (content < 0 && errno == ENXIO) {
      content_start_ = disk_.bytes();
      return;
    }
    // EINVAL: a block device does not tell its holes.
    if (content < 0 && errno == EINVAL) {
      content_start_ = from;
      return;
    }
    if (content < 0) throw SyscallError("lseek", errno, disk_.path());
    const off_t hole = lseek(disk_.fd(), content, SEEK_HOLE);
    if (hole < 0) throw SyscallError("lseek", errno, disk_.path());
    content_start_ = static_cast<uint64_t>(content);
    content_end_ = static_cast<uint64_t>(hole);
  }

  const DiskFile& disk_;
  uint64_t content_start_ = 0;
  uint64_t content_end_ = 0;
};

}  // namespace

ReplicaDisks::ReplicaDisks(const std::vector<DiskSpec>& specs) {
  for (const DiskSpec& spec : specs) {
    disks_.emplace_back(spec.path, spec.bytes);
    bytes_.push_back(spec.bytes);
  }
}

uint64_t ReplicaDisks::Apply(const uint8_t* chunk, size_t bytes) {
  Joiner joiner(disks_);
  const ChunkSummary summary =
      VisitChunk(chunk, bytes, bytes_, [&](const Record& record) { joiner.Add(record); });
  joiner.Finish();
  return summary.data_bytes;
}

void ReplicaDisks::Flush() {
  for (const DiskFile& disk : disks_) disk.BeginFlush();
  for (DiskFile& disk : disks_) disk.Flush();
}

std::vector<uint8_t> ReplicaDisks::Digests(size_t disk, uint32_t block_bytes, uint64_t seed,
                                           uint64_t first_block, uint64_t count) const {
  const DiskFile& file = disks_[disk];
  Extents extents(file);
  std::vector<uint8_t> block(block_bytes);
  const Checksum zeroes = ChecksumOf(block.data(), block.size(), seed);
  std::vector<uint8_t> digests;
  digests.reserve(count * zeroes.size());
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t start = (first_block + i) * block_bytes;
    const size_t bytes = std::min<uint64_t>(block_bytes, file.bytes() - start);
    Checksum digest = zeroes;
    if (bytes < block_bytes || extents.HasContent(start, start + bytes)) {
      if (ReadAt(file.fd(), start, block.data(), bytes, file.path()) != bytes) {
        throw CodedError("ESIZE", file.path() + " has become shorter");
      }
      digest = ChecksumOf(block.data(), bytes, seed);
    }
    digests.insert(digests.end(), digest.begin(), digest.end());
  }
  return digests;
}

}  // namespace understudy::disk
