// exports.lane: connect and listen (src/native-lane.ts).
#include <napi.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "common/async.h"
#include "common/js_lane.h"
#include "common/promise_task.h"
#include "lane/backup_lane.h"
#include "lane/primary_lane.h"
#include "lane/sockets.h"
#include "memory/arguments.h"

namespace understudy::lane {
namespace {

using memory::BadArgument;
using memory::BufferArgument;
using memory::Count;
using memory::Guarded;
using memory::ObjectArgument;
using memory::StringField;
using memory::UintField;

Secret SecretField(const Napi::Object& from) {
  const Napi::Buffer<uint8_t> given = BufferArgument(from.Env(), from.Get("secret"), "secret");
  Secret secret;
  if (given.Length() != secret.size()) BadArgument(from.Env(), "secret", "64 bytes");
  memcpy(secret.data(), given.Data(), secret.size());
  return secret;
}

std::shared_ptr<JsCallback> CallbackField(const Napi::Object& from, const char* name) {
  return std::make_shared<JsCallback>(from.Get(name).As<Napi::Function>());
}

class PrimaryLaneObject : public Napi::ObjectWrap<PrimaryLaneObject> {
 public:
  static Napi::Object New(Napi::Env env, std::shared_ptr<PrimaryLane> lane) {
    const Napi::Object object = DefineClass(env, "PrimaryLane",
                                            {InstanceAccessor<&PrimaryLaneObject::Outlet>("outlet"),
                                             InstanceMethod<&PrimaryLaneObject::SetBase>("setBase"),
                                             InstanceMethod<&PrimaryLaneObject::LeaseUntil>("leaseUntil"),
                                             InstanceMethod<&PrimaryLaneObject::Close>("close")})
                                    .New({});
    Unwrap(object)->lane_ = std::move(lane);
    return object;
  }
  explicit PrimaryLaneObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value Outlet(const Napi::CallbackInfo& info) {
    return Napi::External<PrimaryLaneRef>::New(info.Env(), new PrimaryLaneRef{lane_},
                                               [](Napi::Env, PrimaryLaneRef* reference) { delete reference; });
  }
  void SetBase(const Napi::CallbackInfo& info) {
    const Napi::Buffer<uint8_t> state = BufferArgument(info.Env(), info[0], "state");
    lane_->SetBase({state.Data(), state.Length()});
  }
  void LeaseUntil(const Napi::CallbackInfo& info) {
    bool lossless = false;
    const uint64_t until_ns = info[0].IsBigInt() ? info[0].As<Napi::BigInt>().Uint64Value(&lossless) : 0;
    if (!lossless) BadArgument(info.Env(), "untilNs", "a bigint of 64 bits");
    lane_->LeaseUntil(until_ns);
  }
  void Close(const Napi::CallbackInfo&) { lane_->Close(); }

  std::shared_ptr<PrimaryLane> lane_;
};

class BackupLaneObject : public Napi::ObjectWrap<BackupLaneObject> {
 public:
  static Napi::Object New(Napi::Env env, std::unique_ptr<BackupLane> lane) {
    const Napi::Object object = DefineClass(env, "BackupLane",
                                            {InstanceAccessor<&BackupLaneObject::Port>("port"),
                                             InstanceMethod<&BackupLaneObject::SetCommitted>("setCommitted"),
                                             InstanceMethod<&BackupLaneObject::CommittedAfter>("committedAfter"),
                                             InstanceMethod<&BackupLaneObject::Stop>("stop")})
                                    .New({});
    Unwrap(object)->lane_ = std::move(lane);
    return object;
  }
  explicit BackupLaneObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value Port(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), lane_->port()); }
  void SetCommitted(const Napi::CallbackInfo& info) {
    const Napi::Object from = ObjectArgument(info.Env(), info[0], "committed");
    const Napi::Buffer<uint8_t> state = BufferArgument(info.Env(), from.Get("deviceState"), "deviceState");
    lane_->SetCommitted({UintField(from, "epoch"),
                         {state.Data(), state.Data() + state.Length()},
                         StringField(from, "addresses")});
  }
  Napi::Value CommittedAfter(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto committed = lane_->CommittedAfter(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
    if (!committed) return env.Undefined();
    Napi::Object out = Napi::Object::New(env);
    out.Set("epoch", Count(env, committed->epoch));
    out.Set("deviceState", Napi::Buffer<uint8_t>::Copy(env, committed->state.data(), committed->state.size()));
    out.Set("addresses", committed->addresses);
    return out;
  }
  void Stop(const Napi::CallbackInfo&) { lane_->Stop(); }

  std::unique_ptr<BackupLane> lane_;
};

Napi::Value ConnectLane(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = ObjectArgument(env, info[0], "options");
    const auto committed = CallbackField(options, "onCommitted");
    const auto ended = CallbackField(options, "onEnded");
    PrimaryLane::Events events{
        .on_committed =
            [committed](uint64_t epoch, uint64_t at_ns) {
              committed->Post([epoch, at_ns](Napi::Env js, const Napi::Function& told) {
                told.Call({Count(js, epoch), Napi::BigInt::New(js, at_ns)});
              });
            },
        .on_ended =
            [ended](const std::string& why) {
              ended->Post([why](Napi::Env js, const Napi::Function& told) { told.Call({Napi::String::New(js, why)}); });
            },
    };
    const auto connect = [host = StringField(options, "host"),
                          port = static_cast<uint16_t>(UintField(options, "port", UINT16_MAX)),
                          secret = SecretField(options), events = std::move(events)] {
      return std::make_shared<PrimaryLane>(Connect(host, port), secret, events);
    };
    return RunOnThread<std::shared_ptr<PrimaryLane>>(
        env, connect, [](Napi::Env js, std::shared_ptr<PrimaryLane>&& lane) -> Napi::Value {
          return PrimaryLaneObject::New(js, std::move(lane));
        });
  });
}

Napi::Value ListenLane(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = ObjectArgument(env, info[0], "options");
    const auto committed = CallbackField(options, "onCommitted");
    const auto failed = CallbackField(options, "onFailed");
    BackupLane::Events events{
        .on_committed =
            [committed](uint64_t epoch) {
              committed->Post([epoch](Napi::Env js, const Napi::Function& told) { told.Call({Count(js, epoch)}); });
            },
        .on_failed =
            [failed](const std::string& code, const std::string& why) {
              failed->Post([code, why](Napi::Env js, const Napi::Function& told) {
                told.Call({Napi::String::New(js, code), Napi::String::New(js, why)});
              });
            },
    };
    const auto& replica = options.Get("replica").As<Napi::External<memory::ReplicaRef>>().Data()->replica;
    return BackupLaneObject::New(env, std::make_unique<BackupLane>(replica, StringField(options, "host"),
                                                                   SecretField(options), std::move(events)));
  });
}

}  // namespace
}  // namespace understudy::lane

namespace understudy {

void InitLane(Napi::Env env, Napi::Object exports) {
  Napi::Object area = Napi::Object::New(env);
  area.Set("connect", Napi::Function::New(env, lane::ConnectLane, "connect"));
  area.Set("listen", Napi::Function::New(env, lane::ListenLane, "listen"));
  exports.Set("lane", area);
}

}  // namespace understudy
