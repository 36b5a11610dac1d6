// Whole reads and writes at an offset; errors carry what the file is.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace understudy::disk {

// Writes all of `pieces`, at most IOV_MAX of them, which it changes. Throws SyscallError.
void WriteAt(int fd, uint64_t offset, iovec* pieces, size_t count, const std::string& what);
void WriteAt(int fd, uint64_t offset, const void* bytes, size_t count, const std::string& what);

// Returns how many bytes there were; fewer only at the file's end.
size_t ReadAt(int fd, uint64_t offset, void* into, size_t count, const std::string& what);

// fdatasync(2). After a failure the kernel holds the unwritten pages for clean, so that neither a second call nor
// what can be read says anything about the disk: only writing everything again does.
void FlushFile(int fd, const std::string& what);

// Asks the kernel to begin writing out a range; a hint whose failure the flush will report.
void BeginWriteOut(int fd, uint64_t offset, uint64_t bytes);

}  // namespace understudy::disk
