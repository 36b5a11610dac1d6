// A write that is prepared and done at the first sign for it, by the thread that gives the sign.
#pragma once

#include <napi.h>

namespace understudy {

void InitPreparedWrite(Napi::Env env, Napi::Object exports);

}  // namespace understudy
