// The two JavaScript classes of one environment. Only native code makes their instances.
#pragma once

#include <napi.h>

#include <memory>

namespace understudy::libvirt {

class Link;

struct Classes {
  Napi::FunctionReference connection;
  Napi::FunctionReference domain;
};

// What a constructor gets, inside a Napi::External.
struct Birth {
  std::shared_ptr<Link> link;
  std::shared_ptr<Classes> classes;
};

// Throws a TypeError when the constructor was called from JavaScript.
inline void RequireNative(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Illegal constructor");
  }
}

}  // namespace understudy::libvirt
