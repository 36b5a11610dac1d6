// One disk of the replica: a raw file or a block device of fixed size, written through the page cache.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "memory/owned.h"

namespace understudy::disk {

class DiskFile {
 public:
  // Throws ESIZE unless it exists with exactly this size.
  DiskFile(std::string path, uint64_t bytes);

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

  // Ranges must lie inside the disk. Durable after Flush.
  void Write(uint64_t offset, iovec* pieces, size_t count, uint64_t bytes);
  // Reads as zeroes and stays allocated.
  void Zero(uint64_t offset, uint64_t bytes);
  // Reads as zeroes; its blocks are given back where that is possible.
  void Trim(uint64_t offset, uint64_t bytes);

  // Asks the kernel to begin with what Flush will wait for, so that several disks work at once.
  void BeginFlush() const;
  // Does nothing when nothing was written since the last.
  void Flush();

 private:
  // False when the file system or device cannot.
  bool Fallocate(int mode, uint64_t offset, uint64_t bytes);
  // fallocate of the part that the device can do, zeroes before and after it.
  bool FallocateAligned(int mode, uint64_t offset, uint64_t bytes);
  void WriteZeroes(uint64_t offset, uint64_t bytes);

  std::string path_;
  uint64_t bytes_;
  memory::UniqueFd fd_;
  bool is_device_ = false;
  // At first because of what an earlier process may have left unflushed.
  bool is_dirty_ = true;
  // The last run of writes that follow one another, as far as the kernel was not asked to begin with it.
  uint64_t writing_out_from_ = 0;
  uint64_t writing_out_to_ = 0;
};

}  // namespace understudy::disk
