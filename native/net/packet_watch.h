// Sees the first frames that a guest sends after each look: that it has sent something, and which
// addresses it uses. The socket's buffer is as small as the kernel allows and is only emptied when
// somebody looks, so a guest that sends a lot pays for a few frames and then a failed comparison each.
#pragma once

#include <cstddef>

#include "address_table.h"

namespace understudy {

class PacketWatch {
 public:
  // `link`: the tap's interface number. Throws SyscallError.
  explicit PacketWatch(int link);
  ~PacketWatch();
  PacketWatch(const PacketWatch&) = delete;
  PacketWatch& operator=(const PacketWatch&) = delete;

  // Readable from the first frame on.
  int fd() const { return fd_; }
  // Empties the socket, learns source addresses; never blocks. How many frames it found, which says
  // nothing about how many there were.
  size_t Read(AddressTable& addresses);

 private:
  int fd_ = -1;
};

}  // namespace understudy
