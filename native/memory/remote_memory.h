// Reads scattered pieces of another process's memory into one contiguous buffer.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "common/async.h"
#include "memory/limits.h"

namespace understudy::memory {

// At most kReadPiecesMax pieces of `bytes` in all. Throws SyscallError: ESRCH when the process
// has ended, EFAULT when a piece is no longer mapped. Measured against /proc/PID/mem, which
// copies through a bounce page: about twice as fast.
inline void ReadRemote(pid_t pid, const iovec* pieces, size_t count, uint8_t* into, size_t bytes) {
  const iovec local{into, bytes};
  const ssize_t got = process_vm_readv(pid, &local, 1, pieces, count, 0);
  if (got < 0) throw SyscallError("process_vm_readv", errno);
  // A short count means that the next piece could not be read (process_vm_readv(2)).
  if (static_cast<size_t>(got) != bytes) throw SyscallError("process_vm_readv", EFAULT);
}

}  // namespace understudy::memory
