// Records of a disk chunk: cutting, finding zeroes, walking along.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "disk/disk_chunk.h"

namespace understudy::mirror {

// Zeroes that were put off, or remembered, become holes again: the guest's disk reads the same, and the
// replica stays as sparse as the disk.
inline constexpr disk::RecordKind kHole = disk::RecordKind::kTrim;

using Emit = std::function<void(const disk::Record&)>;

// How much of a write of `bytes` goes where there is room for `room`: all of it, or up to a multiple of
// 4 KiB of the disk. 0: there is no such place.
uint64_t CutAt(uint64_t offset, uint64_t bytes, uint64_t room);

bool IsAllZero(const uint8_t* data, size_t bytes);

// Emits a write, its whole pieces of zeroes as zero records.
void EmitWrite(uint8_t disk, uint64_t offset, const uint8_t* data, uint64_t bytes, const Emit& emit);

// Walks along a chunk of our own making.
void ForEachRecord(const uint8_t* chunk, size_t bytes, const Emit& visit);

}  // namespace understudy::mirror
