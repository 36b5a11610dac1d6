#include "lane/sockets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <memory>

#include "common/async.h"
#include "lane/limits.h"

namespace understudy::lane {
namespace {

using memory::UniqueFd;
using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses Resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) throw CodedError("LANE_ADDRESS", host + ": " + gai_strerror(failed));
  return Addresses(found, freeaddrinfo);
}

UniqueFd Open(const addrinfo& address) {
  UniqueFd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) throw SyscallError("socket", errno, "lane");
  return socket;
}

}  // namespace

void SetTimeout(const UniqueFd& socket, int option, int timeout_ms) {
  const timeval timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
  if (setsockopt(socket.get(), SOL_SOCKET, option, &timeout, sizeof timeout) != 0)
    throw SyscallError("setsockopt", errno, "lane");
}

UniqueFd Listen(const std::string& host) {
  const Addresses address = Resolve(host, 0);
  UniqueFd listener = Open(*address);
  if (bind(listener.get(), address->ai_addr, address->ai_addrlen) != 0) throw SyscallError("bind", errno, host);
  if (listen(listener.get(), 4) != 0) throw SyscallError("listen", errno, host);
  return listener;
}

uint16_t PortOf(const UniqueFd& listener) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw SyscallError("getsockname", errno, "lane");
  // At the same place for both families.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

UniqueFd Connect(const std::string& host, uint16_t port) {
  const Addresses address = Resolve(host, port);
  UniqueFd socket = Open(*address);
  // Bounds connect(2) as well (socket(7)).
  SetTimeout(socket, SO_SNDTIMEO, kConnectTimeoutMs);
  if (connect(socket.get(), address->ai_addr, address->ai_addrlen) != 0) throw SyscallError("connect", errno, host);
  return socket;
}

}  // namespace understudy::lane
