#include "common/boundary_signal.h"

#include <memory>

#include "common/boundary.h"
#include "common/js_lane.h"

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

}  // namespace

void InitBoundarySignal(Napi::Env env, Napi::Object exports) {
  exports.Set("boundarySignal", Napi::Function::New(env, SignalBoundary, "boundarySignal"));
}

}  // namespace understudy
