// What is told, inside the pause, that an epoch has closed: the output hold marks its
// boundary there, the disk mirror (later) moves its write tag. Called on the capture thread while the guest
// stands still; must be quick and must not touch JavaScript.
#pragma once

#include <cstdint>
#include <memory>

namespace understudy {

class BoundaryListener {
 public:
  virtual ~BoundaryListener() = default;
  // Everything the guest did until now belongs to `closed_epoch`; what follows belongs to the next.
  virtual void OnEpochClosed(uint64_t closed_epoch) = 0;
  // The backup has that epoch; on another thread, as quick as the other. Whoever does not listen is told by JavaScript.
  virtual void OnEpochCommitted(uint64_t) {}
};

// A JavaScript `NativeBoundary` is a Napi::External<BoundaryRef>.
struct BoundaryRef {
  std::shared_ptr<BoundaryListener> listener;
};

}  // namespace understudy
