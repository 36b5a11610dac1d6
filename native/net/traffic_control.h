// Traffic control as the plug needs it: the plug qdisc and its commands, the place for filters on a
// tap's ingress, and the filter that redirects everything. tc(8) without tc. Everything here throws
// SyscallError with the kernel's own words.
#pragma once

#include <linux/pkt_sched.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rtnetlink.h"

namespace understudy {

// What a qdisc has counted since it was made. Lengths are the qdisc's own (qdisc_pkt_len: a GSO frame
// with the headers of its segments), so that what came in is bytes_left + backlog_bytes, to the byte.
struct QdiscStats {
  uint64_t bytes_left = 0;
  // Segments, not frames: a GSO frame counts as what it will become.
  uint64_t segments_left = 0;
  uint32_t queued_frames = 0;
  uint32_t backlog_bytes = 0;
  uint32_t dropped_frames = 0;
};

// One plug qdisc: its interface and its handle ("8001:").
struct PlugAddress {
  int link = 0;
  uint32_t handle = 0;
};

// Makes `plug` the root qdisc, throttled and empty; what the one before it held is lost, nothing of it
// leaves, and frames that arrive meanwhile are dropped.
void GraftPlug(RtnlSocket& socket, const PlugAddress& plug, uint32_t limit_bytes);
// `action`: TCQ_PLUG_*. Answers with what the qdisc has counted, as of the command. ENOENT when there is
// no qdisc with that handle (any more).
QdiscStats CommandPlug(RtnlSocket& socket, const PlugAddress& plug, int action, uint32_t limit_bytes);
// Nothing when the interface or its root qdisc is not there, or is another one.
std::optional<QdiscStats> ReadPlug(RtnlSocket& socket, const PlugAddress& plug);
// Handle of the root qdisc; nothing when it is the kernel's default.
std::optional<uint32_t> RootHandle(RtnlSocket& socket, int link);

// "clsact" or "ingress": the qdisc that ingress filters hang on; empty when there is none.
std::string IngressPlace(RtnlSocket& socket, int link);
void AddClsact(RtnlSocket& socket, int link);
void RemoveClsact(RtnlSocket& socket, int link);

enum class FilterSide { kIngress, kEgress };

struct FilterInfo {
  uint16_t preference = 0;
  // It takes every frame of every protocol.
  bool takes_all = false;
  // The interface that its first action redirects to; 0 when that one is gone (mirred then drops).
  // Nothing when it does something else.
  std::optional<int> redirected_to;
};

// Filters with actions, in the order in which the kernel asks them. Empty without clsact or ingress.
std::vector<FilterInfo> ReadFilters(RtnlSocket& socket, int link, FilterSide side);
// Every frame that comes in at `link`, of whatever protocol, goes to `to` instead. EEXIST.
void AddRedirect(RtnlSocket& socket, int link, uint16_t preference, int to);
void RemoveFilter(RtnlSocket& socket, int link, uint16_t preference);

}  // namespace understudy
