#include "common/worker_pool.h"

#include <dlfcn.h>
#include <pthread.h>

#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "common/async.h"

namespace understudy {

struct WorkerPool::State {
  State(std::string pool_name, size_t max) : name(std::move(pool_name)), threads_max(max) {}

  const std::string name;
  const size_t threads_max;
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable ended;
  std::deque<Task> tasks;
  size_t threads = 0;
  size_t idle = 0;
  bool stopped = false;

  void RunThread();
};

namespace {

// Node unloads the addon with the last worker_threads environment that loaded it, while threads
// of ours may still be in its code. Loading it once more with RTLD_NODELETE keeps it.
void KeepCodeLoaded() {
  static std::once_flag once;
  std::call_once(once, [] {
    Dl_info self;
    if (!dladdr(reinterpret_cast<void*>(&KeepCodeLoaded), &self) ||
        !dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE)) {
      throw CodedError("NO_THREAD", std::string("cannot keep the addon loaded: ") + dlerror());
    }
  });
}

}  // namespace

void BlockSignals() {
  sigset_t signals;
  sigfillset(&signals);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&signals, fault);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void WorkerPool::State::RunThread() {
  BlockSignals();
  pthread_setname_np(pthread_self(), name.c_str());
  std::unique_lock lock(mutex);
  for (;;) {
    ++idle;
    work.wait(lock, [this] { return stopped || !tasks.empty(); });
    --idle;
    if (tasks.empty()) break;
    {
      const Task task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
    }
    lock.lock();
  }
  --threads;
  ended.notify_all();
}

WorkerPool::WorkerPool(std::string name, size_t threads_max)
    : state_(std::make_shared<State>(std::move(name), threads_max)) {
  KeepCodeLoaded();
}

WorkerPool::~WorkerPool() { Stop(); }

void WorkerPool::Post(Task task) {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  if (state.stopped) throw CodedError("CLOSED", "no calls after close()");
  state.tasks.push_back(std::move(task));
  if (state.tasks.size() > state.idle && state.threads < state.threads_max) {
    try {
      std::thread([shared = state_] { shared->RunThread(); }).detach();
      ++state.threads;
    } catch (const std::system_error& failure) {
      // With a thread left, the task only waits longer.
      if (state.threads == 0) {
        state.tasks.pop_back();
        throw CodedError("NO_THREAD", std::string("cannot start a thread: ") + failure.what());
      }
    }
  }
  state.work.notify_one();
}

void WorkerPool::Stop() {
  std::lock_guard lock(state_->mutex);
  state_->stopped = true;
  state_->work.notify_all();
}

bool WorkerPool::WaitEnded(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(state_->mutex);
  return state_->ended.wait_until(lock, deadline, [this] { return state_->threads == 0; });
}

}  // namespace understudy
