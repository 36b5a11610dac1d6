#include "packet_watch.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "../common/async.h"
#include "limits.h"

namespace understudy {
namespace {

// Its head is enough. Of a frame in a VLAN only the Ethernet header: the tag is gone by the time a packet
// socket sees it, and what such an address is for could not be announced untagged.
const std::array<sock_filter, 4> kHeadOfFrame{{
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)},
    {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0},
    {BPF_RET | BPF_K, 0, 0, kEthernetHeaderBytes},
    {BPF_RET | BPF_K, 0, 0, kWatchedFrameBytes},
}};

void SetOption(int fd, int level, int option, const void* value, socklen_t bytes, const char* name) {
  if (setsockopt(fd, level, option, value, bytes) < 0) throw SyscallError("setsockopt", errno, name);
}

}  // namespace

PacketWatch::PacketWatch(int link) {
  // Protocol 0: nothing arrives before everything is set.
  fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) throw SyscallError("socket", errno, "AF_PACKET");
  try {
    auto program = kHeadOfFrame;
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    SetOption(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter, "SO_ATTACH_FILTER");
    // What goes to the guest leaves through its tap and is not its output.
    const int on = 1;
    SetOption(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on, "PACKET_IGNORE_OUTGOING");
    // The kernel raises it to its smallest buffer.
    const int least_bytes = 1;
    SetOption(fd_, SOL_SOCKET, SO_RCVBUF, &least_bytes, sizeof least_bytes, "SO_RCVBUF");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = link;
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
      throw SyscallError("bind", errno, "AF_PACKET");
    }
  } catch (...) {
    close(fd_);
    throw;
  }
}

PacketWatch::~PacketWatch() { close(fd_); }

size_t PacketWatch::Read(AddressTable& addresses) {
  std::array<uint8_t, kWatchedFrameBytes> frame;
  size_t found = 0;
  for (int i = 0; i < kWatchedFramesMax; i++) {
    const ssize_t got = recv(fd_, frame.data(), frame.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    // ENETDOWN is told once, when the interface goes down; LinkWatch says that better.
    if (got < 0 && errno == ENETDOWN) continue;
    if (got < 0) break;
    addresses.Learn(frame.data(), static_cast<size_t>(got));
    found += 1;
  }
  return found;
}

}  // namespace understudy
