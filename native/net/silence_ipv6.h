// Keeps the host's own IPv6 off an interface that is made for a guest's packets.
#pragma once

#include <string>

namespace understudy {

// Router solicitations and multicast reports of the host would look like the guest's output. Before the
// interface is up. Throws SyscallError.
void SilenceIpv6(const std::string& interface);

}  // namespace understudy
