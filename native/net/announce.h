// Tells the network behind one interface where a MAC address now lives.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace understudy {

// Sends RARP, a gratuitous ARP request per IPv4 and an unsolicited neighbour advertisement per
// IPv6 address, all with source `mac`, from `ifname`. Returns the number of frames. Throws
// CodedError BAD_ARGUMENT before anything is sent, SyscallError when sending fails.
size_t Announce(const std::string& ifname, const std::string& mac,
                const std::vector<std::string>& addresses);

}  // namespace understudy
