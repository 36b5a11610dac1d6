#include "tap_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "../common/async.h"
#include "limits.h"
#include "silence_ipv6.h"

// Since Linux 6.2; older headers lack them, older kernels refuse them.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

namespace understudy {
namespace {

ifreq RequestFor(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    throw CodedError("BAD_ARGUMENT", "interface name must have 1 to 15 characters: " + name);
  }
  ifreq request{};
  memcpy(request.ifr_name, name.data(), name.size());
  return request;
}

// An ioctl on the interface itself, through a throw-away socket of this network namespace.
void ConfigureInterface(unsigned long what, ifreq* request, const char* syscall) {
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) throw SyscallError("socket", errno);
  const int result = ioctl(control, what, request);
  const int error = errno;
  close(control);
  if (result < 0) throw SyscallError(syscall, error, request->ifr_name);
}

// The widest set the kernel takes; what the reading tap does not take, the kernel segments.
void EnableOffloads(int fd) {
  constexpr unsigned kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  for (const unsigned set : {kTcp | TUN_F_USO4 | TUN_F_USO6, kTcp, unsigned{TUN_F_CSUM}}) {
    if (ioctl(fd, TUNSETOFFLOAD, set) == 0) return;
    if (errno != EINVAL) throw SyscallError("TUNSETOFFLOAD", errno);
  }
}

}  // namespace

TapDevice::TapDevice(const std::string& name) : name_(name) {
  ifreq request = RequestFor(name);
  fd_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd_ < 0) throw SyscallError("open", errno, "/dev/net/tun");
  try {
    // EXCL: never take over an interface that somebody else made.
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
    if (ioctl(fd_, TUNSETIFF, &request) < 0) throw SyscallError("TUNSETIFF", errno, name);
    int header_bytes = kVnetHeaderBytes;
    if (ioctl(fd_, TUNSETVNETHDRSZ, &header_bytes) < 0) throw SyscallError("TUNSETVNETHDRSZ", errno);
    EnableOffloads(fd_);
    SilenceIpv6(name);
  } catch (...) {
    Close();
    throw;
  }
}

void TapDevice::SetQueueFrames(int frames) {
  ifreq request = RequestFor(name_);
  request.ifr_qlen = frames;
  ConfigureInterface(SIOCSIFTXQLEN, &request, "SIOCSIFTXQLEN");
}

void TapDevice::BringUp() {
  ifreq request = RequestFor(name_);
  ConfigureInterface(SIOCGIFFLAGS, &request, "SIOCGIFFLAGS");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_NOARP);
  ConfigureInterface(SIOCSIFFLAGS, &request, "SIOCSIFFLAGS");
}

void TapDevice::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace understudy
