#include "memory/chunk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "common/async.h"
#include "memory/page_delta.h"

namespace understudy::memory {
namespace {

static_assert(std::endian::native == std::endian::little);

[[noreturn]] void Malformed(const std::string& why) {
  throw CodedError("CHUNK_MALFORMED", "a chunk of guest memory is malformed: " + why);
}

// Header and counts; the runs are checked one by one in Walk.
ChunkHeader ReadHeader(const uint8_t* chunk, size_t bytes) {
  ChunkHeader header;
  if (bytes < sizeof header) Malformed("shorter than its header");
  memcpy(&header, chunk, sizeof header);
  if (header.magic != kChunkMagic) Malformed("wrong magic");
  if (header.version != kChunkVersion) Malformed("version " + std::to_string(header.version));
  if (header.reserved != 0) Malformed("reserved field in use");
  if (header.run_count == 0 || header.run_count > kChunkRunsMax)
    Malformed("run count out of bounds");
  // 32-bit counts: neither product nor the sum can overflow 64 bits.
  const uint64_t expected = sizeof header + uint64_t{header.data_pages} * kPageBytes + header.delta_bytes +
                            uint64_t{header.run_count} * sizeof(ChunkRun);
  if (header.total_bytes != expected || bytes != expected) Malformed("length does not add up");
  return header;
}

// The differences of a chunk, one page after the other; each is read once, and checked as read.
class DeltaReader {
 public:
  DeltaReader(const uint8_t* at, size_t bytes) : at_(at), left_(bytes) {}
  void Take(const ChunkRun& run, const ChunkVisitor* visit) {
    for (uint32_t i = 0; i < run.pages; ++i) {
      uint64_t lines;
      if (left_ < sizeof lines) Malformed("more delta runs than differences");
      memcpy(&lines, at_, sizeof lines);
      const size_t bytes = DeltaBytes(lines);
      if (lines == 0 || std::popcount(lines) > kDeltaLinesMax) Malformed("a difference of no use");
      if (bytes > left_) Malformed("more delta runs than differences");
      if (visit) visit->delta(run.first + i, lines, at_ + sizeof lines);
      at_ += bytes;
      left_ -= bytes;
    }
  }
  size_t left() const { return left_; }

 private:
  const uint8_t* at_;
  size_t left_;
};

ChunkSummary Walk(const uint8_t* chunk, const ChunkHeader& header, const InsideReplica& inside,
                  const ChunkVisitor* visit) {
  const uint8_t* content = chunk + sizeof header;
  const uint8_t* differences = content + uint64_t{header.data_pages} * kPageBytes;
  const uint8_t* runs = differences + header.delta_bytes;
  DeltaReader deltas(differences, header.delta_bytes);
  uint64_t data_pages = 0, delta_pages = 0;
  ChunkSummary summary;
  uint64_t end_page = 0;
  for (uint32_t i = 0; i < header.run_count; ++i) {
    ChunkRun run;
    memcpy(&run, runs + size_t{i} * sizeof run, sizeof run);
    if (run.kind > RunKind::kDelta) Malformed("unknown kind of run");
    if (run.pages == 0 || run.first < end_page || run.first + run.pages < run.first)
      Malformed("runs out of order");
    if (!inside(run.first, run.pages)) Malformed("a run lies outside the replica");
    end_page = run.first + run.pages;
    if (run.kind == RunKind::kZero) {
      summary.zero_pages += run.pages;
      if (visit) visit->run(run, nullptr);
      continue;
    }
    if (run.kind == RunKind::kDelta) {
      deltas.Take(run, visit);
      delta_pages += run.pages;
      continue;
    }
    if (run.pages > header.data_pages - data_pages) Malformed("more data runs than data");
    if (visit) visit->run(run, content + data_pages * kPageBytes);
    data_pages += run.pages;
  }
  if (data_pages != header.data_pages || delta_pages != header.delta_pages || deltas.left() != 0 ||
      summary.zero_pages != header.zero_pages) {
    Malformed("page counts do not add up");
  }
  summary.data_pages = data_pages + delta_pages;
  return summary;
}

}  // namespace

ChunkWriter::ChunkWriter(uint8_t* into, size_t bytes) : into_(into), bytes_(bytes) {
  runs_.reserve(256);
}

size_t ChunkWriter::Used() const {
  return sizeof(ChunkHeader) + size_t{data_pages_} * kPageBytes + deltas_.size() + runs_.size() * sizeof(ChunkRun);
}

size_t ChunkWriter::RoomPages() const {
  // A difference and its run are smaller than a page and its run.
  return std::min((bytes_ - Used()) / (kPageBytes + sizeof(ChunkRun)),
                  kChunkRunsMax - runs_.size());
}

void ChunkWriter::Extend(uint64_t page, RunKind kind) {
  if (!runs_.empty()) {
    ChunkRun& last = runs_.back();
    if (last.kind == kind && last.first + last.pages == page && last.pages != UINT32_MAX) {
      ++last.pages;
      return;
    }
  }
  runs_.push_back({page, 1, kind});
}

void ChunkWriter::CommitData(uint64_t page) {
  Extend(page, RunKind::kData);
  ++data_pages_;
}

void ChunkWriter::AddDelta(uint64_t page, uint64_t lines, const uint8_t* content) {
  Extend(page, RunKind::kDelta);
  const size_t at = deltas_.size();
  deltas_.resize(at + DeltaBytes(lines));
  memcpy(deltas_.data() + at, &lines, sizeof lines);
  uint8_t* into = deltas_.data() + at + sizeof lines;
  EachLine(lines, [&](size_t offset) {
    memcpy(into, content + offset, kLineBytes);
    into += kLineBytes;
  });
  ++delta_pages_;
}

void ChunkWriter::AddZero(uint64_t page) {
  Extend(page, RunKind::kZero);
  ++zero_pages_;
}

size_t ChunkWriter::Finish() {
  if (runs_.empty()) return 0;
  if (!deltas_.empty()) memcpy(Tail(), deltas_.data(), deltas_.size());
  uint8_t* const table = Tail() + deltas_.size();
  memcpy(table, runs_.data(), runs_.size() * sizeof(ChunkRun));
  const ChunkHeader header{
      .magic = kChunkMagic,
      .version = kChunkVersion,
      .reserved = 0,
      .run_count = static_cast<uint32_t>(runs_.size()),
      .data_pages = data_pages_,
      .zero_pages = zero_pages_,
      .total_bytes = static_cast<uint64_t>(table - into_) + runs_.size() * sizeof(ChunkRun),
      .delta_pages = delta_pages_,
      .delta_bytes = static_cast<uint32_t>(deltas_.size())};
  memcpy(into_, &header, sizeof header);
  return header.total_bytes;
}

ChunkSummary ValidateChunk(const uint8_t* chunk, size_t bytes, const InsideReplica& inside) {
  return Walk(chunk, ReadHeader(chunk, bytes), inside, nullptr);
}

ChunkSummary VisitChunk(const uint8_t* chunk, size_t bytes, const InsideReplica& inside,
                        const ChunkVisitor& visit) {
  const ChunkHeader header = ReadHeader(chunk, bytes);
  Walk(chunk, header, inside, nullptr);
  return Walk(chunk, header, inside, &visit);
}

}  // namespace understudy::memory
