// A few threads that take numbered pieces of one job. The calling thread works too; the others
// sleep between jobs, so that nothing is created inside the guest's pause. They are not kept
// awake in expectation of a job: on a busy host that took the processor from the caller.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "common/worker_pool.h"

namespace understudy::memory {

class ThreadTeam {
 public:
  explicit ThreadTeam(unsigned threads) {
    for (unsigned i = 1; i < threads; ++i) threads_.emplace_back([this] { Serve(); });
  }
  ~ThreadTeam() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  size_t threads() const { return threads_.size() + 1; }

  // Calls work(0) … work(pieces - 1), each once; returns when all are done and throws the
  // first failure. A thread that the kernel has not scheduled by then is not waited for.
  void Run(size_t pieces, const std::function<void(size_t)>& work) {
    {
      std::lock_guard lock(mutex_);
      work_ = &work;
      pieces_ = pieces;
      next_ = 0;
      failure_ = nullptr;
      open_ = true;
      ++job_;
    }
    wake_.notify_all();
    TakePieces();
    std::unique_lock lock(mutex_);
    open_ = false;
    done_.wait(lock, [this] { return busy_ == 0; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void TakePieces() {
    try {
      for (size_t piece; (piece = next_.fetch_add(1)) < pieces_;) (*work_)(piece);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      next_ = pieces_;
    }
  }

  void Serve() {
    BlockSignals();
    uint64_t seen = 0;
    for (std::unique_lock lock(mutex_);;) {
      wake_.wait(lock, [&] { return stopping_ || (open_ && job_ != seen); });
      if (stopping_) return;
      seen = job_;
      ++busy_;
      lock.unlock();
      TakePieces();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(size_t)>* work_ = nullptr;
  std::atomic<size_t> next_ = 0;
  size_t pieces_ = 0;
  // Threads at work on the job, besides the caller; more may join while it is open.
  size_t busy_ = 0;
  bool open_ = false;
  uint64_t job_ = 0;
  std::exception_ptr failure_;
  bool stopping_ = false;
  // Last: the threads use everything above.
  std::vector<std::thread> threads_;
};

}  // namespace understudy::memory
