#include "address_table.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace understudy {
namespace {

constexpr size_t kIpv4HeaderBytes = 20;
constexpr size_t kIpv6HeaderBytes = 40;
constexpr size_t kArpBytes = 28;

uint16_t ReadU16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

// Neither 0.0.0.0 (DHCP, address probes) nor multicast, class E or broadcast can be an owner.
bool IsOwnableIpv4(const uint8_t* address) {
  const bool unspecified = (address[0] | address[1] | address[2] | address[3]) == 0;
  return !unspecified && address[0] < 224 && address[0] != 127;
}

bool IsOwnableIpv6(const uint8_t* address) {
  static const uint8_t kUnspecified[16] = {};
  return memcmp(address, kUnspecified, sizeof kUnspecified) != 0 && address[0] != 0xff;
}

}  // namespace

std::optional<AddressTable::Learned> AddressTable::Learn(const uint8_t* frame, size_t length) {
  if (length < kEthernetHeaderBytes) return std::nullopt;
  const uint8_t* mac = frame + 6;
  if (mac[0] & 1) return std::nullopt;  // a group address is nobody's source
  const uint8_t* body = frame + kEthernetHeaderBytes;
  const size_t body_bytes = length - kEthernetHeaderBytes;
  switch (ReadU16(frame + 12)) {
    case ETH_P_IP:
      if (body_bytes >= kIpv4HeaderBytes && IsOwnableIpv4(body + 12)) return Remember(mac, body + 12, ETH_P_IP);
      break;
    case ETH_P_ARP:
      // Ethernet and IPv4 only; the sender's hardware address must be the frame's.
      if (body_bytes >= kArpBytes && ReadU16(body) == 1 && ReadU16(body + 2) == ETH_P_IP &&
          memcmp(body + 8, mac, 6) == 0 && IsOwnableIpv4(body + 14)) {
        return Remember(mac, body + 14, ETH_P_IP);
      }
      break;
    case ETH_P_IPV6:
      if (body_bytes >= kIpv6HeaderBytes && IsOwnableIpv6(body + 8)) return Remember(mac, body + 8, ETH_P_IPV6);
      break;
  }
  return std::nullopt;
}

std::optional<AddressTable::Learned> AddressTable::Remember(const uint8_t* mac, const uint8_t* address,
                                                            uint16_t type) {
  Entry wanted{};
  memcpy(wanted.source.mac.data(), mac, wanted.source.mac.size());
  memcpy(wanted.source.address.data(), address, type == ETH_P_IPV6 ? 16 : 4);
  wanted.source.type = htons(type);
  wanted.seen = ++clock_;
  const auto same = [&wanted](const Entry& entry) { return entry.source == wanted.source; };
  // Most frames come from the address of the frame before.
  if (last_hit_ < count_ && same(entries_[last_hit_])) {
    entries_[last_hit_].seen = clock_;
    return std::nullopt;
  }
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(count_);
  auto place = std::find_if(entries_.begin(), end, same);
  std::optional<Learned> learned;
  if (place == end) {
    learned = {wanted.source, std::nullopt};
    if (count_ < entries_.size()) {
      count_ += 1;
    } else {
      place = std::min_element(entries_.begin(), end,
                               [](const Entry& a, const Entry& b) { return a.seen < b.seen; });
      learned->forgotten = place->source;
    }
  }
  *place = wanted;
  last_hit_ = static_cast<size_t>(place - entries_.begin());
  return learned;
}

std::vector<LearnedAddress> AddressTable::List() const {
  std::vector<LearnedAddress> list;
  for (size_t i = 0; i < count_; i++) {
    const SourceKey& source = entries_[i].source;
    char mac[18];
    snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", source.mac[0], source.mac[1],
             source.mac[2], source.mac[3], source.mac[4], source.mac[5]);
    char address[INET6_ADDRSTRLEN];
    inet_ntop(source.type == htons(ETH_P_IPV6) ? AF_INET6 : AF_INET, source.address.data(), address, sizeof address);
    list.push_back({mac, address});
  }
  return list;
}

}  // namespace understudy
