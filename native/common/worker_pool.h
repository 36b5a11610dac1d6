// A few persistent threads for calls that block, grown on demand. A pool belongs to one thing
// that can hang (a connection), so that what hangs starves nobody else.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace understudy {

// For the start of every thread of ours: signals are for Node's main thread. Those that report a
// fault stay with the thread at fault.
void BlockSignals();

class WorkerPool {
 public:
  using Task = std::function<void()>;

  // `name` is what the kernel shows for the threads: at most 15 characters.
  WorkerPool(std::string name, size_t threads_max);
  // Stops, without waiting: a thread that hangs in a system call must not hang its owner too.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Any thread. Tasks start in the order of posting and must not throw. Throws CodedError
  // CLOSED after Stop, NO_THREAD when the system has no thread left for a pool without any.
  void Post(Task task);
  // Any thread: no new tasks; those posted are still done, then the threads end.
  void Stop();
  // After Stop: true when every thread has ended by then. Not from a thread of the pool.
  bool WaitEnded(std::chrono::steady_clock::time_point deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the threads, which may outlive the pool
};

}  // namespace understudy
