// What JavaScript holds of a call that is prepared (`NativePreparedCall`).
#pragma once

#include <napi.h>

#include <memory>

#include "common/trigger.h"

namespace understudy {

inline Napi::Object PreparedCallToJs(Napi::Env env, const std::shared_ptr<Trigger>& trigger) {
  const auto method = [env](auto call) {
    return Napi::Function::New(env, [call](const Napi::CallbackInfo& now) { return call(now.Env()); });
  };
  Napi::Object prepared = Napi::Object::New(env);
  prepared.Set("trigger", Napi::External<TriggerRef>::New(env, new TriggerRef{trigger},
                                                          [](Napi::Env, TriggerRef* ref) { delete ref; }));
  prepared.Set("fire", method([trigger](Napi::Env js) { return Napi::Boolean::New(js, trigger->Fire()); }));
  prepared.Set("cancel", method([trigger](Napi::Env js) { return Napi::Boolean::New(js, trigger->Cancel()); }));
  prepared.Set("begunAtNs",
               method([trigger](Napi::Env js) { return Napi::BigInt::New(js, trigger->begun_at_ns()); }));
  return prepared;
}

}  // namespace understudy
