#include "link_watch.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "../common/async.h"
#include "limits.h"
#include "rtnetlink.h"

namespace understudy {
namespace {

// ifinfomsg and tcmsg have the interface's number at the same place.
static_assert(offsetof(ifinfomsg, ifi_index) == offsetof(tcmsg, tcm_ifindex));
constexpr uint32_t kIndexAt = NLMSG_HDRLEN + offsetof(ifinfomsg, ifi_index);

sock_filter Do(uint16_t code, uint32_t value) { return {code, 0, 0, value}; }
sock_filter If(uint32_t value, uint8_t then, uint8_t otherwise) {
  return {BPF_JMP | BPF_JEQ | BPF_K, then, otherwise, value};
}

// Lets pass what is about one of `ifindexes`, or about an action, and not asked for by `own_port`. BPF
// loads in network order, netlink writes in the host's.
std::vector<sock_filter> Program(const std::vector<int>& ifindexes, uint32_t own_port) {
  std::vector<sock_filter> program;
  program.push_back(Do(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)));
  // The kernel's own changes have port 0, which is nobody's.
  if (own_port != 0) {
    program.push_back(If(htonl(own_port), 0, 1));
    program.push_back(Do(BPF_RET | BPF_K, 0));
  }
  program.push_back(Do(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)));
  for (const uint16_t type : {RTM_NEWACTION, RTM_DELACTION}) {
    program.push_back(If(htons(type), 0, 1));
    program.push_back(Do(BPF_RET | BPF_K, UINT32_MAX));
  }
  program.push_back(Do(BPF_LD | BPF_W | BPF_ABS, kIndexAt));
  for (const int index : ifindexes) {
    program.push_back(If(htonl(static_cast<uint32_t>(index)), 0, 1));
    program.push_back(Do(BPF_RET | BPF_K, UINT32_MAX));
  }
  program.push_back(Do(BPF_RET | BPF_K, 0));
  return program;
}

std::optional<LinkChange> LinkChangeOf(const RtnlMessage& message) {
  const auto body = message.Fixed<ifinfomsg>();
  // A bridge tells of its ports in the same groups, in its own family: a port that left is not gone.
  const bool bridge = body.ifi_family == AF_BRIDGE;
  if (message.type == RTM_DELLINK && !bridge) return LinkChange{LinkChange::Kind::kGone, body.ifi_index};
  if (body.ifi_family != AF_UNSPEC && !bridge) return std::nullopt;
  LinkChange change{LinkChange::Kind::kLink, body.ifi_index};
  change.up = (body.ifi_flags & IFF_UP) != 0;
  if (message.type == RTM_NEWLINK) {
    change.master = static_cast<int>(message.Attributes<ifinfomsg>().U32(IFLA_MASTER).value_or(0));
  }
  return change;
}

std::optional<LinkChange> ChangeOf(const RtnlMessage& message) {
  using Kind = LinkChange::Kind;
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return LinkChangeOf(message);
    case RTM_NEWQDISC:
    case RTM_DELQDISC:
      return LinkChange{Kind::kQdisc, message.Fixed<tcmsg>().tcm_ifindex, message.type == RTM_DELQDISC};
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
    case RTM_NEWCHAIN:
    case RTM_DELCHAIN:
      return LinkChange{Kind::kFilter, message.Fixed<tcmsg>().tcm_ifindex,
                        message.type == RTM_DELTFILTER || message.type == RTM_DELCHAIN};
    case RTM_NEWACTION:
    case RTM_DELACTION:
      return LinkChange{Kind::kFilter, 0, message.type == RTM_DELACTION};
    default:
      return std::nullopt;
  }
}

}  // namespace

LinkWatch::LinkWatch() {
  fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd_ < 0) throw SyscallError("socket", errno, "NETLINK_ROUTE");
  try {
    Watch({}, 0);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_TC;
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
      throw SyscallError("bind", errno, "RTNLGRP_LINK, RTNLGRP_TC");
    }
  } catch (...) {
    close(fd_);
    throw;
  }
}

LinkWatch::~LinkWatch() { close(fd_); }

void LinkWatch::Watch(const std::vector<int>& ifindexes, uint32_t own_port) {
  if (ifindexes.size() > kWatchedLinksMax) throw SyscallError("SO_ATTACH_FILTER", E2BIG);
  std::vector<sock_filter> program = Program(ifindexes, own_port);
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) {
    throw SyscallError("setsockopt", errno, "SO_ATTACH_FILTER");
  }
}

std::vector<LinkChange> LinkWatch::Read() {
  std::vector<LinkChange> changes;
  alignas(nlmsghdr) uint8_t buffer[kRtnlNoticeBytesMax];
  for (;;) {
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return changes;
    if (got < 0 && errno != ENOBUFS) throw SyscallError("recv", errno, "NETLINK_ROUTE");
    if (got < 0) {
      changes.push_back({LinkChange::Kind::kOverrun, 0});
      continue;
    }
    auto left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      const auto* body = static_cast<const uint8_t*>(NLMSG_DATA(header));
      const auto change = ChangeOf({header->nlmsg_type, {body, body + NLMSG_PAYLOAD(header, 0)}});
      if (change) changes.push_back(*change);
    }
  }
}

}  // namespace understudy
