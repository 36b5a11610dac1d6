// A boundary that does nothing but tell JavaScript: the guest stands still and `epoch` has closed. And a trigger
// that does nothing but tell JavaScript that it was fired.
#pragma once

#include <napi.h>

namespace understudy {

void InitBoundarySignal(Napi::Env env, Napi::Object exports);

}  // namespace understudy
