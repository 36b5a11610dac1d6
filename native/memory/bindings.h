// The JavaScript faces of guest memory, replica, hasher and gate; see src/native.ts.
#pragma once

#include <napi.h>

namespace understudy::memory {

// attach(options)
Napi::Value AttachGuestMemory(const Napi::CallbackInfo& info);
// openReplica(options)
Napi::Value OpenReplica(const Napi::CallbackInfo& info);
// hasher()
Napi::Value NewHasher(const Napi::CallbackInfo& info);
// openGate(options)
Napi::Value OpenGate(const Napi::CallbackInfo& info);

}  // namespace understudy::memory
