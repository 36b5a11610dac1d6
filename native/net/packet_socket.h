// A packet socket on one interface that keeps only the heads of a few frames.
#pragma once

#include <linux/filter.h>

#include <span>

namespace understudy {

enum class Direction { kFromGuest, kBoth };

// Non-blocking; its buffer is as small as the kernel allows, so that whoever does not look pays for a few frames
// and then a failed comparison each. `filter` says how much of a frame is kept. Throws SyscallError.
int OpenPacketSocket(int link, std::span<const sock_filter> filter, Direction direction);

}  // namespace understudy
