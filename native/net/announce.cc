#include "announce.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "../common/async.h"
#include "limits.h"

namespace understudy {
namespace {

using Mac = std::array<uint8_t, 6>;
using Bytes = std::vector<uint8_t>;

constexpr Mac kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// ff02::1 (all nodes) and the Ethernet group it maps to (RFC 2464).
constexpr Mac kAllNodesMac = {0x33, 0x33, 0, 0, 0, 0x01};
constexpr std::array<uint8_t, 16> kAllNodes = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01};

constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kRarpRequestReverse = 3;
constexpr uint8_t kIcmpv6 = 58;
constexpr uint8_t kNeighbourAdvertisement = 136;
constexpr uint8_t kOverrideFlag = 0x20;
constexpr uint8_t kTargetLinkLayerOption = 2;
// What RFC 4861 demands of neighbour discovery: the packet was not routed.
constexpr uint8_t kHopLimit = 255;

void Append(Bytes* to, const uint8_t* bytes, size_t length) { to->insert(to->end(), bytes, bytes + length); }

void AppendU16(Bytes* to, uint16_t value) {
  to->push_back(static_cast<uint8_t>(value >> 8));
  to->push_back(static_cast<uint8_t>(value));
}

Mac ParseMac(const std::string& text) {
  Mac mac;
  int used = 0;
  const int fields = sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
                            &mac[3], &mac[4], &mac[5], &used);
  if (fields != 6 || text.size() != 17 || used != 17) throw CodedError("BAD_ARGUMENT", "not a MAC address: " + text);
  if (mac[0] & 1) throw CodedError("BAD_ARGUMENT", "a group address cannot be announced: " + text);
  return mac;
}

Bytes EthernetHeader(const Mac& to, const Mac& from, uint16_t type) {
  Bytes frame;
  Append(&frame, to.data(), to.size());
  Append(&frame, from.data(), from.size());
  AppendU16(&frame, type);
  return frame;
}

// ARP and RARP have one layout; `target` is what stands as the target's hardware address.
Bytes ArpFrame(uint16_t type, uint16_t operation, const Mac& mac, const Mac& target, const uint8_t* ipv4) {
  Bytes frame = EthernetHeader(kBroadcast, mac, type);
  AppendU16(&frame, 1);  // Ethernet
  AppendU16(&frame, ETH_P_IP);
  frame.push_back(6);
  frame.push_back(4);
  AppendU16(&frame, operation);
  Append(&frame, mac.data(), mac.size());
  Append(&frame, ipv4, 4);
  Append(&frame, target.data(), target.size());
  Append(&frame, ipv4, 4);
  frame.resize(ETH_ZLEN);
  return frame;
}

uint16_t InternetChecksum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i++) sum += i % 2 ? bytes[i] : uint32_t{bytes[i]} << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

Bytes NeighbourAdvertisement(const Mac& mac, const uint8_t* ipv6) {
  Bytes message = {kNeighbourAdvertisement, 0, 0, 0, kOverrideFlag, 0, 0, 0};
  Append(&message, ipv6, 16);
  message.push_back(kTargetLinkLayerOption);
  message.push_back(1);  // in units of eight bytes
  Append(&message, mac.data(), mac.size());

  Bytes summed;  // pseudo header (RFC 8200, 8.1), then the message
  Append(&summed, ipv6, 16);
  Append(&summed, kAllNodes.data(), kAllNodes.size());
  AppendU16(&summed, 0);
  AppendU16(&summed, static_cast<uint16_t>(message.size()));
  AppendU16(&summed, 0);
  AppendU16(&summed, kIcmpv6);
  Append(&summed, message.data(), message.size());
  const uint16_t checksum = InternetChecksum(summed);
  message[2] = static_cast<uint8_t>(checksum >> 8);
  message[3] = static_cast<uint8_t>(checksum);

  Bytes frame = EthernetHeader(kAllNodesMac, mac, ETH_P_IPV6);
  const uint8_t version[4] = {0x60, 0, 0, 0};
  Append(&frame, version, sizeof version);
  AppendU16(&frame, static_cast<uint16_t>(message.size()));
  frame.push_back(kIcmpv6);
  frame.push_back(kHopLimit);
  Append(&frame, ipv6, 16);
  Append(&frame, kAllNodes.data(), kAllNodes.size());
  Append(&frame, message.data(), message.size());
  return frame;
}

Bytes FrameFor(const Mac& mac, const std::string& address) {
  uint8_t binary[16];
  if (inet_pton(AF_INET, address.c_str(), binary) == 1) {
    return ArpFrame(ETH_P_ARP, kArpRequest, mac, Mac{}, binary);
  }
  if (inet_pton(AF_INET6, address.c_str(), binary) == 1 && binary[0] != 0xff) {
    return NeighbourAdvertisement(mac, binary);
  }
  throw CodedError("BAD_ARGUMENT", "not an IPv4 or IPv6 address that a guest can own: " + address);
}

}  // namespace

size_t Announce(const std::string& ifname, const std::string& mac_text,
                const std::vector<std::string>& addresses) {
  if (addresses.size() > kAnnouncedAddressesMax) {
    throw CodedError("BAD_ARGUMENT", "at most " + std::to_string(kAnnouncedAddressesMax) + " addresses can be announced");
  }
  const Mac mac = ParseMac(mac_text);
  const uint8_t unspecified[4] = {};
  std::vector<Bytes> frames = {ArpFrame(ETH_P_RARP, kRarpRequestReverse, mac, mac, unspecified)};
  for (const std::string& address : addresses) frames.push_back(FrameFor(mac, address));

  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(ifname.c_str()));
  if (to.sll_ifindex == 0) throw SyscallError("if_nametoindex", errno, ifname);
  // Protocol 0: the socket only sends, it receives nothing.
  const int packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (packet < 0) throw SyscallError("socket", errno, "AF_PACKET");
  for (const Bytes& frame : frames) {
    if (sendto(packet, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
      const int error = errno;
      close(packet);
      throw SyscallError("sendto", error, ifname);
    }
  }
  close(packet);
  return frames.size();
}

}  // namespace understudy
