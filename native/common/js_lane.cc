#include "common/js_lane.h"

#include <exception>
#include <unordered_map>
#include <utility>

#include "common/async.h"

namespace understudy {
namespace {

// Never destroyed: threads of ours may outlive the static destructors of an exiting process.
struct Registry {
  std::mutex mutex;
  std::unordered_map<napi_env, std::shared_ptr<JsLane>> lanes;
};

Registry& Lanes() {
  static Registry& registry = *new Registry;
  return registry;
}

}  // namespace

std::shared_ptr<JsLane> JsLane::Of(Napi::Env env) {
  Registry& registry = Lanes();
  std::lock_guard lock(registry.mutex);
  std::shared_ptr<JsLane>& lane = registry.lanes[env];
  if (!lane) lane.reset(new JsLane(env));
  return lane;
}

JsLane::JsLane(napi_env env) : env_(env) {
  const Napi::String name = Napi::String::New(env, "understudy");
  napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr,
                                                       nullptr, nullptr, Run, &function_);
  if (status != napi_ok) throw Napi::Error::New(env, "napi_create_threadsafe_function failed");
  napi_unref_threadsafe_function(env, function_);
  // Hooks run last in, first out: ours silences the lane before Node closes the function itself.
  napi_add_env_cleanup_hook(env, OnEnvCleanup, this);
}

void JsLane::OnEnvCleanup(void* data) {
  auto* lane = static_cast<JsLane*>(data);
  {
    std::lock_guard lock(lane->mutex_);
    napi_release_threadsafe_function(lane->function_, napi_tsfn_abort);
    lane->function_ = nullptr;
  }
  Registry& registry = Lanes();
  std::lock_guard lock(registry.mutex);
  registry.lanes.erase(lane->env_);
}

bool JsLane::Post(Job job) {
  auto queued = std::make_unique<Job>(std::move(job));
  std::lock_guard lock(mutex_);
  if (!function_) return false;
  if (napi_call_threadsafe_function(function_, queued.get(), napi_tsfn_nonblocking) != napi_ok) {
    return false;
  }
  queued.release();
  return true;
}

void JsLane::Hold() {
  if (holds_++ == 0 && function_) napi_ref_threadsafe_function(env_, function_);
}

void JsLane::LetGo() {
  if (--holds_ == 0 && function_) napi_unref_threadsafe_function(env_, function_);
}

void JsLane::Run(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  if (!env) return;  // Node empties the queue of an environment that is going away.
  // Node only warns (DEP0168) about an exception that leaves here; make it uncaught instead.
  try {
    (*job)(Napi::Env(env));
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  } catch (const std::exception& failure) {
    napi_fatal_exception(env, ToJsError(env, failure).Value());
  }
}

JsCallback::JsCallback(const Napi::Function& function) : lane_(JsLane::Of(function.Env())) {
  auto release = [lane = lane_](Napi::FunctionReference* reference) {
    if (lane->Post([reference](Napi::Env) { delete reference; })) return;
    reference->SuppressDestruct();  // the environment took the reference with it
    delete reference;
  };
  function_.reset(new Napi::FunctionReference(Napi::Persistent(function)), release);
}

void JsCallback::Post(Invoke invoke) const {
  lane_->Post([function = function_, invoke = std::move(invoke)](Napi::Env env) {
    if (!function->IsEmpty()) invoke(env, function->Value());
  });
}

void JsCallback::Mute() { function_->Reset(); }

}  // namespace understudy
