// Owners of kernel resources: descriptors and mappings end with their owner.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/async.h"

namespace understudy::memory {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { Reset(); }
  void Reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

class Mapping {
 public:
  Mapping() = default;
  Mapping(size_t bytes, int protection, int flags, int fd = -1, off_t offset = 0) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, protection, flags, fd, offset);
    if (data_ == MAP_FAILED) throw SyscallError("mmap", errno);
  }
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, MAP_FAILED)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (data_ != MAP_FAILED) munmap(data_, bytes_);
  }
  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = MAP_FAILED;
  size_t bytes_ = 0;
};

inline UniqueFd OpenFile(const char* path, int flags) {
  UniqueFd fd(open(path, flags | O_CLOEXEC));
  if (!fd) throw SyscallError("open", errno, path);
  return fd;
}

}  // namespace understudy::memory
