#include "hold_lock.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "../common/async.h"

namespace understudy {

HoldLock::HoldLock(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The leading zero makes it abstract. src/netbuffer/plug-state.ts looks for the same name.
  const std::string text = std::string("\0understudy-hold/", 17) + name;
  if (text.size() > sizeof address.sun_path) throw CodedError("BAD_ARGUMENT", "the name is too long: " + name);
  memcpy(address.sun_path, text.data(), text.size());
  fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) throw SyscallError("socket", errno, "AF_UNIX");
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size());
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), bytes) == 0) return;
  const int error = errno;
  close(fd_);
  if (error == EADDRINUSE) throw CodedError("HOLD_STILL_HELD", "a live process holds output with " + name);
  throw SyscallError("bind", error, "AF_UNIX");
}

HoldLock::~HoldLock() { close(fd_); }

}  // namespace understudy
