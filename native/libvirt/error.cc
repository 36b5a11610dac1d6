#include "libvirt/error.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <mutex>

namespace understudy::libvirt {

void LibvirtError::AddDetails(Napi::Error& error) const {
  error.Set("libvirtCode", static_cast<double>(code_));
  error.Set("libvirtDomain", static_cast<double>(domain_));
}

void ThrowLastError(const char* function) {
  const virError* last = virGetLastError();
  if (!last || last->code == VIR_ERR_OK) {
    throw LibvirtError(VIR_ERR_INTERNAL_ERROR, VIR_FROM_NONE,
                       std::string(function) + ": failed without saying why");
  }
  throw LibvirtError(last->code, last->domain,
                     std::string(function) + ": " + (last->message ? last->message : "no message"));
}

void InitializeOnce() {
  // A throw leaves the flag unset: the next call tries again.
  static std::once_flag once;
  std::call_once(once, [] {
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    Checked(virInitialize(), "virInitialize");
  });
}

}  // namespace understudy::libvirt
