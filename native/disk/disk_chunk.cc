#include "disk/disk_chunk.h"

#include <string>

#include "common/async.h"
#include "disk/limits.h"

namespace understudy::disk {
namespace {

[[noreturn]] void Malformed(size_t at, const std::string& why) {
  throw CodedError("CHUNK_MALFORMED",
                   "disk chunk refused: the record at byte " + std::to_string(at) + " " + why);
}

// Reads each field once: the buffer may be another thread's.
Record ReadRecord(const uint8_t* chunk, size_t bytes, size_t at,
                  const std::vector<uint64_t>& disk_bytes) {
  if (bytes - at < kRecordHeaderBytes) Malformed(at, "is cut off");
  uint8_t header[kRecordHeaderBytes];
  memcpy(header, chunk + at, sizeof header);
  uint16_t zero;
  uint32_t data_bytes;
  Record record{static_cast<RecordKind>(header[0]), header[1], 0, 0, chunk + at + sizeof header};
  memcpy(&zero, header + 2, sizeof zero);
  memcpy(&data_bytes, header + 4, sizeof data_bytes);
  memcpy(&record.offset, header + 8, sizeof record.offset);
  memcpy(&record.length, header + 16, sizeof record.length);

  const bool is_write = record.kind == RecordKind::kWrite;
  if (!is_write && record.kind != RecordKind::kZero && record.kind != RecordKind::kTrim) {
    Malformed(at, "has kind " + std::to_string(header[0]));
  }
  if (zero != 0) Malformed(at, "has reserved bits set");
  if (record.disk >= disk_bytes.size()) Malformed(at, "names no disk");
  if (record.length == 0) Malformed(at, "is empty");
  const uint64_t size = disk_bytes[record.disk];
  if (record.offset > size || record.length > size - record.offset) {
    Malformed(at, "lies outside its disk");
  }
  if (data_bytes != (is_write ? record.length : 0)) Malformed(at, "has data of another length");
  if (data_bytes > bytes - at - sizeof header) Malformed(at, "is cut off");
  return record;
}

}  // namespace

ChunkSummary ValidateChunk(const uint8_t* chunk, size_t bytes,
                           const std::vector<uint64_t>& disk_bytes) {
  if (bytes > kChunkBytesMax) {
    throw CodedError("CHUNK_MALFORMED",
                     "disk chunk refused: " + std::to_string(bytes) + " bytes are too many");
  }
  ChunkSummary summary;
  for (size_t at = 0; at < bytes;) {
    const Record record = ReadRecord(chunk, bytes, at, disk_bytes);
    const uint64_t data_bytes = record.kind == RecordKind::kWrite ? record.length : 0;
    at += kRecordHeaderBytes + data_bytes;
    ++summary.records;
    summary.data_bytes += data_bytes;
  }
  return summary;
}

ChunkSummary VisitChunk(const uint8_t* chunk, size_t bytes, const std::vector<uint64_t>& disk_bytes,
                        const RecordVisitor& visit) {
  const ChunkSummary summary = ValidateChunk(chunk, bytes, disk_bytes);
  for (size_t at = 0; at < bytes;) {
    const Record record = ReadRecord(chunk, bytes, at, disk_bytes);
    at += kRecordHeaderBytes + (record.kind == RecordKind::kWrite ? record.length : 0);
    visit(record);
  }
  return summary;
}

}  // namespace understudy::disk
