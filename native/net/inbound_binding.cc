// The JavaScript face of InboundWatch; see src/native-net.ts.
#include <net/if.h>

#include <cerrno>
#include <memory>
#include <string>

#include "../common/async.h"
#include "../common/boundary.h"
#include "../common/js_lane.h"
#include "arguments.h"
#include "bindings.h"
#include "inbound_watch.h"

namespace understudy {
namespace {

class InboundWatchJs : public Napi::ObjectWrap<InboundWatchJs> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(env, "NativeInboundWatch",
                       {InstanceAccessor<&InboundWatchJs::Boundary>("boundary"),
                        InstanceMethod<&InboundWatchJs::CloseEpoch>("closeEpoch"),
                        InstanceMethod<&InboundWatchJs::FireAtInbound>("fireAtInbound"),
                        InstanceMethod<&InboundWatchJs::Close>("close")});
  }

  explicit InboundWatchJs(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    Guarded(info.Env(), [&] {
      const Napi::Object options = OptionsFrom(info);
      const std::string tap = TextFrom(options.Get("tap"), "tap");
      const unsigned link = if_nametoindex(tap.c_str());
      if (link == 0) throw SyscallError("if_nametoindex", errno, tap);
      on_begun_ = std::make_shared<JsCallback>(FunctionFrom(options.Get("onBegun"), "onBegun"));
      watch_ = std::make_shared<InboundWatch>(static_cast<int>(link), [on_begun = on_begun_] {
        on_begun->Post([](Napi::Env, const Napi::Function& begun) { begun.Call({}); });
      });
      return info.Env().Undefined();
    });
  }

 private:
  Napi::Value Boundary(const Napi::CallbackInfo& info) {
    return Napi::External<BoundaryRef>::New(info.Env(), new BoundaryRef{watch_},
                                            [](Napi::Env, BoundaryRef* ref) { delete ref; });
  }

  Napi::Value CloseEpoch(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      watch_->OnEpochClosed(CountFrom(info[0], "epoch"));
      return info.Env().Undefined();
    });
  }

  Napi::Value FireAtInbound(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      watch_->FireAtInbound(TriggerFrom(info[0]), NanosecondsFrom(info[1], "notBeforeNs"));
      return info.Env().Undefined();
    });
  }

  // The thread only ever waits for what this wakes it from.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    on_begun_->Mute();
    watch_->Close();
    return info.Env().Undefined();
  }

  std::shared_ptr<JsCallback> on_begun_;
  std::shared_ptr<InboundWatch> watch_;
};

}  // namespace

void InitInboundWatch(Napi::Env env, Napi::Object net) {
  const auto constructor = std::make_shared<Napi::FunctionReference>(Napi::Persistent(InboundWatchJs::Class(env)));
  net.Set("watchInbound", Napi::Function::New(env, [constructor](const Napi::CallbackInfo& info) -> Napi::Value {
            return constructor->New({info[0]});
          }));
}

}  // namespace understudy
