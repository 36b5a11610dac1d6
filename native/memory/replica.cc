#include "memory/replica.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "memory/digest.h"
#include "memory/limits.h"
#include "memory/page_delta.h"

namespace understudy::memory {
namespace {

[[noreturn]] void Refuse(const std::string& why) {
  throw CodedError("BLOCKS_INVALID", "the replica's blocks are refused: " + why);
}

// Calls found(start, end) for each stretch of the file that has content.
template <typename Found>
void EachFilled(int file, uint64_t bytes, Found found) {
  const off_t limit = static_cast<off_t>(bytes);
  for (off_t at = 0; at < limit;) {
    const off_t data = lseek(file, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return;
    if (data < 0) throw SyscallError("lseek", errno);
    const off_t hole = lseek(file, data, SEEK_HOLE);
    if (hole < 0) throw SyscallError("lseek", errno);
    if (data < limit)
      found(static_cast<uint64_t>(data), static_cast<uint64_t>(std::min(hole, limit)));
    at = hole;
  }
}

}  // namespace

Replica::Replica(std::vector<ReplicaBlock> blocks) {
  if (blocks.empty() || blocks.size() > kRangesMax) Refuse("their number is out of bounds");
  std::sort(blocks.begin(), blocks.end(), [](const ReplicaBlock& a, const ReplicaBlock& b) {
    return a.replica_offset < b.replica_offset;
  });
  uint64_t end = 0;
  for (const ReplicaBlock& block : blocks) {
    if (block.bytes == 0 || (block.bytes | block.replica_offset) % kPageBytes != 0)
      Refuse(block.path + " is empty or not page-aligned");
    if (block.replica_offset + block.bytes < block.bytes || block.replica_offset < end)
      Refuse(block.path + " overlaps another");
    end = block.replica_offset + block.bytes;
    UniqueFd file = OpenFile(block.path.c_str(), O_RDWR);
    struct stat status;
    if (fstat(file.get(), &status) != 0) throw SyscallError("fstat", errno, block.path);
    // Mapping past the end of a file means SIGBUS later.
    if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != block.bytes) {
      Refuse(block.path + " has " + std::to_string(status.st_size) + " bytes, expected " +
             std::to_string(block.bytes));
    }
    Mapping memory(block.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get());
    const uint64_t pages = block.bytes / kPageBytes;
    std::vector<bool> filled(pages);
    EachFilled(file.get(), block.bytes, [&](uint64_t start, uint64_t stop) {
      for (uint64_t page = start / kPageBytes; page * kPageBytes < stop; ++page)
        filled[page] = true;
    });
    AppendRun(extents_, {block.replica_offset / kPageBytes, pages});
    blocks_.push_back({std::move(file), std::move(memory), block.replica_offset / kPageBytes, pages,
                       std::move(filled)});
    ram_bytes_ += block.bytes;
  }
}

bool Replica::Inside(uint64_t first, uint64_t pages) const {
  for (const PageRun& extent : extents_) {
    if (first >= extent.first && first < extent.end()) return pages <= extent.end() - first;
  }
  return false;
}

ChunkSummary Replica::Validate(const ChunkBytes& chunk) const {
  return ValidateChunk(chunk.data, chunk.bytes,
                       [this](uint64_t first, uint64_t pages) { return Inside(first, pages); });
}

template <typename Visit>
void Replica::EachBlock(uint64_t first, uint64_t pages, Visit visit) {
  for (uint64_t done = 0; done < pages;) {
    const uint64_t page = first + done;
    const auto next = std::upper_bound(blocks_.begin(), blocks_.end(), page,
                                       [](uint64_t p, const Block& b) { return p < b.first_page; });
    Block& block = *std::prev(next);
    const uint64_t count = std::min(pages - done, block.first_page + block.pages - page);
    visit(block, page - block.first_page, count, done);
    done += count;
  }
}

ChunkSummary Replica::Apply(const std::vector<ChunkBytes>& chunks) {
  for (const ChunkBytes& chunk : chunks) Validate(chunk);
  const InsideReplica inside = [this](uint64_t first, uint64_t pages) {
    return Inside(first, pages);
  };
  const ChunkVisitor apply = {
      .run =
          [this](const ChunkRun& run, const uint8_t* content) {
            EachBlock(run.first, run.pages,
                      [&](Block& block, uint64_t first, uint64_t pages, uint64_t done) {
                        if (content) {
                          Write(block, first, pages, content + done * kPageBytes);
                        } else {
                          Clear(block, first, pages);
                        }
                      });
          },
      .delta =
          [this](uint64_t page, uint64_t lines, const uint8_t* content) {
            EachBlock(page, 1, [&](Block& block, uint64_t first, uint64_t, uint64_t) {
              Change(block, first, lines, content);
            });
          }};
  ChunkSummary total;
  for (const ChunkBytes& chunk : chunks) {
    const ChunkSummary summary = VisitChunk(chunk.data, chunk.bytes, inside, apply);
    total.data_pages += summary.data_pages;
    total.zero_pages += summary.zero_pages;
  }
  return total;
}

void Replica::Reserve() {
  for (const Block& block : blocks_) {
    const off_t bytes = static_cast<off_t>(block.pages * kPageBytes);
    while (fallocate(block.file.get(), 0, 0, bytes) != 0) {
      if (errno != EINTR) throw SyscallError("fallocate", errno, "replica");
    }
  }
  reserved_ = true;
}

void Replica::Write(Block& block, uint64_t first, uint64_t pages, const uint8_t* content) {
  for (uint64_t at = 0; at < pages;) {
    const bool filled = block.filled[first + at];
    uint64_t count = 1;
    while (at + count < pages && block.filled[first + at + count] == filled) ++count;
    const uint64_t offset = (first + at) * kPageBytes;
    const uint8_t* const from = content + at * kPageBytes;
    size_t left = count * kPageBytes;
    if (filled && count < kWriteCallPagesMin) {
      memcpy(block.memory.data() + offset, from, left);
      left = 0;
    }
    while (left > 0) {
      const size_t done = count * kPageBytes - left;
      const ssize_t wrote =
          pwrite(block.file.get(), from + done, left, static_cast<off_t>(offset + done));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) throw SyscallError("pwrite", wrote < 0 ? errno : ENOSPC, "replica");
      left -= static_cast<size_t>(wrote);
    }
    if (!filled)
      std::fill_n(block.filled.begin() + static_cast<ptrdiff_t>(first + at), count, true);
    at += count;
  }
}

void Replica::Change(Block& block, uint64_t page, uint64_t lines, const uint8_t* content) {
  uint8_t* const into = block.memory.data() + page * kPageBytes;
  EachLine(lines, [&](size_t offset) {
    memcpy(into + offset, content, kLineBytes);
    content += kLineBytes;
  });
  block.filled[page] = true;
}

void Replica::Clear(Block& block, uint64_t first, uint64_t pages) {
  for (uint64_t at = 0; at < pages;) {
    if (!block.filled[first + at]) {
      ++at;
      continue;
    }
    uint64_t count = 1;
    while (at + count < pages && block.filled[first + at + count]) ++count;
    const uint64_t offset = (first + at) * kPageBytes;
    if (reserved_ || count < kPunchPagesMin) {
      memset(block.memory.data() + offset, 0, count * kPageBytes);
    } else {
      if (fallocate(block.file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(offset), static_cast<off_t>(count * kPageBytes)) != 0) {
        throw SyscallError("fallocate", errno, "replica");
      }
      std::fill_n(block.filled.begin() + static_cast<ptrdiff_t>(first + at), count, false);
    }
    at += count;
  }
}

std::string Replica::DigestRam() const {
  const std::vector<uint8_t> zeroes(kCopyBatchBytes);
  Digest digest;
  const auto hole = [&](uint64_t bytes) {
    for (uint64_t left = bytes; left > 0;) {
      const size_t piece = std::min<uint64_t>(left, zeroes.size());
      digest.Update(zeroes.data(), piece);
      left -= piece;
    }
  };
  for (const Block& block : blocks_) {
    uint64_t at = 0;
    EachFilled(block.file.get(), block.pages * kPageBytes, [&](uint64_t start, uint64_t end) {
      hole(start - at);
      digest.Update(block.memory.data() + start, end - start);
      at = end;
    });
    hole(block.pages * kPageBytes - at);
  }
  return digest.Hex();
}

}  // namespace understudy::memory
