#include "plug_path.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "../common/async.h"
#include "limits.h"
#include "links.h"

namespace understudy {
namespace {

// The places on the tap's ingress that are a hold's; two, so that one can replace the other. The first
// is the foremost there is.
constexpr std::array<uint16_t, 2> kPlaces{1, 2};
// The IFB's alias says what to remove with it, to whoever comes after a crash.
constexpr char kOwnPlace[] = "understudy:plug;clsact=own";
constexpr char kForeignPlace[] = "understudy:plug;clsact=foreign";
// Handles of our plugs: from 7573:0 on ("us"), each one another, so that a command never reaches a wrong one.
constexpr uint32_t kFirstHandle = 0x75730000;
constexpr uint32_t kNextHandle = 0x00010000;

bool IsPlace(uint16_t preference) {
  return std::find(kPlaces.begin(), kPlaces.end(), preference) != kPlaces.end();
}

bool IsGone(const SyscallError& refusal) {
  return refusal.error() == ENODEV || refusal.error() == ENOENT || refusal.error() == EINVAL;
}

void RemoveUnusedClsact(RtnlSocket& socket, int link) {
  if (IngressPlace(socket, link) != "clsact") return;
  if (!ReadFilters(socket, link, FilterSide::kIngress).empty()) return;
  if (!ReadFilters(socket, link, FilterSide::kEgress).empty()) return;
  RemoveClsact(socket, link);
}

// Filters in our places that redirect to `ifb`, and those that redirect to nothing any more.
void RemoveRedirects(RtnlSocket& socket, int link, int ifb, bool also_dead) {
  if (IngressPlace(socket, link).empty()) return;
  std::vector<uint16_t> ours;
  for (const FilterInfo& filter : ReadFilters(socket, link, FilterSide::kIngress)) {
    const bool dead = also_dead && filter.redirected_to == 0;
    if (IsPlace(filter.preference) && (dead || (ifb != 0 && filter.redirected_to == ifb))) {
      ours.push_back(filter.preference);
    }
  }
  // The last one first: as long as one is there, nothing passes by.
  for (auto preference = ours.rbegin(); preference != ours.rend(); ++preference) {
    RemoveFilter(socket, link, *preference);
  }
}

}  // namespace

PlugPath::PlugPath(const Options& options) : options_(options) {
  const auto tap = FindLink(socket_, options_.tap);
  if (!tap) throw CodedError("HOLD_NO_INTERFACE", "there is no interface " + options_.tap);
  tap_link_ = tap->index;
  try {
    made_ifb_ = FindOrMakeIfb();
    Replug(options_.limit_bytes);
    SetLinkUp(socket_, plug_.link, true);
    made_place_ = EnsurePlace();
    EnsureRedirect(Strangers::kRefused);
  } catch (...) {
    Abandon();
    throw;
  }
}

PlugPath::Repair PlugPath::Restore(const std::string& distrust) {
  Repair repair;
  const auto note = [&repair](const std::string& what) {
    repair.found += (repair.found.empty() ? "" : ", ") + what;
  };
  const auto tap = FindLink(socket_, tap_link_);
  if (!tap) {
    repair.tap_gone = true;
    return repair;
  }
  repair.tap_down = !tap->up;
  if (FindOrMakeIfb()) note(options_.ifb + " was removed");
  const auto ifb = FindLink(socket_, plug_.link);
  if (!ifb) throw SyscallError("RTM_GETLINK", ENODEV, options_.ifb);
  if (!ifb->up && repair.found.empty()) note(options_.ifb + " was set down");
  const bool has_plug = Read().has_value();
  if (repair.found.empty() && (!has_plug || !distrust.empty())) {
    note("the plug of " + options_.ifb + " " + (has_plug ? distrust : "was removed"));
  }
  if (!has_plug || !distrust.empty() || !ifb->up) {
    Replug(options_.limit_bytes);
    repair.new_plug = true;
  }
  if (!ifb->up) SetLinkUp(socket_, plug_.link, true);
  if (EnsurePlace()) note("the clsact qdisc of " + options_.tap + " was removed");
  const bool was_whole = repair.found.empty();
  if (EnsureRedirect(Strangers::kMakeRoom) && was_whole) {
    note("the redirect of " + options_.tap + " was changed or removed");
  }
  return repair;
}

// True when it had to be made.
bool PlugPath::FindOrMakeIfb() {
  auto ifb = FindLink(socket_, options_.ifb);
  const bool make = !ifb;
  if (make) {
    CreateIfb(socket_, options_.ifb, kIfbQueueFrames);
    ifb = FindLink(socket_, options_.ifb);
    if (!ifb) throw SyscallError("RTM_GETLINK", ENODEV, options_.ifb);
    SetLinkAlias(socket_, ifb->index, owns_place_ ? kOwnPlace : kForeignPlace);
  } else if (ifb->kind != "ifb") {
    throw CodedError("HOLD_TAP_BUSY", options_.ifb + " exists and is no IFB");
  } else if (plug_.link == 0) {
    owns_place_ = ifb->alias == kOwnPlace;
  }
  plug_.link = ifb->index;
  return make;
}

void PlugPath::Replug(uint32_t limit_bytes) {
  // Its handle must not be that of the plug there is: the kernel would change that one instead.
  const uint32_t there = RootHandle(socket_, plug_.link).value_or(0);
  uint32_t handle = plug_.handle == 0 ? kFirstHandle : plug_.handle + kNextHandle;
  // From ffff: on the kernel uses them itself.
  if (handle >= TC_H_MAJ(TC_H_CLSACT) || handle < kFirstHandle) handle = kFirstHandle;
  if (handle == there) handle += kNextHandle;
  plug_.handle = handle;
  GraftPlug(socket_, plug_, limit_bytes);
}

QdiscStats PlugPath::Command(int action) { return CommandPlug(socket_, plug_, action, options_.limit_bytes); }

QdiscStats PlugPath::SetLimit(uint32_t limit_bytes) {
  return CommandPlug(socket_, plug_, TCQ_PLUG_LIMIT, limit_bytes);
}

std::optional<QdiscStats> PlugPath::Read() { return ReadPlug(socket_, plug_); }

bool PlugPath::IfbIsEmpty() {
  const auto ifb = FindLink(socket_, plug_.link);
  // What it receives without a sender it drops (ifb_xmit); the rest it sends back.
  return !ifb || ifb->received_packets == ifb->sent_packets + ifb->received_dropped;
}

bool PlugPath::EnsurePlace() {
  if (!IngressPlace(socket_, tap_link_).empty()) return false;
  AddClsact(socket_, tap_link_);
  if (!owns_place_) SetLinkAlias(socket_, plug_.link, kOwnPlace);
  owns_place_ = true;
  return true;
}

// True when output did not go through it.
bool PlugPath::EnsureRedirect(Strangers strangers) {
  std::array<bool, kPlaces.size()> ours{};
  std::array<bool, kPlaces.size()> dead{};
  std::array<bool, kPlaces.size()> theirs{};
  const auto is_ours = [this](const FilterInfo& filter) {
    return IsPlace(filter.preference) && filter.takes_all && filter.redirected_to == plug_.link;
  };
  const std::vector<FilterInfo> filters = ReadFilters(socket_, tap_link_, FilterSide::kIngress);
  for (const FilterInfo& filter : filters) {
    for (size_t place = 0; place < kPlaces.size(); place++) {
      if (filter.preference != kPlaces[place]) continue;
      if (is_ours(filter)) {
        ours[place] = true;
      } else if (filter.redirected_to == 0) {
        dead[place] = true;
      } else if (strangers == Strangers::kRefused) {
        throw CodedError("HOLD_TAP_BUSY", options_.tap + " has an ingress filter of preference " +
                                              std::to_string(filter.preference));
      } else {
        theirs[place] = true;
      }
    }
  }
  // Whoever stands behind it gets no frame.
  const bool was_in_front = !filters.empty() && is_ours(filters.front());
  for (size_t place = 0; place < kPlaces.size() && !was_in_front; place++) {
    if (!theirs[place]) continue;
    RemoveFilter(socket_, tap_link_, kPlaces[place]);
    ours[place] = dead[place] = false;
  }
  const bool add = !ours[0] && !ours[1];
  if (add) {
    // With a dead one in both places the foremost goes on dropping everything meanwhile.
    const size_t place = dead[0] ? 1 : 0;
    if (dead[place]) RemoveFilter(socket_, tap_link_, kPlaces[place]);
    dead[place] = false;
    AddRedirect(socket_, tap_link_, kPlaces[place], plug_.link);
  }
  for (size_t place = 0; place < kPlaces.size(); place++) {
    if (dead[place]) RemoveFilter(socket_, tap_link_, kPlaces[place]);
  }
  return !was_in_front;
}

void PlugPath::Remove() {
  try {
    RemoveRedirects(socket_, tap_link_, plug_.link, true);
    if (owns_place_) RemoveUnusedClsact(socket_, tap_link_);
  } catch (const SyscallError& refusal) {
    if (FindLink(socket_, tap_link_)) throw;  // with the tap its filters went
  }
  try {
    DeleteLink(socket_, plug_.link);
  } catch (const SyscallError& refusal) {
    if (!IsGone(refusal)) throw;
  }
}

void PlugPath::StopTap() { SetLinkUp(socket_, tap_link_, false); }

void PlugPath::Abandon() {
  if (!made_ifb_) return;
  try {
    RemoveRedirects(socket_, tap_link_, plug_.link, false);
    if (made_place_) RemoveUnusedClsact(socket_, tap_link_);
    DeleteLink(socket_, plug_.link);
  } catch (const SyscallError&) {
    // The first failure is the one to tell; what is left now is found by the next hold or by restoreTap.
  }
}

void RemovePlugPath(const std::string& tap, const std::string& ifb) {
  RtnlSocket socket;
  const auto link = FindLink(socket, ifb);
  const bool is_ours = link && link->kind == "ifb";
  if (const auto owner = FindLink(socket, tap)) {
    RemoveRedirects(socket, owner->index, is_ours ? link->index : 0, true);
    if (is_ours && link->alias == kOwnPlace) RemoveUnusedClsact(socket, owner->index);
  }
  if (is_ours) DeleteLink(socket, link->index);
}

}  // namespace understudy
