#include "common/process_watch.h"

#include <node_api.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>

#include "common/async.h"

namespace understudy {
namespace {

// A pidfd becomes readable when its process ends (pidfd_open(2)), so the event loop can wait for
// it: no thread, no polling, and no confusion with a later process of the same number.
class ProcessWatch : public Napi::ObjectWrap<ProcessWatch> {
 public:
  static Napi::FunctionReference& Constructor(Napi::Env env) {
    static thread_local Napi::FunctionReference constructor;
    if (constructor.IsEmpty()) {
      constructor = Napi::Persistent(
          DefineClass(env, "ProcessWatch", {InstanceMethod<&ProcessWatch::Close>("close")}));
      constructor.SuppressDestruct();
    }
    return constructor;
  }

  explicit ProcessWatch(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const int pid = info[0].As<Napi::Number>().Int32Value();
    fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (fd_ < 0) throw ToJsError(info.Env(), SyscallError("pidfd_open", errno, std::to_string(pid)));
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(info.Env(), &loop);
    on_ended_ = Napi::Persistent(info[1].As<Napi::Function>());
    poll_ = new uv_poll_t;
    poll_->data = this;
    uv_poll_init(loop, poll_, fd_);
    // A watch alone does not keep the program alive.
    uv_unref(reinterpret_cast<uv_handle_t*>(poll_));
    uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
      static_cast<ProcessWatch*>(poll->data)->Ended();
    });
    Ref();
  }

  ~ProcessWatch() override { Release(); }

 private:
  void Close(const Napi::CallbackInfo&) { Stop(); }

  void Ended() {
    Napi::HandleScope scope(Env());
    Napi::Function on_ended = on_ended_.Value();
    Stop();
    on_ended.MakeCallback(Env().Global(), {});
  }

  void Stop() {
    if (poll_ == nullptr) return;
    Release();
    Unref();
  }

  void Release() {
    if (poll_ == nullptr) return;
    uv_poll_stop(poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(poll_),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
    poll_ = nullptr;
    close(fd_);
    on_ended_.Reset();
  }

  int fd_ = -1;
  uv_poll_t* poll_ = nullptr;
  Napi::FunctionReference on_ended_;
};

Napi::Value WatchProcess(const Napi::CallbackInfo& info) {
  return ProcessWatch::Constructor(info.Env()).New({info[0], info[1]});
}

}  // namespace

void InitProcessWatch(Napi::Env env, Napi::Object exports) {
  exports.Set("watchProcess", Napi::Function::New(env, WatchProcess, "watchProcess"));
}

}  // namespace understudy
