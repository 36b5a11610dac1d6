// What src/native-net.ts declares as NativePlugHold and NativePlugRule.
#include <napi.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "../common/async.h"
#include "../common/boundary.h"
#include "../common/promise_task.h"
#include "arguments.h"
#include "bindings.h"
#include "hold_events_js.h"
#include "hold_lock.h"
#include "plug_hold.h"
#include "plug_path.h"
#include "plug_probe.h"
#include "plug_rule.h"

namespace understudy {
namespace {

CodedError EpochOpen(uint64_t epoch, uint64_t open_epoch) {
  return CodedError("HOLD_EPOCH_OPEN", "epoch " + std::to_string(epoch) + " cannot be released: the open epoch is " +
                                           std::to_string(open_epoch));
}

PlugHold::Ending EndingFrom(const Napi::CallbackInfo& info) {
  const std::string output = TextFrom(OptionsFrom(info).Get("output"), "output");
  if (output == "held") return PlugHold::Ending::kHeld;
  if (output == "release") return PlugHold::Ending::kRelease;
  if (output == "drop") return PlugHold::Ending::kDrop;
  throw CodedError("BAD_ARGUMENT", "output must be held, release or drop");
}

class PlugHoldJs : public Napi::ObjectWrap<PlugHoldJs> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(env, "NativePlugHold",
                       {InstanceAccessor<&PlugHoldJs::Tap>("tap"),
                        InstanceAccessor<&PlugHoldJs::Ifb>("ifb"),
                        InstanceAccessor<&PlugHoldJs::Boundary>("boundary"),
                        InstanceMethod<&PlugHoldJs::CloseEpoch>("closeEpoch"),
                        InstanceMethod<&PlugHoldJs::Release>("release"),
                        InstanceMethod<&PlugHoldJs::DropAll>("dropAll"),
                        InstanceMethod<&PlugHoldJs::SetPassing>("setPassing"),
                        InstanceMethod<&PlugHoldJs::FireAtWaiting>("fireAtWaiting"),
                        InstanceMethod<&PlugHoldJs::Stats>("stats"),
                        InstanceMethod<&PlugHoldJs::Addresses>("addresses"),
                        InstanceMethod<&PlugHoldJs::Close>("close")});
  }

  explicit PlugHoldJs(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PlugHoldJs>(info) {
    Guarded(info.Env(), [&] {
      const Napi::Object options = OptionsFrom(info);
      const PlugHold::Options chosen{
          .tap = TextFrom(options.Get("tap"), "tap"),
          .ifb = TextFrom(options.Get("ifb"), "ifb"),
          .epoch = CountFrom(options.Get("epoch"), "epoch"),
          .limit_packets = CountFrom(options.Get("limitPackets"), "limitPackets"),
          .limit_bytes = CountFrom(options.Get("limitBytes"), "limitBytes"),
      };
      tap_ = chosen.tap;
      ifb_ = chosen.ifb;
      auto events = std::make_shared<HoldEventsJs>(info.Env(), ListenerFrom(options));
      try {
        hold_ = std::make_shared<PlugHold>(chosen, events);
      } catch (...) {
        events->Finish();
        throw;
      }
      events_ = std::move(events);
      boundary_ = Napi::Persistent(Napi::External<BoundaryRef>::New(
          info.Env(), new BoundaryRef{hold_}, [](Napi::Env, BoundaryRef* ref) { delete ref; }));
    });
  }

  // Dropped without close(): nobody said what becomes of the output, so it stays held.
  ~PlugHoldJs() override {
    if (finished_ || !events_) return;
    hold_->Close(PlugHold::Ending::kHeld);
    events_->Finish();
  }

 private:
  Napi::Value Tap(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), tap_); }
  Napi::Value Ifb(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), ifb_); }
  Napi::Value Boundary(const Napi::CallbackInfo&) { return boundary_.Value(); }

  void CloseEpoch(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] { hold_->OnEpochClosed(CountFrom(info[0], "epoch")); });
  }

  Napi::Value Release(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      const uint64_t epoch = CountFrom(info[0], "epoch");
      const HoldEventsJs::Promise release = events_->StartRelease(info.Env());
      try {
        hold_->Release(epoch, release.id);
      } catch (...) {
        events_->CancelRelease(info.Env(), release.id);
        throw;
      }
      return release.promise;
    });
  }

  Napi::Value DropAll(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(hold_->DropAll())); });
  }

  void SetPassing(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] { hold_->SetPassing(FlagFrom(info[0], "passing")); });
  }

  void FireAtWaiting(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      const bool quietly = info[2].ToBoolean();
      events_->FireAtWaiting(TriggerFrom(info[0]), NanosecondsFrom(info[1], "notBeforeNs"), quietly);
    });
  }

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return StatsToJs(info.Env(), hold_->Stats()); });
  }

  Napi::Value Addresses(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return AddressesToJs(info.Env(), hold_->Addresses()); });
  }

  // May be called again when it failed; what was held is then held or stopped.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      const PlugHold::Ending ending = EndingFrom(info);
      Ref();  // until the answer
      return RunOnThread<std::exception_ptr>(
          info.Env(),
          [hold = hold_, ending] {
            try {
              hold->Close(ending);
              return std::exception_ptr();
            } catch (...) {
              return std::current_exception();
            }
          },
          [this](Napi::Env env, std::exception_ptr&& failure) -> Napi::Value {
            Unref();
            if (failure) std::rethrow_exception(failure);
            if (!finished_) events_->Finish();
            finished_ = true;
            return env.Undefined();
          });
    });
  }

  std::string tap_;
  std::string ifb_;
  std::shared_ptr<PlugHold> hold_;
  std::shared_ptr<HoldEventsJs> events_;
  Napi::Reference<Napi::External<BoundaryRef>> boundary_;
  // The hold is closed and tells nothing more.
  bool finished_ = false;
};

class PlugRuleJs : public Napi::ObjectWrap<PlugRuleJs> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(env, "NativePlugRule",
                       {InstanceMethod<&PlugRuleJs::Close>("close"), InstanceMethod<&PlugRuleJs::Release>("release"),
                        InstanceMethod<&PlugRuleJs::Left>("left"),
                        InstanceAccessor<&PlugRuleJs::OpenEpoch>("openEpoch")});
  }

  explicit PlugRuleJs(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<PlugRuleJs>(info), rule_(Guarded(info.Env(), [&] {
          return PlugRule(CountFrom(OptionsFrom(info).Get("epoch"), "epoch"));
        })) {}

 private:
  static Napi::Value ToJs(Napi::Env env, PlugRule::Command command) {
    Napi::Array list = Napi::Array::New(env);
    if (command == PlugRule::Command::kBuffer) list.Set(0u, "buffer");
    if (command == PlugRule::Command::kReleaseOne) list.Set(0u, "releaseOne");
    return list;
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return ToJs(info.Env(), rule_.Close(CountFrom(info[0], "epoch"))); });
  }

  void Left(const Napi::CallbackInfo&) { rule_.Left(); }

  Napi::Value Release(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const uint64_t epoch = CountFrom(info[0], "epoch");
      const auto command = rule_.Release(epoch);
      if (!command) throw EpochOpen(epoch, rule_.open_epoch());
      return ToJs(info.Env(), *command);
    });
  }

  Napi::Value OpenEpoch(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(rule_.open_epoch()));
  }

  PlugRule rule_;
};

void RemovePlugHold(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    const Napi::Object options = OptionsFrom(info);
    const std::string tap = TextFrom(options.Get("tap"), "tap");
    const std::string ifb = TextFrom(options.Get("ifb"), "ifb");
    const HoldLock nobody_holds(ifb);
    RemovePlugPath(tap, ifb);
  });
}

void ProbePlugJs(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [] { ProbePlug(); });
}

// The class stays private; its constructor lives as long as the function that uses it.
void SetConstructor(Napi::Env env, Napi::Object net, const char* name, const Napi::Function& class_function) {
  auto constructor = std::make_shared<Napi::FunctionReference>(Napi::Persistent(class_function));
  net.Set(name, Napi::Function::New(env, [constructor](const Napi::CallbackInfo& info) {
            return constructor->New({info[0]});
          }));
}

}  // namespace

void InitPlug(Napi::Env env, Napi::Object net) {
  SetConstructor(env, net, "openPlugHold", PlugHoldJs::Class(env));
  SetConstructor(env, net, "plugRule", PlugRuleJs::Class(env));
  net.Set("removePlugHold", Napi::Function::New(env, RemovePlugHold));
  net.Set("probePlug", Napi::Function::New(env, ProbePlugJs));
}

}  // namespace understudy
