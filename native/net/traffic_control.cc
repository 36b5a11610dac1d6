#include "traffic_control.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_mirred.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "../common/async.h"

namespace understudy {
namespace {

constexpr uint32_t kIngressFilters = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr uint32_t kEgressFilters = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);

tcmsg TcBody(int link, uint32_t parent, uint32_t handle, uint32_t info = 0) {
  tcmsg body{};
  body.tcm_family = AF_UNSPEC;
  body.tcm_ifindex = link;
  body.tcm_parent = parent;
  body.tcm_handle = handle;
  body.tcm_info = info;
  return body;
}

uint32_t FilterInfoOf(uint16_t preference, uint16_t protocol) {
  return TC_H_MAKE(static_cast<uint32_t>(preference) << 16, htons(protocol));
}

void PutPlugOptions(RtnlRequest& request, int action, uint32_t limit_bytes) {
  const tc_plug_qopt options{action, limit_bytes};
  request.PutText(TCA_KIND, "plug");
  request.Put(TCA_OPTIONS, &options, sizeof options);
}

QdiscStats StatsOf(const RtnlMessage& message) {
  const RtnlAttributes all = message.Attributes<tcmsg>().Nest(TCA_STATS2);
  QdiscStats stats;
  if (const auto basic = all.Value<gnet_stats_basic>(TCA_STATS_BASIC)) {
    stats.bytes_left = basic->bytes;
    stats.segments_left = basic->packets;
  }
  if (const auto queue = all.Value<gnet_stats_queue>(TCA_STATS_QUEUE)) {
    stats.queued_frames = queue->qlen;
    stats.backlog_bytes = queue->backlog;
    stats.dropped_frames = queue->drops;
  }
  return stats;
}

// The qdisc as it is now. Until 6.7 the kernel sends the answer to a plain get only to those who listen
// to RTNLGRP_TC (tc_get_qdisc -> qdisc_notify); with ECHO it comes to us as well.
std::optional<RtnlMessage> GetQdisc(RtnlSocket& socket, const tcmsg& body) {
  try {
    auto answers = socket.Ask(RtnlRequest(RTM_GETQDISC, NLM_F_ECHO, body), "RTM_GETQDISC");
    if (answers.empty()) return std::nullopt;
    return std::move(answers[0]);
  } catch (const SyscallError& refusal) {
    // EINVAL: another handle, or the default qdisc, which the kernel does not show.
    if (refusal.error() == ENOENT || refusal.error() == EINVAL || refusal.error() == ENODEV) {
      return std::nullopt;
    }
    throw;
  }
}

// Goes into the options of either classifier.
void PutRedirectAction(RtnlRequest& request, uint16_t actions, int to) {
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = static_cast<uint32_t>(to);
  const size_t list = request.OpenNest(actions);
  const size_t first = request.OpenNest(1);
  request.PutText(TCA_ACT_KIND, "mirred");
  const size_t options = request.OpenNest(TCA_ACT_OPTIONS | NLA_F_NESTED);
  request.Put(TCA_MIRRED_PARMS, &mirred, sizeof mirred);
  request.CloseNest(options);
  request.CloseNest(first);
  request.CloseNest(list);
}

void PutU32MatchAll(RtnlRequest& request) {
  std::array<uint8_t, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> match{};
  tc_u32_sel selector{};
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  // Inside the Ethernet header: at offset 0 the kernel would not match frames with less than four bytes
  // of payload, because it cannot read the word.
  tc_u32_key key{};
  key.off = -12;
  memcpy(match.data(), &selector, sizeof selector);
  memcpy(match.data() + sizeof selector, &key, sizeof key);
  request.Put(TCA_U32_SEL, match.data(), match.size());
}

bool TakesAll(const tcmsg& body, const RtnlAttributes& options, bool is_u32) {
  if ((body.tcm_info & 0xffff) != htons(ETH_P_ALL)) return false;
  if (!is_u32) return true;
  const auto match = options.Find(TCA_U32_SEL);
  if (!match || match->size() < sizeof(tc_u32_sel) + sizeof(tc_u32_key)) return false;
  tc_u32_sel selector;
  tc_u32_key key;
  memcpy(&selector, match->data(), sizeof selector);
  memcpy(&key, match->data() + sizeof selector, sizeof key);
  return selector.nkeys == 1 && key.mask == 0;
}

std::optional<int> RedirectTarget(const RtnlAttributes& options, uint16_t actions) {
  const RtnlAttributes first = options.Nest(actions).Nest(1);
  if (first.Text(TCA_ACT_KIND) != "mirred") return std::nullopt;
  const auto mirred = first.Nest(TCA_ACT_OPTIONS).Value<tc_mirred>(TCA_MIRRED_PARMS);
  if (!mirred || mirred->eaction != TCA_EGRESS_REDIR) return std::nullopt;
  return static_cast<int>(mirred->ifindex);
}

}  // namespace

void GraftPlug(RtnlSocket& socket, const PlugAddress& plug, uint32_t limit_bytes) {
  RtnlRequest request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, TcBody(plug.link, TC_H_ROOT, plug.handle));
  PutPlugOptions(request, TCQ_PLUG_LIMIT, limit_bytes);
  socket.Ask(request, "RTM_NEWQDISC plug");
}

QdiscStats CommandPlug(RtnlSocket& socket, const PlugAddress& plug, int action, uint32_t limit_bytes) {
  // No parent: found by its handle, so that nobody else's qdisc is ever commanded.
  RtnlRequest request(RTM_NEWQDISC, NLM_F_ECHO, TcBody(plug.link, 0, plug.handle));
  PutPlugOptions(request, action, limit_bytes);
  const std::vector<RtnlMessage> answers = socket.Ask(request, "plug command");
  if (answers.empty()) throw SyscallError("plug command", EBADMSG, "the kernel did not echo it");
  return StatsOf(answers[0]);
}

std::optional<QdiscStats> ReadPlug(RtnlSocket& socket, const PlugAddress& plug) {
  const auto qdisc = GetQdisc(socket, TcBody(plug.link, TC_H_ROOT, plug.handle));
  if (!qdisc || qdisc->Attributes<tcmsg>().Text(TCA_KIND) != "plug") return std::nullopt;
  return StatsOf(*qdisc);
}

std::optional<uint32_t> RootHandle(RtnlSocket& socket, int link) {
  const auto qdisc = GetQdisc(socket, TcBody(link, TC_H_ROOT, 0));
  if (!qdisc || qdisc->Fixed<tcmsg>().tcm_handle == 0) return std::nullopt;
  return qdisc->Fixed<tcmsg>().tcm_handle;
}

std::string IngressPlace(RtnlSocket& socket, int link) {
  const auto qdisc = GetQdisc(socket, TcBody(link, TC_H_CLSACT, 0));
  return qdisc ? qdisc->Attributes<tcmsg>().Text(TCA_KIND) : "";
}

void AddClsact(RtnlSocket& socket, int link) {
  RtnlRequest request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
                      TcBody(link, TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0)));
  request.PutText(TCA_KIND, "clsact");
  socket.Ask(request, "RTM_NEWQDISC clsact");
}

void RemoveClsact(RtnlSocket& socket, int link) {
  RtnlRequest request(RTM_DELQDISC, 0, TcBody(link, TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0)));
  request.PutText(TCA_KIND, "clsact");
  socket.Ask(request, "RTM_DELQDISC clsact");
}

std::vector<FilterInfo> ReadFilters(RtnlSocket& socket, int link, FilterSide side) {
  const uint32_t parent = side == FilterSide::kIngress ? kIngressFilters : kEgressFilters;
  std::vector<FilterInfo> filters;
  for (const RtnlMessage& message :
       socket.List(RtnlRequest(RTM_GETTFILTER, 0, TcBody(link, parent, 0)), "RTM_GETTFILTER")) {
    const auto body = message.Fixed<tcmsg>();
    const RtnlAttributes attributes = message.Attributes<tcmsg>();
    // The classifier itself and its hash tables are listed too: they have no handle, or do nothing.
    if (body.tcm_handle == 0) continue;
    const RtnlAttributes options = attributes.Nest(TCA_OPTIONS);
    const std::string kind = attributes.Text(TCA_KIND);
    const bool is_u32 = kind == "u32";
    if (is_u32 && !options.Find(TCA_U32_SEL)) continue;
    FilterInfo filter;
    filter.preference = static_cast<uint16_t>(TC_H_MAJ(body.tcm_info) >> 16);
    if (is_u32 || kind == "matchall") {
      filter.takes_all = TakesAll(body, options, is_u32);
      filter.redirected_to = RedirectTarget(options, is_u32 ? uint16_t{TCA_U32_ACT} : uint16_t{TCA_MATCHALL_ACT});
    }
    filters.push_back(filter);
  }
  return filters;
}

void AddRedirect(RtnlSocket& socket, int link, uint16_t preference, int to) {
  const tcmsg body = TcBody(link, kIngressFilters, 0, FilterInfoOf(preference, ETH_P_ALL));
  const auto request_with = [&](const char* kind) {
    RtnlRequest request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body);
    request.PutText(TCA_KIND, kind);
    return request;
  };
  RtnlRequest matchall = request_with("matchall");
  size_t options = matchall.OpenNest(TCA_OPTIONS);
  PutRedirectAction(matchall, TCA_MATCHALL_ACT, to);
  matchall.CloseNest(options);
  try {
    socket.Ask(matchall, "RTM_NEWTFILTER matchall");
    return;
  } catch (const SyscallError& refusal) {
    if (refusal.error() != ENOENT) throw;  // ENOENT: this kernel has no such classifier
  }
  RtnlRequest u32 = request_with("u32");
  options = u32.OpenNest(TCA_OPTIONS);
  PutU32MatchAll(u32);
  PutRedirectAction(u32, TCA_U32_ACT, to);
  u32.CloseNest(options);
  socket.Ask(u32, "RTM_NEWTFILTER u32");
}

void RemoveFilter(RtnlSocket& socket, int link, uint16_t preference) {
  socket.Ask(RtnlRequest(RTM_DELTFILTER, 0, TcBody(link, kIngressFilters, 0, FilterInfoOf(preference, 0))),
             "RTM_DELTFILTER");
}

}  // namespace understudy
