#include "disk/disk_file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/async.h"
#include "disk/file_io.h"
#include "disk/limits.h"

namespace understudy::disk {
namespace {

uint64_t SizeOf(int fd, const struct stat& status, const std::string& path) {
  if (!S_ISBLK(status.st_mode)) return static_cast<uint64_t>(status.st_size);
  uint64_t bytes = 0;
  if (ioctl(fd, BLKGETSIZE64, &bytes) != 0) throw SyscallError("BLKGETSIZE64", errno, path);
  return bytes;
}

}  // namespace

DiskFile::DiskFile(std::string path, uint64_t bytes) : path_(std::move(path)), bytes_(bytes) {
  // O_NONBLOCK: a FIFO in its place must not make us wait for a reader.
  fd_ = memory::OpenFile(path_.c_str(), O_RDWR | O_NONBLOCK);
  struct stat status;
  if (fstat(fd_.get(), &status) != 0) throw SyscallError("fstat", errno, path_);
  is_device_ = S_ISBLK(status.st_mode);
  if (!is_device_ && !S_ISREG(status.st_mode)) {
    throw SyscallError("open", ENOTBLK, path_ + " is neither a file nor a block device");
  }
  const uint64_t found = SizeOf(fd_.get(), status, path_);
  if (found != bytes_) {
    throw CodedError("ESIZE", path_ + " has " + std::to_string(found) + " bytes, expected " +
                                  std::to_string(bytes_));
  }
}

void DiskFile::Write(uint64_t offset, iovec* pieces, size_t count, uint64_t bytes) {
  is_dirty_ = true;
  WriteAt(fd_.get(), offset, pieces, count, path_);
  // Only what lies together: scattered pages are better left until all are there, as the kernel sorts and joins them.
  if (offset != writing_out_to_) writing_out_from_ = offset;
  writing_out_to_ = offset + bytes;
  if (writing_out_to_ - writing_out_from_ >= kWriteOutBytes) {
    BeginWriteOut(fd_.get(), writing_out_from_, writing_out_to_ - writing_out_from_);
    writing_out_from_ = writing_out_to_;
  }
}

void DiskFile::Zero(uint64_t offset, uint64_t bytes) {
  is_dirty_ = true;
  if (!FallocateAligned(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, bytes)) {
    WriteZeroes(offset, bytes);
  }
}

void DiskFile::Trim(uint64_t offset, uint64_t bytes) {
  is_dirty_ = true;
  // On a device the kernel does this only when what it frees reads as zeroes (BLKDEV_ZERO_NOFALLBACK, block/fops.c).
  if (!FallocateAligned(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes)) {
    Zero(offset, bytes);
  }
}

bool DiskFile::FallocateAligned(int mode, uint64_t offset, uint64_t bytes) {
  if (!is_device_) return Fallocate(mode, offset, bytes);
  const uint64_t align = kDeviceAlignmentBytes;
  const uint64_t end = offset + bytes;
  const uint64_t first = (offset + align - 1) / align * align;
  const uint64_t last = end / align * align;
  if (first >= last || !Fallocate(mode, first, last - first)) return false;
  WriteZeroes(offset, first - offset);
  WriteZeroes(last, end - last);
  return true;
}

bool DiskFile::Fallocate(int mode, uint64_t offset, uint64_t bytes) {
  while (fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
    if (errno != EINTR) throw SyscallError("fallocate", errno, path_);
  }
  return true;
}

void DiskFile::WriteZeroes(uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return;
  const std::vector<uint8_t> zeroes(std::min<uint64_t>(bytes, kZeroPieceBytes));
  for (uint64_t done = 0; done < bytes;) {
    const size_t count = std::min<uint64_t>(zeroes.size(), bytes - done);
    WriteAt(fd_.get(), offset + done, zeroes.data(), count, path_);
    done += count;
  }
}

void DiskFile::BeginFlush() const {
  // 0 bytes: to the end of the file.
  if (is_dirty_) BeginWriteOut(fd_.get(), 0, 0);
}

void DiskFile::Flush() {
  if (!is_dirty_) return;
  FlushFile(fd_.get(), path_);
  is_dirty_ = false;
}

}  // namespace understudy::disk
