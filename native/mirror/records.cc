#include "mirror/records.h"

#include <algorithm>
#include <cstring>

#include "mirror/limits.h"

namespace understudy::mirror {

using disk::kRecordHeaderBytes;
using disk::Record;
using disk::RecordKind;

uint64_t CutAt(uint64_t offset, uint64_t bytes, uint64_t room) {
  if (bytes <= room) return bytes;
  const uint64_t end = (offset + room) / kPieceBytes * kPieceBytes;
  return end > offset ? end - offset : 0;
}

bool IsAllZero(const uint8_t* data, size_t bytes) {
  uint64_t head = 0;
  if (bytes <= sizeof head) return std::all_of(data, data + bytes, [](uint8_t byte) { return byte == 0; });
  // The first bytes settle it for nearly all data; then memcmp compares each byte with one 8 further on.
  memcpy(&head, data, sizeof head);
  return head == 0 && memcmp(data, data + sizeof head, bytes - sizeof head) == 0;
}

void EmitWrite(uint8_t disk, uint64_t offset, const uint8_t* data, uint64_t bytes, const Emit& emit) {
  const auto kind_at = [&](uint64_t at, uint64_t length) {
    return length == kPieceBytes && IsAllZero(data + at, length) ? RecordKind::kZero : RecordKind::kWrite;
  };
  const auto piece_at = [&](uint64_t at) {
    return std::min(kPieceBytes - (offset + at) % kPieceBytes, bytes - at);
  };
  for (uint64_t begin = 0; begin < bytes;) {
    uint64_t end = begin + piece_at(begin);
    const RecordKind kind = kind_at(begin, end - begin);
    while (end < bytes && kind_at(end, piece_at(end)) == kind) end += piece_at(end);
    emit({kind, disk, offset + begin, end - begin, kind == RecordKind::kWrite ? data + begin : nullptr});
    begin = end;
  }
}

void ForEachRecord(const uint8_t* chunk, size_t bytes, const Emit& visit) {
  for (size_t at = 0; at < bytes;) {
    const uint8_t* const header = chunk + at;
    Record record{static_cast<RecordKind>(header[0]), header[1], 0, 0, header + kRecordHeaderBytes};
    uint32_t data_bytes;
    memcpy(&data_bytes, header + 4, sizeof data_bytes);
    memcpy(&record.offset, header + 8, sizeof record.offset);
    memcpy(&record.length, header + 16, sizeof record.length);
    visit(record);
    at += kRecordHeaderBytes + data_bytes;
  }
}

}  // namespace understudy::mirror
