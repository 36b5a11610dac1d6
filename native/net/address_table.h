// What the guest calls itself: the IPv4 and IPv6 addresses it used as a source, with their MAC,
// learned from its own frames so that a promoted guest can be announced. Bounded; the least
// recently seen address makes room for a new one. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "limits.h"

namespace understudy {

struct LearnedAddress {
  std::string mac;
  std::string address;
};

// One entry as the kernel's program looks for it (pass_program.h), without padding.
struct SourceKey {
  std::array<uint8_t, 6> mac;
  // ETH_P_IP or ETH_P_IPV6, as it is on the wire.
  uint16_t type;
  // IPv4 addresses fill the first four bytes, the rest is zero.
  std::array<uint8_t, 16> address;
  bool operator==(const SourceKey&) const = default;
};

class AddressTable {
 public:
  // What one frame has changed.
  struct Learned {
    SourceKey source;
    // It had to make room.
    std::optional<SourceKey> forgotten;
  };
  // `frame` starts at the Ethernet header. Frames in a VLAN are left out: what they are for
  // could not be announced untagged. Nothing when it taught nothing new.
  std::optional<Learned> Learn(const uint8_t* frame, size_t length);
  std::vector<LearnedAddress> List() const;

 private:
  struct Entry {
    SourceKey source;
    uint64_t seen;
  };
  std::optional<Learned> Remember(const uint8_t* mac, const uint8_t* address, uint16_t type);

  std::array<Entry, kLearnedAddressesMax> entries_{};
  size_t count_ = 0;
  size_t last_hit_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace understudy
