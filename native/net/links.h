// Network interfaces as the plug needs them: found, made, set and removed by rtnetlink.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "rtnetlink.h"

namespace understudy {

struct LinkInfo {
  int index = 0;
  std::string kind;
  std::string alias;
  bool up = false;
  // Of an IFB: what it took out of its qdisc, and what it has given back to where it came from.
  uint64_t received_packets = 0;
  uint64_t received_dropped = 0;
  uint64_t sent_packets = 0;
};

// Nothing when there is no interface of that name. Throws SyscallError, as all here do.
std::optional<LinkInfo> FindLink(RtnlSocket& socket, const std::string& name);
std::optional<LinkInfo> FindLink(RtnlSocket& socket, int index);
// Down, silent (no IPv6 of its own), one queue. EEXIST when there is an interface of that name.
void CreateIfb(RtnlSocket& socket, const std::string& name, uint32_t queue_frames);
void SetLinkUp(RtnlSocket& socket, int index, bool up);
void SetLinkAlias(RtnlSocket& socket, int index, const std::string& alias);
void DeleteLink(RtnlSocket& socket, int index);

}  // namespace understudy
