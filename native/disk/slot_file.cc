#include "disk/slot_file.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/async.h"
#include "disk/file_io.h"
#include "disk/limits.h"

namespace understudy::disk {
namespace {

uint64_t NewNonce() {
  uint64_t nonce;
  // Up to 256 bytes come whole and are not interrupted (getrandom(2)).
  if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) throw SyscallError("getrandom", errno);
  return nonce;
}

}  // namespace

SlotFile::SlotFile(memory::UniqueFd fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)) {}

SlotBytes SlotFile::Bytes() const {
  return [this](uint64_t offset, uint8_t* into, size_t bytes) {
    return ReadAt(fd_.get(), offset, into, bytes, path_);
  };
}

void SlotFile::Begin(SlotKind kind, uint64_t sequence, const std::vector<uint64_t>& disk_bytes) {
  // Zeroes to the body: the marks of the record before must not stay.
  uint8_t front[kBodyAt] = {};
  SlotHeader header{};
  header.magic = kSlotMagic;
  header.version = kSlotVersion;
  header.kind = kind;
  header.disks = static_cast<uint8_t>(disk_bytes.size());
  header.sequence = sequence;
  header.nonce = NewNonce();
  std::copy(disk_bytes.begin(), disk_bytes.end(), header.disk_bytes.begin());
  header.checksum = ChecksumOf(&header, offsetof(SlotHeader, checksum), 0);
  memcpy(front, &header, sizeof header);

  SlotVerdict verdict;
  verdict.state = SlotVerdict::State::kWhole;
  verdict.kind = kind;
  verdict.sequence = sequence;
  verdict.nonce = header.nonce;
  verdict.disk_bytes = disk_bytes;
  writing_.emplace(Writing{std::move(verdict), RunningChecksum(header.nonce)});
  writing_->whole.Update(&header, sizeof header);
  at_ = writing_out_to_ = 0;
  Write(front, sizeof front, nullptr, 0);
}

void SlotFile::Append(const uint8_t* chunk, size_t bytes) {
  const ChunkHead head{kChunkMagic, 0, bytes, ChecksumOf(chunk, bytes, writing_->verdict.nonce)};
  Write(&head, sizeof head, chunk, bytes);
  writing_->whole.Update(&head, sizeof head);
  ++writing_->verdict.chunks;
  if (at_ - writing_out_to_ >= kWriteOutBytes) {
    BeginWriteOut(fd_.get(), writing_out_to_, at_ - writing_out_to_);
    writing_out_to_ = at_;
  }
}

SlotVerdict SlotFile::Seal(const Position& position) {
  SlotVerdict verdict = writing_->verdict;
  verdict.position = position;
  verdict.total_bytes = at_ + sizeof(CommitRecord);
  CommitRecord commit{kCommitMagic,   0,        verdict.sequence, verdict.total_bytes,
                      verdict.chunks, position, {}};
  writing_->whole.Update(&commit, offsetof(CommitRecord, checksum));
  commit.checksum = writing_->whole.Result();
  Write(&commit, sizeof commit, nullptr, 0);
  return verdict;
}

void SlotFile::Flush() const { FlushFile(fd_.get(), path_); }

void SlotFile::Write(const void* head, size_t head_bytes, const void* body, size_t body_bytes) {
  iovec pieces[] = {{const_cast<void*>(head), head_bytes}, {const_cast<void*>(body), body_bytes}};
  WriteAt(fd_.get(), at_, pieces, body_bytes > 0 ? 2 : 1, path_);
  at_ += head_bytes + body_bytes;
}

void SlotFile::Mark(MarkKind kind, const SlotVerdict& verdict) const {
  SlotMark mark{static_cast<uint32_t>(kind), 0, verdict.sequence, {}};
  mark.checksum = ChecksumOf(&mark, offsetof(SlotMark, checksum), verdict.nonce);
  WriteAt(fd_.get(), MarkAt(kind), &mark, sizeof mark, path_);
}

void SlotFile::Rewrite(const SlotVerdict& verdict) const {
  std::vector<uint8_t> piece(std::min<uint64_t>(verdict.total_bytes, kSlotPieceBytes));
  for (uint64_t at = 0; at < verdict.total_bytes;) {
    const size_t count = std::min<uint64_t>(piece.size(), verdict.total_bytes - at);
    if (ReadAt(fd_.get(), at, piece.data(), count, path_) != count) {
      throw CodedError("JOURNAL_DAMAGED", path_ + " shrank while it was read");
    }
    WriteAt(fd_.get(), at, piece.data(), count, path_);
    at += count;
  }
  Flush();
}

void SlotFile::EachChunk(const SlotVerdict& verdict, uint64_t count,
                         const std::function<void(const uint8_t*, size_t)>& visit) const {
  std::vector<uint8_t> chunk;
  uint64_t at = kBodyAt;
  for (uint64_t i = 0; i < std::min(count, verdict.chunks); ++i) {
    ChunkHead head;
    const bool has_head = ReadAt(fd_.get(), at, &head, sizeof head, path_) == sizeof head;
    if (!has_head || head.magic != kChunkMagic || head.bytes > kChunkBytesMax) {
      throw CodedError("JOURNAL_DAMAGED", path_ + " changed after it was checked");
    }
    // Grows only: filling it with zeroes first would cost as much as reading.
    if (chunk.size() < head.bytes) chunk.resize(head.bytes);
    if (ReadAt(fd_.get(), at + sizeof head, chunk.data(), head.bytes, path_) != head.bytes) {
      throw CodedError("JOURNAL_DAMAGED", path_ + " shrank while it was read");
    }
    visit(chunk.data(), head.bytes);
    at += sizeof head + head.bytes;
  }
}

void SlotFile::CutBack(const SlotVerdict& verdict) const {
  struct stat status;
  if (fstat(fd_.get(), &status) != 0) throw SyscallError("fstat", errno, path_);
  const uint64_t file_bytes = static_cast<uint64_t>(status.st_size);
  if (file_bytes <= kSlotKeepBytes || verdict.total_bytes > file_bytes / kSlotIdleFactor) return;
  const uint64_t keep = std::max(kSlotKeepBytes, verdict.total_bytes);
  if (ftruncate(fd_.get(), static_cast<off_t>(keep)) != 0) {
    throw SyscallError("ftruncate", errno, path_);
  }
}

}  // namespace understudy::disk
