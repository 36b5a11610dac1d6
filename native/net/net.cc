// What src/native.ts declares as NativeNet and NativeTapHolder: arguments in, values and
// errors out.
#include <napi.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../common/async.h"
#include "../common/boundary.h"
#include "announce.h"
#include "hold_events_js.h"
#include "tap_holder.h"

namespace understudy {
namespace {

constexpr double kSafeIntegerMax = 9007199254740991.0;

// Runs `work`; what it throws becomes a JavaScript error with `code`.
template <typename Work>
auto Guarded(Napi::Env env, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& failure) {
    throw ToJsError(env, failure);
  }
}

uint64_t CountFrom(const Napi::Value& value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > kSafeIntegerMax || std::floor(number) != number) {
    throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a whole number, 0 or more");
  }
  return static_cast<uint64_t>(number);
}

std::string TextFrom(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Function FunctionFrom(const Napi::Value& value, const char* name) {
  if (!value.IsFunction()) throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a function");
  return value.As<Napi::Function>();
}

Napi::Object OptionsFrom(const Napi::CallbackInfo& info) {
  if (!info[0].IsObject()) throw CodedError("BAD_ARGUMENT", "options must be an object");
  return info[0].As<Napi::Object>();
}

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
      };
      const Napi::Function on_waiting = FunctionFrom(options.Get("onWaiting"), "onWaiting");
      const Napi::Function on_trouble = FunctionFrom(options.Get("onTrouble"), "onTrouble");
      read_tap_ = chosen.read_tap;
      bridge_tap_ = chosen.bridge_tap;
      auto events = std::make_shared<HoldEventsJs>(info.Env(), on_waiting, on_trouble);
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

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      RequireOpen();
      const HoldStats stats = holder_->Stats();
      Napi::Object object = Napi::Object::New(info.Env());
      const auto set = [&object](const char* name, uint64_t value) { object.Set(name, static_cast<double>(value)); };
      set("openEpoch", stats.open_epoch);
      set("heldPackets", stats.held_packets);
      set("heldBytes", stats.held_bytes);
      set("heldPacketsMax", stats.held_packets_max);
      set("heldBytesMax", stats.held_bytes_max);
      set("releasedPackets", stats.released_packets);
      set("releasedBytes", stats.released_bytes);
      set("overflowPackets", stats.overflow_packets);
      set("droppedPackets", stats.dropped_packets);
      set("writeErrors", stats.write_errors);
      object.Set("oldestHeldNs", Napi::BigInt::New(info.Env(), stats.oldest_held_ns));
      return object;
    });
  }

  Napi::Value Addresses(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      RequireOpen();
      const std::vector<LearnedAddress> learned = holder_->Addresses();
      Napi::Array list = Napi::Array::New(info.Env(), learned.size());
      for (uint32_t i = 0; i < learned.size(); i++) {
        Napi::Object entry = Napi::Object::New(info.Env());
        entry.Set("mac", learned[i].mac);
        entry.Set("address", learned[i].address);
        list.Set(i, entry);
      }
      return list;
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

Napi::Value AnnounceJs(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const Napi::Object options = OptionsFrom(info);
    const Napi::Value list = options.Get("addresses");
    if (!list.IsArray()) throw CodedError("BAD_ARGUMENT", "addresses must be an array");
    std::vector<std::string> addresses;
    const Napi::Array array = list.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); i++) addresses.push_back(TextFrom(array.Get(i), "address"));
    const size_t frames =
        Announce(TextFrom(options.Get("ifname"), "ifname"), TextFrom(options.Get("mac"), "mac"), addresses);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("frames", static_cast<double>(frames));
    return result;
  });
}

}  // namespace

void InitNet(Napi::Env env, Napi::Object exports) {
  // The class stays private; its constructor lives as long as the function that uses it.
  auto holder_class = std::make_shared<Napi::FunctionReference>(Napi::Persistent(TapHolderJs::Class(env)));
  Napi::Object net = Napi::Object::New(env);
  net.Set("openTapHolder", Napi::Function::New(env, [holder_class](const Napi::CallbackInfo& info) {
            return holder_class->New({info[0]});
          }));
  net.Set("announce", Napi::Function::New(env, AnnounceJs));
  exports.Set("net", net);
}

}  // namespace understudy
