// What src/native-net.ts declares as NativeTapHolder.
#include <napi.h>

#include <cstdint>
#include <memory>
#include <string>

#include "../common/async.h"
#include "../common/boundary.h"
#include "arguments.h"
#include "bindings.h"
#include "hold_events_js.h"
#include "pass_program.h"
#include "tap_holder.h"

namespace understudy {
namespace {

// Removing an interface waits for the kernel's grace period, so it happens off the event loop.
class CloseWorker : public Napi::AsyncWorker {
 public:
  CloseWorker(Napi::Env env, std::shared_ptr<TapHolder> holder, std::shared_ptr<HoldEventsJs> events)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        holder_(std::move(holder)),
        events_(std::move(events)) {}
  Napi::Promise Start() {
    const Napi::Promise promise = deferred_.Promise();
    Queue();
    return promise;
  }

 protected:
  void Execute() override { holder_->Close(); }
  void OnOK() override {
    events_->Finish();
    deferred_.Resolve(Env().Undefined());
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<TapHolder> holder_;
  std::shared_ptr<HoldEventsJs> events_;
};

class TapHolderJs : public Napi::ObjectWrap<TapHolderJs> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(env, "NativeTapHolder",
                       {InstanceAccessor<&TapHolderJs::ReadTap>("readTap"),
                        InstanceAccessor<&TapHolderJs::BridgeTap>("bridgeTap"),
                        InstanceAccessor<&TapHolderJs::Boundary>("boundary"),
                        InstanceMethod<&TapHolderJs::CloseEpoch>("closeEpoch"),
                        InstanceMethod<&TapHolderJs::Release>("release"),
                        InstanceMethod<&TapHolderJs::DropAll>("dropAll"),
                        InstanceMethod<&TapHolderJs::SetPassing>("setPassing"),
                        InstanceMethod<&TapHolderJs::WatchTap>("watchTap"),
                        InstanceMethod<&TapHolderJs::PassUntil>("passUntil"),
                        InstanceMethod<&TapHolderJs::FireAtWaiting>("fireAtWaiting"),
                        InstanceMethod<&TapHolderJs::Stats>("stats"),
                        InstanceMethod<&TapHolderJs::Addresses>("addresses"),
                        InstanceMethod<&TapHolderJs::Close>("close")});
  }

  explicit TapHolderJs(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TapHolderJs>(info) {
    Guarded(info.Env(), [&] {
      const Napi::Object options = OptionsFrom(info);
      const TapHolder::Options chosen{
          .read_tap = TextFrom(options.Get("readTap"), "readTap"),
          .bridge_tap = TextFrom(options.Get("bridgeTap"), "bridgeTap"),
          .epoch = CountFrom(options.Get("epoch"), "epoch"),
          .limit_packets = CountFrom(options.Get("limitPackets"), "limitPackets"),
          .limit_bytes = CountFrom(options.Get("limitBytes"), "limitBytes"),
          .tap = options.Get("tap").IsUndefined() ? "" : TextFrom(options.Get("tap"), "tap"),
          .kernel_passes =
              options.Get("kernelPasses").IsUndefined() || FlagFrom(options.Get("kernelPasses"), "kernelPasses"),
      };
      const HoldEventsJs::Listener listener = ListenerFrom(options);
      read_tap_ = chosen.read_tap;
      bridge_tap_ = chosen.bridge_tap;
      auto events = std::make_shared<HoldEventsJs>(info.Env(), listener);
      try {
        holder_ = std::make_shared<TapHolder>(chosen, events);
      } catch (...) {
        events->Finish();
        throw;
      }
      events_ = std::move(events);
      boundary_ = Napi::Persistent(Napi::External<BoundaryRef>::New(
          info.Env(), new BoundaryRef{holder_}, [](Napi::Env, BoundaryRef* ref) { delete ref; }));
    });
  }

  // Dropped without close(): the interfaces must not outlive the object that could release them.
  ~TapHolderJs() override {
    if (closing_ || !events_) return;
    holder_->Close();
    events_->Finish();
  }

 private:
  Napi::Value ReadTap(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), read_tap_); }
  Napi::Value BridgeTap(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), bridge_tap_); }

  Napi::Value Boundary(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      RequireOpen();
      return boundary_.Value();
    });
  }

  void CloseEpoch(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      RequireOpen();
      holder_->OnEpochClosed(CountFrom(info[0], "epoch"));
    });
  }

  Napi::Value Release(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      RequireOpen();
      const uint64_t epoch = CountFrom(info[0], "epoch");
      const HoldEventsJs::Promise release = events_->StartRelease(info.Env());
      try {
        holder_->Release(epoch, release.id);
      } catch (...) {
        events_->CancelRelease(info.Env(), release.id);
        throw;
      }
      return release.promise;
    });
  }

  Napi::Value DropAll(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      RequireOpen();
      return Napi::Number::New(info.Env(), static_cast<double>(holder_->DropAll()));
    });
  }

  void SetPassing(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      RequireOpen();
      if (!info[0].IsBoolean()) throw CodedError("BAD_ARGUMENT", "passing must be a boolean");
      holder_->SetPassing(info[0].As<Napi::Boolean>().Value());
    });
  }

  void WatchTap(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      RequireOpen();
      if (!info[0].IsBoolean()) throw CodedError("BAD_ARGUMENT", "watching must be a boolean");
      holder_->WatchTap(info[0].As<Napi::Boolean>().Value());
    });
  }

  void PassUntil(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      RequireOpen();
      holder_->PassUntil(NanosecondsFrom(info[0], "deadlineNs"));
    });
  }

  void FireAtWaiting(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      const bool quietly = info[2].ToBoolean();
      events_->FireAtWaiting(TriggerFrom(info[0]), NanosecondsFrom(info[1], "notBeforeNs"), quietly);
    });
  }

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      RequireOpen();
      return StatsToJs(info.Env(), holder_->Stats());
    });
  }

  Napi::Value Addresses(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      RequireOpen();
      return AddressesToJs(info.Env(), holder_->Addresses());
    });
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      RequireOpen();
      closing_ = true;
      return (new CloseWorker(info.Env(), holder_, events_))->Start();
    });
  }

  void RequireOpen() const {
    if (closing_) throw CodedError("HOLD_CLOSED", "the output hold is closed");
  }

  std::string read_tap_;
  std::string bridge_tap_;
  std::shared_ptr<TapHolder> holder_;
  std::shared_ptr<HoldEventsJs> events_;
  Napi::Reference<Napi::External<BoundaryRef>> boundary_;
  bool closing_ = false;
};

Napi::Value PassProgramJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<bpf_insn> program =
      PassProgram({.state_map_fd = 0, .sources_map_fd = 0, .bridge_tap_index = 1});
  Napi::Array list = Napi::Array::New(env, program.size());
  for (uint32_t i = 0; i < program.size(); i++) {
    Napi::Object instruction = Napi::Object::New(env);
    instruction.Set("code", program[i].code);
    instruction.Set("offset", program[i].off);
    instruction.Set("value", program[i].imm);
    list.Set(i, instruction);
  }
  return list;
}

}  // namespace

void InitTapHolder(Napi::Env env, Napi::Object net) {
  // The class stays private; its constructor lives as long as the function that uses it.
  auto holder_class = std::make_shared<Napi::FunctionReference>(Napi::Persistent(TapHolderJs::Class(env)));
  net.Set("openTapHolder", Napi::Function::New(env, [holder_class](const Napi::CallbackInfo& info) {
            return holder_class->New({info[0]});
          }));
  net.Set("passProgram", Napi::Function::New(env, PassProgramJs));
}

}  // namespace understudy
