// A few threads that take numbered pieces of one job. The calling thread works too; the others
// sleep between jobs, so that nothing is created inside the guest's pause.
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
#include "memory/limits.h"
#include "memory/owned.h"

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

  // A job is near: the threads wake now and wait for it awake, for at most kTeamAwakeNs.
  void Rouse() {
    if (threads_.empty()) return;
    {
      std::lock_guard lock(mutex_);
      ++calls_;
    }
    wake_.notify_all();
  }

  // Calls work(0) … work(pieces - 1), each once; returns when all are done and throws the
  // first failure.
  void Run(size_t pieces, const std::function<void(size_t)>& work) {
    {
      std::lock_guard lock(mutex_);
      work_ = &work;
      pieces_ = pieces;
      next_ = 0;
      failure_ = nullptr;
      busy_ = threads_.size();
      ++job_;
      ++calls_;
    }
    wake_.notify_all();
    TakePieces();
    std::unique_lock lock(mutex_);
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
    uint64_t seen_job = 0, seen_calls = 0;
    for (std::unique_lock lock(mutex_);;) {
      wake_.wait(lock, [&] { return stopping_ || calls_ != seen_calls; });
      if (stopping_) return;
      seen_calls = calls_;
      lock.unlock();
      for (const uint64_t end_ns = MonotonicNs() + kTeamAwakeNs; job_ == seen_job && MonotonicNs() < end_ns;) {
        __builtin_ia32_pause();
      }
      lock.lock();
      if (job_ == seen_job) continue;
      seen_job = job_;
      seen_calls = calls_;
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
  size_t busy_ = 0;
  // Jobs so far, and jobs and rousings so far.
  std::atomic<uint64_t> job_ = 0;
  uint64_t calls_ = 0;
  std::exception_ptr failure_;
  bool stopping_ = false;
  // Last: the threads use everything above.
  std::vector<std::thread> threads_;
};

}  // namespace understudy::memory
