// Work on a thread of ours, its result as a Promise. libuv's own four threads are left alone:
// four calls that hang there would stop every file and DNS operation of the process.
//
// `work` runs on the pool's thread and must not touch JavaScript; what it throws rejects the
// promise (ToJsError). `to_js` runs on the JavaScript thread. A pending promise keeps the
// event loop alive; when the environment ends first, the result is destroyed on the worker.
#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/async.h"
#include "common/js_lane.h"
#include "common/worker_pool.h"

namespace understudy {

// Threads for work that ends by itself; whatever can hang brings a pool of its own.
inline constexpr size_t kSharedWorkersMax = 16;

// Never destroyed: its threads may outlive the static destructors of an exiting process.
inline WorkerPool& SharedWorkers() {
  static WorkerPool& pool = *new WorkerPool("us-worker", kSharedWorkersMax);
  return pool;
}

inline Napi::Promise Rejected(Napi::Env env, const std::exception& failure) {
  auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(ToJsError(env, failure).Value());
  return deferred.Promise();
}

namespace promise_task {

template <class R>
struct Outcome {
  std::optional<R> value;
  std::exception_ptr failure;
};

template <class R>
Outcome<R> Attempt(std::function<R()> work) {
  Outcome<R> outcome;
  try {
    outcome.value.emplace(work());
  } catch (...) {
    outcome.failure = std::current_exception();
  }
  return outcome;
}

// A failure of `to_js` (a JavaScript exception, say out of memory) rejects the promise as well.
template <class R, class ToJs>
void Settle(Napi::Env env, const Napi::Promise::Deferred& deferred, Outcome<R>& outcome,
            const ToJs& to_js) {
  try {
    if (outcome.failure) std::rethrow_exception(outcome.failure);
    deferred.Resolve(to_js(env, std::move(*outcome.value)));
  } catch (const Napi::Error& error) {
    deferred.Reject(error.Value());
  } catch (const std::exception& failure) {
    deferred.Reject(ToJsError(env, failure).Value());
  } catch (...) {
    deferred.Reject(Napi::Error::New(env, "unknown native exception").Value());
  }
}

// What a pool's thread runs. `deferred` is settled on the JavaScript thread, and the lane let go of.
template <class R>
WorkerPool::Task TaskOf(std::shared_ptr<JsLane> lane, const Napi::Promise::Deferred& deferred,
                        std::function<R()> work, std::function<Napi::Value(Napi::Env, R&&)> to_js) {
  return [lane, deferred, work = std::move(work), to_js = std::move(to_js)]() mutable {
    auto outcome = std::make_shared<Outcome<R>>(Attempt<R>(std::exchange(work, nullptr)));
    lane->Post([hold = lane.get(), deferred, outcome, to_js = std::move(to_js)](Napi::Env js) {
      hold->LetGo();
      Settle<R>(js, deferred, *outcome, to_js);
    });
  };
}

}  // namespace promise_task

// JavaScript thread only. Rejects when the pool takes no more work.
template <class R>
Napi::Promise RunOn(WorkerPool& pool, Napi::Env env, std::function<R()> work,
                    std::function<Napi::Value(Napi::Env, R&&)> to_js) {
  const std::shared_ptr<JsLane> lane = JsLane::Of(env);
  const auto deferred = Napi::Promise::Deferred::New(env);
  try {
    pool.Post(promise_task::TaskOf<R>(lane, deferred, std::move(work), std::move(to_js)));
    lane->Hold();
  } catch (const std::exception& failure) {
    deferred.Reject(ToJsError(env, failure).Value());
  }
  return deferred.Promise();
}

// The same without a result: resolves with undefined.
inline Napi::Promise RunOn(WorkerPool& pool, Napi::Env env, std::function<void()> work) {
  struct Nothing {};
  return RunOn<Nothing>(
      pool, env,
      [work = std::move(work)]() mutable {
        std::exchange(work, nullptr)();
        return Nothing{};
      },
      [](Napi::Env js, Nothing&&) { return js.Undefined(); });
}

template <class R>
Napi::Promise RunOnThread(Napi::Env env, std::function<R()> work,
                          std::function<Napi::Value(Napi::Env, R&&)> to_js) {
  return RunOn<R>(SharedWorkers(), env, std::move(work), std::move(to_js));
}

inline Napi::Promise RunOnThread(Napi::Env env, std::function<void()> work) {
  return RunOn(SharedWorkers(), env, std::move(work));
}

}  // namespace understudy
