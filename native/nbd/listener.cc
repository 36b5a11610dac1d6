#include "nbd/listener.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <utility>

#include "nbd/limits.h"

namespace understudy::nbd {
namespace {

using memory::UniqueFd;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw SyscallError("bind", ENAMETOOLONG, path);
  path.copy(address.sun_path, path.size());
  return address;
}

UniqueFd NewSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw SyscallError("socket", errno);
  return fd;
}

// A socket file outlives the process that made it; only a connection tells whether anybody listens.
void RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    throw SyscallError("lstat", errno, path);
  }
  if (!S_ISSOCK(found.st_mode)) throw SyscallError("bind", EEXIST, path);
  const UniqueFd probe = NewSocket();
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno != ECONNREFUSED) {
    throw SyscallError("bind", EADDRINUSE, path);
  }
  if (unlink(path.c_str()) != 0) throw SyscallError("unlink", errno, path);
}

}  // namespace

Listener::Listener(std::string path, uid_t owner)
    : path_(std::move(path)), fd_(NewSocket()), spare_(memory::OpenFile("/dev/null", O_RDONLY)) {
  const sockaddr_un address = AddressOf(path_);
  RemoveStale(path_, address);
  // The file gets the mode of the socket's own inode (net/unix/af_unix.c, unix_bind_bsd), so it is never
  // open to others, not even for a moment.
  if (fchmod(fd_.get(), 0600) != 0) throw SyscallError("fchmod", errno, path_);
  if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw SyscallError("bind", errno, path_);
  }
  try {
    if (chown(path_.c_str(), owner, static_cast<gid_t>(-1)) != 0) throw SyscallError("chown", errno, path_);
    if (lstat(path_.c_str(), &made_) != 0) throw SyscallError("lstat", errno, path_);
    if (listen(fd_.get(), kListenBacklog) != 0) throw SyscallError("listen", errno, path_);
  } catch (...) {
    unlink(path_.c_str());
    throw;
  }
}

Listener::~Listener() {
  struct stat found;
  // Another server may have taken the path since.
  if (lstat(path_.c_str(), &found) == 0 && found.st_dev == made_.st_dev && found.st_ino == made_.st_ino) {
    unlink(path_.c_str());
  }
}

UniqueFd Listener::Accept() {
  UniqueFd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd || errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return fd;
  const int error = errno;
  // The client would stay in the queue and wake us for ever: the spare descriptor makes room to hang up.
  spare_.Reset();
  fd = UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  fd.Reset();
  spare_ = memory::OpenFile("/dev/null", O_RDONLY);
  throw SyscallError("accept4", error);
}

}  // namespace understudy::nbd
