// Makes a running process create a userfaultfd and hands the descriptor to us.
//
// One thread of the target is stopped with ptrace for a fraction of a millisecond and put back
// exactly as it was; afterwards nothing of ours is left inside it.
#pragma once

#include <sys/types.h>

#include "memory/owned.h"

namespace understudy::memory {

// A userfaultfd of the target's address space (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY).
// The target's own copy of the descriptor is closed again. Throws SyscallError: EBUSY when the
// process is being traced already, ESRCH when it ended, ETIMEDOUT when its main thread could
// not be stopped in time (it is left untouched then).
UniqueFd InjectUserfaultfd(pid_t pid);

}  // namespace understudy::memory
