#include "split_port_watch.h"

#include <net/if.h>

#include <cerrno>
#include <utility>

#include "../common/async.h"
#include "traffic_control.h"

namespace understudy {
namespace {

int IndexOf(const std::string& name) {
  const unsigned index = if_nametoindex(name.c_str());
  if (index == 0) throw SyscallError("if_nametoindex", errno, name);
  return static_cast<int>(index);
}

}  // namespace

SplitPortWatch::SplitPortWatch(Names names)
    : names_(std::move(names)),
      tap_(IndexOf(names_.tap)),
      read_tap_(IndexOf(names_.read_tap)),
      bridge_tap_(IndexOf(names_.bridge_tap)) {
  changes_.Watch({tap_, read_tap_, bridge_tap_}, 0);
  bridge_ = LinkOf(bridge_tap_).master;
}

SplitPortWatch::Link SplitPortWatch::LinkOf(int index) {
  ifinfomsg body{};
  body.ifi_index = index;
  try {
    for (const RtnlMessage& message : socket_.Ask(RtnlRequest(RTM_GETLINK, 0, body), "read an interface")) {
      if (message.type != RTM_NEWLINK) continue;
      const auto link = message.Fixed<ifinfomsg>();
      const auto master = message.Attributes<ifinfomsg>().U32(IFLA_MASTER);
      return {true, (link.ifi_flags & IFF_UP) != 0, static_cast<int>(master.value_or(0))};
    }
  } catch (const SyscallError& refusal) {
    if (refusal.error() != ENODEV) throw;
  }
  return {};
}

bool SplitPortWatch::Redirects(int from, bool ingress, int to) {
  const auto filters = ReadFilters(socket_, from, ingress ? FilterSide::kIngress : FilterSide::kEgress);
  return !filters.empty() && filters.front().takes_all && filters.front().redirected_to == to;
}

SplitPortWatch::Finding SplitPortWatch::Look() {
  changes_.Read();
  const Link tap = LinkOf(tap_), read_tap = LinkOf(read_tap_), bridge_tap = LinkOf(bridge_tap_);
  const auto failed = [](const std::string& reason) { return Finding{Verdict::kFailed, reason}; };
  if (!tap.there) return failed(names_.tap + " is gone");
  if (!read_tap.there) return failed(names_.read_tap + " is gone");
  if (!bridge_tap.there) return failed(names_.bridge_tap + " is gone");
  if (!tap.up) return failed(names_.tap + " is down");

  const auto unheld = [](const std::string& reason) { return Finding{Verdict::kUnheld, reason}; };
  if (!Redirects(tap_, true, read_tap_)) return unheld("the redirect of the output of " + names_.tap + " is gone");
  if (tap.master != 0) return unheld(names_.tap + " was put on a bridge");
  if (!read_tap.up) return unheld(names_.read_tap + " was set down");
  if (!bridge_tap.up) return unheld(names_.bridge_tap + " was set down");
  if (bridge_tap.master == 0 || bridge_tap.master != bridge_) {
    return unheld(names_.bridge_tap + " was taken off its bridge");
  }
  if (!Redirects(bridge_tap_, false, tap_)) return unheld("the redirect of what goes to " + names_.tap + " is gone");
  return {};
}

}  // namespace understudy
