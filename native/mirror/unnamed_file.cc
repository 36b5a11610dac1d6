#include "mirror/unnamed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/async.h"
#include "mirror/limits.h"

namespace understudy::mirror {

UnnamedFile::UnnamedFile(const std::string& directory)
    : fd_(open(directory.c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600)) {
  if (!fd_) throw SyscallError("open", errno, directory);
  // Not every file system can: better told now than when the first space is given back.
  Punch(0, kPieceBytes);
}

void UnnamedFile::Write(const uint8_t* data, size_t bytes, uint64_t offset) {
  while (bytes > 0) {
    const ssize_t wrote = pwrite(fd_.get(), data, bytes, static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) throw SyscallError("pwrite", errno);
    data += wrote;
    bytes -= static_cast<size_t>(wrote);
    offset += static_cast<uint64_t>(wrote);
  }
}

void UnnamedFile::Read(uint8_t* into, size_t bytes, uint64_t offset) const {
  while (bytes > 0) {
    const ssize_t got = pread(fd_.get(), into, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SyscallError("pread", errno);
    if (got == 0) {
      memset(into, 0, bytes);
      return;
    }
    into += got;
    bytes -= static_cast<size_t>(got);
    offset += static_cast<uint64_t>(got);
  }
}

void UnnamedFile::Punch(uint64_t offset, uint64_t bytes) {
  if (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                static_cast<off_t>(bytes)) < 0) {
    throw SyscallError("fallocate", errno);
  }
}

void UnnamedFile::Clear() {
  if (ftruncate(fd_.get(), 0) < 0) throw SyscallError("ftruncate", errno);
}

}  // namespace understudy::mirror
