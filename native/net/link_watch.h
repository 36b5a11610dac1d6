// What others do to interfaces of ours, as the kernel tells it (rtnetlink(7), groups RTNLGRP_LINK
// and RTNLGRP_TC): a non-blocking socket to poll, and its messages reduced to what a hold must know.
// A change is a reason to look, not a verdict: it may be undone, or be by our own tools, by the time it
// is read. Has no thread and no lock.
#pragma once

#include <cstdint>
#include <vector>

namespace understudy {

struct LinkChange {
  enum class Kind {
    // The interface was deleted, or moved to another network namespace.
    kGone,
    // A property of the link: `up` and `master` are those of the message.
    kLink,
    // A qdisc of the interface (root, ingress or clsact) was added, replaced, changed or removed.
    kQdisc,
    // A filter or chain of the interface, or any action of this namespace (`ifindex` 0: an action can
    // be changed on its own, and then names no interface).
    kFilter,
    // Messages were lost: anything may have happened to any interface. `ifindex` is 0.
    kOverrun,
  };
  Kind kind;
  int ifindex;
  // kQdisc and kFilter: it was removed. kLink: never.
  bool removed = false;
  // kLink only.
  bool up = false;
  int master = 0;
};

class LinkWatch {
 public:
  // Watches nothing yet. Throws SyscallError.
  LinkWatch();
  ~LinkWatch();
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;

  // Readable when there is something to Read().
  int fd() const { return fd_; }
  // From now on tells what happens to these interfaces (at most kWatchedLinksMax) and no others. Changes
  // made by requests of netlink port `own_port` (RtnlSocket::port; 0: none) are not told. The kernel
  // sorts: what is not told does not wake anybody. Throws SyscallError.
  void Watch(const std::vector<int>& ifindexes, uint32_t own_port);
  // Everything that has come, oldest first; never blocks. Throws SyscallError.
  std::vector<LinkChange> Read();

 private:
  int fd_ = -1;
};

}  // namespace understudy
