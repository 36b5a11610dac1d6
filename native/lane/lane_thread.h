// What both ends' threads are while they live: what they do is short, and a client waits for it.
#pragma once

#include <pthread.h>

#include "common/urgent.h"
#include "common/worker_pool.h"

namespace understudy::lane {

class LaneThread {
 public:
  LaneThread() {
    pthread_setname_np(pthread_self(), "epoch-lane");
    // They belong to the main thread.
    BlockSignals();
  }

 private:
  const Urgent urgent_;
};

}  // namespace understudy::lane
