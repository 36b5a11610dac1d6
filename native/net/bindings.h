// The JavaScript faces of native/net; see src/native-net.ts.
#pragma once

#include <napi.h>

namespace understudy {

// openTapHolder, passProgram
void InitTapHolder(Napi::Env env, Napi::Object net);
// watchInbound
void InitInboundWatch(Napi::Env env, Napi::Object net);
// openPlugHold, removePlugHold, probePlug, plugRule
void InitPlug(Napi::Env env, Napi::Object net);

}  // namespace understudy
