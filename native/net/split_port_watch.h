// Looks after the layout of a held tap (src/netbuffer/tap-layout.ts): is the guest's output still
// redirected into the reading tap, is the port that stands for the guest still on its bridge? Not
// thread-safe.
#pragma once

#include <string>

#include "link_watch.h"
#include "rtnetlink.h"

namespace understudy {

class SplitPortWatch {
 public:
  struct Names {
    std::string tap;
    std::string read_tap;
    std::string bridge_tap;
  };
  enum class Verdict {
    kIntact,
    // A part was taken away or changed; it can be put back.
    kUnheld,
    // An interface is gone, or the guest's own is down.
    kFailed,
  };
  struct Finding {
    Verdict verdict = Verdict::kIntact;
    std::string reason{};
  };

  // Takes the bridge that the port is on now for the right one. Throws SyscallError.
  explicit SplitPortWatch(Names names);

  // Readable when it is time to look.
  int fd() const { return changes_.fd(); }
  // Takes note of the changes so far and looks at what they have left. Throws SyscallError.
  Finding Look();

 private:
  struct Link {
    bool there = false;
    bool up = false;
    int master = 0;
  };
  Link LinkOf(int index);
  bool Redirects(int from, bool ingress, int to);

  const Names names_;
  RtnlSocket socket_;
  LinkWatch changes_;
  int tap_ = 0;
  int read_tap_ = 0;
  int bridge_tap_ = 0;
  int bridge_ = 0;
};

}  // namespace understudy
