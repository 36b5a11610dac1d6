#include "links.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <sys/socket.h>

#include <cerrno>

#include "../common/async.h"
#include "silence_ipv6.h"

namespace understudy {
namespace {

ifinfomsg LinkBody(int index) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = index;
  return body;
}

std::optional<LinkInfo> Find(RtnlSocket& socket, const RtnlRequest& request, const std::string& what) {
  std::vector<RtnlMessage> answers;
  try {
    answers = socket.Ask(request, what);
  } catch (const SyscallError& refusal) {
    if (refusal.error() == ENODEV) return std::nullopt;
    throw;
  }
  if (answers.empty()) throw SyscallError(what, EBADMSG);
  const auto body = answers[0].Fixed<ifinfomsg>();
  const RtnlAttributes attributes = answers[0].Attributes<ifinfomsg>();
  LinkInfo link;
  link.index = body.ifi_index;
  link.kind = attributes.Nest(IFLA_LINKINFO).Text(IFLA_INFO_KIND);
  link.alias = attributes.Text(IFLA_IFALIAS);
  link.up = (body.ifi_flags & IFF_UP) != 0;
  if (const auto stats = attributes.Value<rtnl_link_stats64>(IFLA_STATS64)) {
    link.received_packets = stats->rx_packets;
    link.received_dropped = stats->rx_dropped;
    link.sent_packets = stats->tx_packets;
  }
  return link;
}

}  // namespace

std::optional<LinkInfo> FindLink(RtnlSocket& socket, const std::string& name) {
  RtnlRequest request(RTM_GETLINK, 0, LinkBody(0));
  request.PutText(IFLA_IFNAME, name);
  return Find(socket, request, "RTM_GETLINK " + name);
}

std::optional<LinkInfo> FindLink(RtnlSocket& socket, int index) {
  return Find(socket, RtnlRequest(RTM_GETLINK, 0, LinkBody(index)), "RTM_GETLINK");
}

void CreateIfb(RtnlSocket& socket, const std::string& name, uint32_t queue_frames) {
  RtnlRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, LinkBody(0));
  request.PutText(IFLA_IFNAME, name);
  request.PutU32(IFLA_TXQLEN, queue_frames);
  const size_t info = request.OpenNest(IFLA_LINKINFO);
  request.PutText(IFLA_INFO_KIND, "ifb");
  request.CloseNest(info);
  socket.Ask(request, "RTM_NEWLINK " + name);
  SilenceIpv6(name);
}

void SetLinkUp(RtnlSocket& socket, int index, bool up) {
  ifinfomsg body = LinkBody(index);
  body.ifi_change = IFF_UP;
  body.ifi_flags = up ? IFF_UP : 0;
  socket.Ask(RtnlRequest(RTM_SETLINK, 0, body), up ? "RTM_SETLINK up" : "RTM_SETLINK down");
}

void SetLinkAlias(RtnlSocket& socket, int index, const std::string& alias) {
  RtnlRequest request(RTM_SETLINK, 0, LinkBody(index));
  request.PutText(IFLA_IFALIAS, alias);
  socket.Ask(request, "RTM_SETLINK alias");
}

void DeleteLink(RtnlSocket& socket, int index) {
  socket.Ask(RtnlRequest(RTM_DELLINK, 0, LinkBody(index)), "RTM_DELLINK");
}

}  // namespace understudy
