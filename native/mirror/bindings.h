// The JavaScript face of the mirror target, put together in mirror_binding.cc.
#pragma once

#include <napi.h>

#include <memory>

#include "common/js_lane.h"
#include "mirror/target.h"

namespace understudy::mirror {

// `on_trouble` is muted when the object is closed.
Napi::Object NewMirrorTarget(Napi::Env env, std::shared_ptr<MirrorTarget> target, JsCallback on_trouble);

}  // namespace understudy::mirror
