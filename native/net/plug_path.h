// The way that a tap's output takes through a plug, and the hands that make it, look after it and remove
// it:
//
//   tap ingress -> filter -> IFB, whose root qdisc is the plug -> tap ingress behind the filter -> bridge
//
// The plug starts throttled and is there before the filter; a filter that is to go stays until another one
// takes its frames. A filter whose IFB is gone or down drops them (act_mirred). So at no moment does a
// frame pass unheld by anything that is done here. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rtnetlink.h"
#include "traffic_control.h"

namespace understudy {

class PlugPath {
 public:
  struct Options {
    std::string tap;
    std::string ifb;
    uint32_t limit_bytes;
  };
  struct Repair {
    // In an operator's words, what was not as it should be; empty when all was.
    std::string found;
    // The plug is a new one: what the old one held is lost.
    bool new_plug = false;
    bool tap_gone = false;
    bool tap_down = false;
  };

  // Makes it, or takes over what a dead hold left: what that one held is thrown away and nothing of it
  // leaves. On failure nothing has changed, except that a dead hold's plug is empty. Throws SyscallError,
  // CodedError HOLD_TAP_BUSY when somebody else's filter is in the place of ours, HOLD_NO_INTERFACE.
  explicit PlugPath(const Options& options);

  // Puts back what is missing; also a plug that is there, when `distrust` says in an operator's words what
  // happened to it (empty: nothing). Throws what the kernel refuses; call again.
  Repair Restore(const std::string& distrust);
  // An empty, throttled plug instead of the one there is.
  void Replug(uint32_t limit_bytes);
  QdiscStats Command(int action);
  // Frames beyond it are dropped from now on.
  QdiscStats SetLimit(uint32_t limit_bytes);
  // Nothing when the plug is not there.
  std::optional<QdiscStats> Read();
  // Released frames have left not only the plug but the IFB as well.
  bool IfbIsEmpty();
  // The tap is plain: filter, clsact (if it was made here and nobody else uses it) and IFB are gone.
  void Remove();
  // What could not be made into a hold after all: as `Remove`, unless a dead hold was there before, whose output
  // stays held.
  void Abandon();
  // The last resort when the way cannot be made whole: a tap that is down takes nothing from its guest.
  void StopTap();

  // The interfaces to watch.
  std::vector<int> links() const { return {tap_link_, plug_.link}; }
  int tap_link() const { return tap_link_; }
  int ifb_link() const { return plug_.link; }
  // Under which our own changes are told to watchers.
  uint32_t port() const { return socket_.port(); }
  const Options& options() const { return options_; }

 private:
  bool FindOrMakeIfb();
  bool EnsurePlace();
  // Filters of somebody else in our places: refused before the hold began; later they go where they are in front.
  enum class Strangers { kRefused, kMakeRoom };
  bool EnsureRedirect(Strangers strangers);

  const Options options_;
  RtnlSocket socket_;
  int tap_link_ = 0;
  PlugAddress plug_;
  bool owns_place_ = false;
  bool made_ifb_ = false;
  bool made_place_ = false;
};

// What a dead hold left of a path; idempotent. Throws SyscallError.
void RemovePlugPath(const std::string& tap, const std::string& ifb);

}  // namespace understudy
