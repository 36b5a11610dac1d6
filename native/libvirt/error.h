// libvirt's errors as exceptions. libvirt keeps the last error per thread, so each is taken in
// the thread that made the call, right after it.
#pragma once

#include <string>

#include "common/async.h"

namespace understudy::libvirt {

// Becomes a JavaScript Error with `libvirtCode` (virErrorNumber) and `libvirtDomain`
// (virErrorDomain). The message begins with the libvirt function that failed.
class LibvirtError : public DetailedError {
 public:
  LibvirtError(int code, int domain, const std::string& message)
      : DetailedError(message), code_(code), domain_(domain) {}
  void AddDetails(Napi::Error& error) const override;

 private:
  int code_;
  int domain_;
};

// Throws what the calling thread's last libvirt call, `function`, left behind.
[[noreturn]] void ThrowLastError(const char* function);

// For functions that say -1 (or another negative number) on failure.
inline int Checked(int result, const char* function) {
  if (result < 0) ThrowLastError(function);
  return result;
}

// Starts the library and stops it from printing every error on stderr. Throws LibvirtError.
void InitializeOnce();

}  // namespace understudy::libvirt
