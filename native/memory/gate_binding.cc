// NativeGate.
#include <memory>
#include <utility>

#include "memory/arguments.h"
#include "memory/bindings.h"
#include "memory/gate.h"

namespace understudy::memory {
namespace {

class GateObject : public Napi::ObjectWrap<GateObject> {
 public:
  static Napi::Object New(Napi::Env env, std::unique_ptr<Gate> gate) {
    const Napi::Object object = DefineClass(env, "Gate",
                                            {InstanceAccessor<&GateObject::ReadFd>("readFd"),
                                             InstanceAccessor<&GateObject::Path>("path"),
                                             InstanceMethod<&GateObject::Close>("close")})
                                    .New({});
    Unwrap(object)->gate_ = std::move(gate);
    return object;
  }
  explicit GateObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Gate& gate() const {
    if (!gate_) throw CodedError("CLOSED", "the gate has been closed");
    return *gate_;
  }
  Napi::Value ReadFd(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), gate().read_fd()); });
  }
  Napi::Value Path(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return Napi::String::New(info.Env(), gate().path()); });
  }
  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      gate();
      gate_.reset();
      return info.Env().Undefined();
    });
  }

  std::unique_ptr<Gate> gate_;
};

}  // namespace

Napi::Value OpenGate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Napi::Object options = ObjectArgument(env, info[0], "options");
    std::optional<Gate::Fifo> fifo;
    if (!options.Get("fifoPath").IsUndefined()) {
      fifo.emplace(Gate::Fifo{StringField(options, "fifoPath"), std::nullopt});
      if (!options.Get("ownerUid").IsUndefined())
        fifo->owner = static_cast<uid_t>(UintField(options, "ownerUid", UINT32_MAX));
    }
    return GateObject::New(env, std::make_unique<Gate>(fifo));
  });
}

}  // namespace understudy::memory
