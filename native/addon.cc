// Puts the addon together; each area registers what src/native.ts declares for it.
#include <napi.h>

#include "common/boundary_signal.h"
#include "common/prepared_write.h"
#include "common/process_watch.h"

namespace understudy {
void InitLibvirt(Napi::Env env, Napi::Object exports);
void InitMemory(Napi::Env env, Napi::Object exports);
void InitNet(Napi::Env env, Napi::Object exports);
void InitLane(Napi::Env env, Napi::Object exports);
// Each adds its part to `disks`.
void InitMirror(Napi::Env env, Napi::Object disks);
void InitStore(Napi::Env env, Napi::Object disks);
}  // namespace understudy

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  understudy::InitLibvirt(env, exports);
  understudy::InitMemory(env, exports);
  understudy::InitNet(env, exports);
  understudy::InitLane(env, exports);
  const Napi::Object disks = Napi::Object::New(env);
  understudy::InitMirror(env, disks);
  understudy::InitStore(env, disks);
  exports.Set("disks", disks);
  understudy::InitProcessWatch(env, exports);
  understudy::InitBoundarySignal(env, exports);
  understudy::InitPreparedWrite(env, exports);
  return exports;
}

NODE_API_MODULE(understudy, Init)
