#include "disk/file_io.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/async.h"

namespace understudy::disk {

void WriteAt(int fd, uint64_t offset, iovec* pieces, size_t count, const std::string& what) {
  while (count > 0) {
    const ssize_t wrote =
        pwritev(fd, pieces, static_cast<int>(count), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    // A write of nothing is a block device's way to say that it ends here.
    if (wrote <= 0) throw SyscallError("pwritev", wrote < 0 ? errno : ENOSPC, what);
    offset += static_cast<uint64_t>(wrote);
    size_t left = static_cast<size_t>(wrote);
    for (; count > 0 && left >= pieces->iov_len; ++pieces, --count) left -= pieces->iov_len;
    if (count > 0) {
      pieces->iov_base = static_cast<uint8_t*>(pieces->iov_base) + left;
      pieces->iov_len -= left;
    }
  }
}

void WriteAt(int fd, uint64_t offset, const void* bytes, size_t count, const std::string& what) {
  iovec piece{const_cast<void*>(bytes), count};
  WriteAt(fd, offset, &piece, 1, what);
}

size_t ReadAt(int fd, uint64_t offset, void* into, size_t count, const std::string& what) {
  size_t done = 0;
  while (done < count) {
    const ssize_t got = pread(fd, static_cast<uint8_t*>(into) + done, count - done,
                              static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SyscallError("pread", errno, what);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

void FlushFile(int fd, const std::string& what) {
  // EINTR: the writing went on, and its error, if any, is still to be reported.
  while (fdatasync(fd) != 0) {
    if (errno != EINTR) throw SyscallError("fdatasync", errno, what);
  }
}

void BeginWriteOut(int fd, uint64_t offset, uint64_t bytes) {
  (void)sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(bytes),
                        SYNC_FILE_RANGE_WRITE);
}

}  // namespace understudy::disk
