#include "packet_watch.h"

#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "../common/async.h"
#include "limits.h"
#include "packet_socket.h"

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

}  // namespace

PacketWatch::PacketWatch(int link) : fd_(OpenPacketSocket(link, kHeadOfFrame, Direction::kFromGuest)) {}

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
