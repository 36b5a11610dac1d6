#include "packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "../common/async.h"

namespace understudy {
namespace {

void SetOption(int fd, int level, int option, const void* value, socklen_t bytes, const char* name) {
  if (setsockopt(fd, level, option, value, bytes) < 0) throw SyscallError("setsockopt", errno, name);
}

}  // namespace

int OpenPacketSocket(int link, std::span<const sock_filter> filter, Direction direction) {
  // Protocol 0: nothing arrives before everything is set.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw SyscallError("socket", errno, "AF_PACKET");
  try {
    const sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
    SetOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program, "SO_ATTACH_FILTER");
    if (direction == Direction::kFromGuest) {
      // What goes to the guest leaves through its tap and is not its output.
      const int on = 1;
      SetOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on, "PACKET_IGNORE_OUTGOING");
    }
    // The kernel raises it to its smallest buffer.
    const int least_bytes = 1;
    SetOption(fd, SOL_SOCKET, SO_RCVBUF, &least_bytes, sizeof least_bytes, "SO_RCVBUF");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = link;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
      throw SyscallError("bind", errno, "AF_PACKET");
    }
  } catch (...) {
    close(fd);
    throw;
  }
  return fd;
}

}  // namespace understudy
