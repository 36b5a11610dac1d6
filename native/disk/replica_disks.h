// The disks of one replica together: disk chunks written in place, block digests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "disk/disk_file.h"

namespace understudy::disk {

struct DiskSpec {
  std::string path;
  uint64_t bytes;
};

class ReplicaDisks {
 public:
  // Throws ESIZE or what a system call said.
  explicit ReplicaDisks(const std::vector<DiskSpec>& specs);

  const std::vector<uint64_t>& bytes() const { return bytes_; }

  // Writes one chunk's records in place, in order; returns the bytes of data. Throws CHUNK_MALFORMED before
  // touching anything.
  uint64_t Apply(const uint8_t* chunk, size_t bytes);
  // Makes everything applied durable.
  void Flush();

  // XXH3-128 of `count` blocks from `first_block` on, 16 bytes each; the disk's last block may be short. Holes are
  // not read.
  std::vector<uint8_t> Digests(size_t disk, uint32_t block_bytes, uint64_t seed,
                               uint64_t first_block, uint64_t count) const;

 private:
  std::vector<DiskFile> disks_;
  std::vector<uint64_t> bytes_;
};

}  // namespace understudy::disk
