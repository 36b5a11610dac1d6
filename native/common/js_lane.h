// The one way from any thread into an environment's JavaScript thread: jobs run there in the
// order in which they were posted. One lane per environment, made on first use, so that the
// results of calls and the events of a connection never overtake one another.
#pragma once

#include <napi.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

namespace understudy {

class JsLane {
 public:
  using Job = std::function<void(Napi::Env)>;

  // JavaScript thread only.
  static std::shared_ptr<JsLane> Of(Napi::Env env);

  // Any thread, never blocks. False when the environment is gone: the job is dropped unrun, so
  // what it captures must be safe to destroy on any thread.
  // The queue has no limit of its own: dropping a job would lose an event or hang a promise.
  bool Post(Job job);

  // JavaScript thread only, in pairs: while held, the lane keeps the event loop alive.
  void Hold();
  void LetGo();

 private:
  explicit JsLane(napi_env env);
  static void Run(napi_env env, napi_value, void*, void* job);
  static void OnEnvCleanup(void* lane);

  const napi_env env_;
  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;  // null once the environment is going away
  size_t holds_ = 0;
};

// A JavaScript function that any thread may call and let go of. Exceptions it throws become
// uncaught exceptions of the process.
class JsCallback {
 public:
  using Invoke = std::function<void(Napi::Env, const Napi::Function&)>;

  // JavaScript thread only.
  explicit JsCallback(const Napi::Function& function);

  // Any thread: `invoke` runs on the JavaScript thread unless the callback is muted by then.
  void Post(Invoke invoke) const;
  // JavaScript thread only: nothing is delivered from now on, not even what is on its way.
  void Mute();

 private:
  std::shared_ptr<JsLane> lane_;
  // Its deleter goes back to the JavaScript thread, where references must die.
  std::shared_ptr<Napi::FunctionReference> function_;
};

}  // namespace understudy
