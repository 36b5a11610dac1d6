// A boundary that does nothing but tell JavaScript: the guest stands still and `epoch` has closed.
#pragma once

#include <napi.h>

namespace understudy {

void InitBoundarySignal(Napi::Env env, Napi::Object exports);

}  // namespace understudy
