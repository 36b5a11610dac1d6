// Says that a live process holds the output of an interface, and stops saying so when the process ends,
// however it ends: a name in the abstract UNIX namespace, which belongs to the network namespace as the
// interface does (unix(7), network_namespaces(7)).
#pragma once

#include <string>

namespace understudy {

class HoldLock {
 public:
  // `name`: of the hold's own interface. Throws CodedError HOLD_STILL_HELD while somebody else has it.
  explicit HoldLock(const std::string& name);
  ~HoldLock();
  HoldLock(const HoldLock&) = delete;
  HoldLock& operator=(const HoldLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace understudy
