// NativeLibvirt of src/native.ts, and what one environment (main thread or worker) keeps for it.
#include <libvirt/libvirt.h>
#include <napi.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <memory>
#include <utility>
#include <vector>

#include "libvirt/arguments.h"
#include "libvirt/classes.h"
#include "libvirt/connection.h"
#include "libvirt/domain.h"
#include "libvirt/error.h"
#include "libvirt/event_loop.h"
#include "libvirt/limits.h"
#include "libvirt/link.h"

namespace understudy {
namespace libvirt {
namespace {

struct Environment {
  std::shared_ptr<Classes> classes = std::make_shared<Classes>();
  std::vector<std::weak_ptr<Link>> links;
  bool has_event_loop = false;
};

void OnEnvCleanup(void* data) {
  const std::unique_ptr<Environment> environment(static_cast<Environment*>(data));
  std::vector<std::shared_ptr<Link>> links;
  for (const auto& weak : environment->links) {
    if (auto link = weak.lock()) links.push_back(std::move(link));
  }
  for (const auto& link : links) link->Abandon();
  const auto deadline = std::chrono::steady_clock::now() + kGoodbyeMsMax;
  for (const auto& link : links) link->WaitEnded(deadline);
  if (environment->has_event_loop) ReleaseEventLoop();
}

Napi::Value Open(Environment& environment, const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object js = ObjectArg(info[0], "options");
  OpenOptions options;
  options.uri = StringArg(js.Get("uri"), "uri");
  options.keepalive_interval_s = static_cast<int>(
      NumberArg(js.Get("keepaliveIntervalS"), "keepaliveIntervalS", 1, INT_MAX));
  options.keepalive_count = NumberArg(js.Get("keepaliveCount"), "keepaliveCount", 1, UINT32_MAX);
  auto on_closed = std::make_shared<JsCallback>(FunctionArg(js.Get("onClosed"), "onClosed"));

  try {
    InitializeOnce();
    if (!environment.has_event_loop) RetainEventLoop();
    environment.has_event_loop = true;
  } catch (const std::exception& failure) {
    return Rejected(env, failure);
  }
  auto link = std::make_shared<Link>(std::move(on_closed));
  std::erase_if(environment.links, [](const auto& weak) { return weak.expired(); });
  environment.links.push_back(link);
  return link->Open(env, std::move(options),
                    [link, classes = environment.classes](Napi::Env env_now) {
                      return Connection::New(env_now, {link, classes});
                    });
}

Napi::Value LibraryVersion(const Napi::CallbackInfo& info) {
  unsigned long version = 0;
  Checked(virGetVersion(&version, nullptr, nullptr), "virGetVersion");
  return Napi::Number::New(info.Env(), static_cast<double>(version));
}

}  // namespace
}  // namespace libvirt

void InitLibvirt(Napi::Env env, Napi::Object exports) {
  using namespace libvirt;
  auto* environment = new Environment;
  environment->classes->connection = Napi::Persistent(Connection::Define(env));
  environment->classes->domain = Napi::Persistent(Domain::Define(env));
  // They end with the environment, after its cleanup hooks.
  environment->classes->connection.SuppressDestruct();
  environment->classes->domain.SuppressDestruct();
  JsLane::Of(env);  // before our hook: hooks run last in, first out, and ours needs the lane
  napi_add_env_cleanup_hook(env, OnEnvCleanup, environment);

  Napi::Object api = Napi::Object::New(env);
  api.Set("libraryVersion", Napi::Function::New(env, LibraryVersion, "libraryVersion"));
  api.Set("open", Napi::Function::New(
                      env,
                      [environment](const Napi::CallbackInfo& info) {
                        return Open(*environment, info);
                      },
                      "open"));
  exports.Set("libvirt", api);
}

}  // namespace understudy
