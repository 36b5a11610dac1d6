#include "silence_ipv6.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "../common/async.h"

namespace understudy {

void SilenceIpv6(const std::string& interface) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6";
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return;  // a kernel without IPv6
    throw SyscallError("open", errno, path);
  }
  const ssize_t written = write(fd, "1", 1);
  const int error = errno;
  close(fd);
  if (written != 1) throw SyscallError("write", error, path);
}

}  // namespace understudy
