// What src/native-net.ts declares as NativeNet.
#include <napi.h>

#include <string>
#include <vector>

#include "announce.h"
#include "arguments.h"
#include "bindings.h"

namespace understudy {
namespace {

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
  Napi::Object net = Napi::Object::New(env);
  InitTapHolder(env, net);
  InitPlug(env, net);
  InitInboundWatch(env, net);
  net.Set("announce", Napi::Function::New(env, AnnounceJs));
  exports.Set("net", net);
}

}  // namespace understudy
