// A thread that belongs to one JavaScript object and does its work in order, one job at a time.
// The event loop is never blocked, and no thread is created when the work is urgent.
#pragma once

#include <napi.h>
#include <sys/eventfd.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

#include "common/promise_task.h"
#include "memory/owned.h"

namespace understudy::memory {

// All methods are for the JavaScript thread. The environment's end stops the thread: a wait
// inside a job sees `cancel_fd` readable, jobs not begun are dropped, and nothing is settled.
class WorkThread {
 public:
  explicit WorkThread(Napi::Env env)
      : env_(env), lane_(JsLane::Of(env)), cancel_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!cancel_) throw SyscallError("eventfd", errno);
    // Hooks run in reverse order of their making: this one before the lane's own.
    napi_add_env_cleanup_hook(env, OnEnvironmentEnd, this);
    thread_ = std::thread([this] { Serve(); });
  }
  ~WorkThread() {
    if (!thread_.joinable()) return;
    napi_remove_env_cleanup_hook(env_, OnEnvironmentEnd, this);
    Stop();
  }
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  int cancel_fd() const { return cancel_.get(); }

  // Runs `work` on the thread and settles a promise with `to_js` of its result. `owner` (the
  // object whose state the work uses) and `keep` stay alive until then.
  template <typename Work, typename ToJs>
  Napi::Promise Run(const Napi::Object& owner, const Napi::Value& keep, Work work, ToJs to_js) {
    using Result = std::invoke_result_t<Work>;
    struct Kept {
      Napi::ObjectReference owner;
      Napi::Reference<Napi::Value> keep;
    };
    const auto kept = std::make_shared<Kept>(Kept{Napi::Persistent(owner), Napi::Persistent(keep)});
    const auto deferred = Napi::Promise::Deferred::New(owner.Env());
    lane_->Hold();
    Post([lane = lane_, kept, deferred, work = std::move(work), to_js = std::move(to_js)] {
      const auto outcome =
          std::make_shared<promise_task::Outcome<Result>>(promise_task::Attempt<Result>(work));
      lane->Post([hold = lane.get(), kept, deferred, outcome, to_js](Napi::Env env) {
        hold->LetGo();
        promise_task::Settle(env, deferred, *outcome, to_js);
        // References die here: the work thread may be the last to let go of `kept`.
        kept->owner.Reset();
        kept->keep.Reset();
      });
    });
    return deferred.Promise();
  }

  // Runs `work`, which must not throw, after everything posted before.
  void Post(std::function<void()> work) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(work));
    }
    wake_.notify_one();
  }

 private:
  void Serve() {
    BlockSignals();
    for (std::unique_lock lock(mutex_);;) {
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  void Stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    const uint64_t one = 1;
    // Cannot fail: the counter is far from its limit.
    (void)!write(cancel_.get(), &one, sizeof one);
    wake_.notify_one();
    thread_.join();
  }
  static void OnEnvironmentEnd(void* self) { static_cast<WorkThread*>(self)->Stop(); }

  const napi_env env_;
  const std::shared_ptr<JsLane> lane_;
  UniqueFd cancel_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace understudy::memory
