// A file without a name: gone with its last descriptor, whatever happens to this process.
#pragma once

#include <cstdint>
#include <string>

#include "memory/owned.h"

namespace understudy::mirror {

class UnnamedFile {
 public:
  // Throws SyscallError; EOPNOTSUPP when the file system has no O_TMPFILE or no holes.
  explicit UnnamedFile(const std::string& directory);

  // All of it or SyscallError (ENOSPC, EIO).
  void Write(const uint8_t* data, size_t bytes, uint64_t offset);
  // Past the end reads as zeroes.
  void Read(uint8_t* into, size_t bytes, uint64_t offset) const;
  // Gives the space back; reads as zeroes afterwards.
  void Punch(uint64_t offset, uint64_t bytes);
  void Clear();

 private:
  memory::UniqueFd fd_;
};

}  // namespace understudy::mirror
