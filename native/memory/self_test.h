// Does this kernel track the memory of another process exactly? Versions are not to be trusted
// (fixes were backported, features configured out), so it is tried.
#pragma once

#include <string>

namespace understudy::memory {

struct SelfTest {
  bool ok = false;
  // The system call that failed, or "wrong-pages".
  std::string failed_step;
  std::string reason;
};

// On a forked scratch child with private and with shared memory; never throws for a kernel that
// is not able.
SelfTest RunSelfTest();

}  // namespace understudy::memory
