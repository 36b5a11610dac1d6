// What the guest calls itself: the IPv4 and IPv6 addresses it used as a source, with their MAC,
// learned from its own frames so that a promoted guest can be announced. Bounded; the least
// recently seen address makes room for a new one. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "limits.h"

namespace understudy {

struct LearnedAddress {
  std::string mac;
  std::string address;
};

class AddressTable {
 public:
  // `frame` starts at the Ethernet header. Frames in a VLAN are left out: what they are for
  // could not be announced untagged.
  void Learn(const uint8_t* frame, size_t length);
  std::vector<LearnedAddress> List() const;

 private:
  struct Entry {
    std::array<uint8_t, 6> mac;
    // IPv4 addresses fill the first four bytes, the rest is zero.
    std::array<uint8_t, 16> address;
    bool v6;
    uint64_t seen;
  };
  void Remember(const uint8_t* mac, const uint8_t* address, bool v6);

  std::array<Entry, kLearnedAddressesMax> entries_{};
  size_t count_ = 0;
  size_t last_hit_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace understudy
