#include "common/boundary_signal.h"

#include <memory>
#include <utility>

#include "common/boundary.h"
#include "common/js_lane.h"
#include "common/trigger.h"

namespace understudy {
namespace {

class BoundarySignal : public BoundaryListener {
 public:
  explicit BoundarySignal(const Napi::Function& on_closed) : on_closed_(on_closed) {}

  void OnEpochClosed(uint64_t closed_epoch) override {
    on_closed_.Post([closed_epoch](Napi::Env env, const Napi::Function& on_closed) {
      on_closed.Call({Napi::Number::New(env, static_cast<double>(closed_epoch))});
    });
  }

 private:
  const JsCallback on_closed_;
};

Napi::Value SignalBoundary(const Napi::CallbackInfo& info) {
  const auto signal = std::make_shared<BoundarySignal>(info[0].As<Napi::Function>());
  return Napi::External<BoundaryRef>::New(info.Env(), new BoundaryRef{signal},
                                          [](Napi::Env, BoundaryRef* ref) { delete ref; });
}

// Tells JavaScript where a prepared call would begin.
Napi::Value SignalTrigger(const Napi::CallbackInfo& info) {
  const auto on_begun = std::make_shared<JsCallback>(info[0].As<Napi::Function>());
  auto begin = [on_begun](Trigger::Sign) {
    on_begun->Post([](Napi::Env, const Napi::Function& begun) { begun.Call({}); });
  };
  return Napi::External<TriggerRef>::New(info.Env(), new TriggerRef{std::make_shared<Trigger>(std::move(begin))},
                                         [](Napi::Env, TriggerRef* ref) { delete ref; });
}

}  // namespace

void InitBoundarySignal(Napi::Env env, Napi::Object exports) {
  exports.Set("boundarySignal", Napi::Function::New(env, SignalBoundary, "boundarySignal"));
  exports.Set("triggerSignal", Napi::Function::New(env, SignalTrigger, "triggerSignal"));
}

}  // namespace understudy
