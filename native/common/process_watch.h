// Tells when a process that is not our child ends.
#pragma once

#include <napi.h>

namespace understudy {

// watchProcess(pid, onEnded): { close() }, as src/native.ts declares it.
void InitProcessWatch(Napi::Env env, Napi::Object exports);

}  // namespace understudy
