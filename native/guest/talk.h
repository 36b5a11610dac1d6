// What the talker puts into every packet it sends and the listener looks for in every frame it sees.
#pragma once

#include <stddef.h>

#include "stamp.h"

// Kinds that the guest sends at once, and those that may wait in it for a neighbour's address or a
// window, take turns: whoever looks only at the former misses no more than one counter.
typedef enum {
  BROADCAST4,
  UDP4,
  ARP,
  UDP6,
  MULTICAST4,
  ICMP,
  ETHERTYPE,
  TCP,
  NEIGHBOUR,
  VLAN,
  LLC,
  KINDS,
} Kind;

static const char* const KIND_NAMES[KINDS] = {"broadcast4", "udp4",  "arp",        "udp6", "multicast4", "icmp",
                                              "ethertype",  "tcp", "neighbour", "vlan", "llc"};

// IEEE 802 local experimental ethertypes: one that nothing knows, and one inside the tagged frame.
enum { UNKNOWN_ETHERTYPE = 0x88b5, TAGGED_ETHERTYPE = 0x88b6, VLAN_ID = 86 };

typedef struct {
  uint64_t magic;
  // Random, of this start of the talker: a guest that booted anew is not mistaken for the old one.
  uint64_t boot;
  uint64_t counter;
  uint64_t kind;
  uint64_t check;
} Stamp;

enum { STAMP_BYTES = sizeof(Stamp) };
_Static_assert(STAMP_BYTES == 40, "what is sent is the struct itself");

static const uint64_t STAMP_MAGIC = 0x7d1b9ec4a6530f82ULL;

static inline uint64_t CheckOf(const Stamp* stamp) {
  return Mix(Mix(stamp->boot + stamp->kind) + stamp->counter);
}

static inline Stamp StampOf(uint64_t boot, uint64_t counter, Kind kind) {
  Stamp stamp = {STAMP_MAGIC, boot, counter, kind, 0};
  stamp.check = CheckOf(&stamp);
  return stamp;
}
