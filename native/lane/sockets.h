// TCP sockets of the lane.
#pragma once

#include <cstdint>
#include <string>

#include "memory/owned.h"

namespace understudy::lane {

// SO_SNDTIMEO, SO_RCVTIMEO; 0: none. Throws SyscallError.
void SetTimeout(const memory::UniqueFd& socket, int option, int timeout_ms);
// On a free port of that address. Throws SyscallError, LANE_ADDRESS.
memory::UniqueFd Listen(const std::string& host);
uint16_t PortOf(const memory::UniqueFd& listener);
// Within kConnectTimeoutMs. Throws SyscallError, LANE_ADDRESS.
memory::UniqueFd Connect(const std::string& host, uint16_t port);

}  // namespace understudy::lane
