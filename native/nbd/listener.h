// The server's socket file: made for its owner alone, a stale one replaced, removed at the end.
#pragma once

#include <sys/stat.h>

#include <string>

#include "memory/owned.h"

namespace understudy::nbd {

class Listener {
 public:
  // Throws SyscallError: EADDRINUSE when a server listens there, EEXIST when the path is no socket,
  // ENAMETOOLONG when it is longer than an address of a UNIX socket.
  Listener(std::string path, uid_t owner);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  int fd() const { return fd_.get(); }
  // A non-blocking connection; none when the client has gone again. Throws SyscallError when the client had
  // to be sent away.
  memory::UniqueFd Accept();

 private:
  const std::string path_;
  memory::UniqueFd fd_;
  memory::UniqueFd spare_;
  struct stat made_;
};

}  // namespace understudy::nbd
