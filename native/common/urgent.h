// While it lives, its thread goes before all ordinary ones: a guest stands still. Not to be held for long work.
#pragma once

#include <pthread.h>
#include <sched.h>

namespace understudy {

class Urgent {
 public:
  // Refused without CAP_SYS_NICE; that costs time and nothing else.
  Urgent() {
    const sched_param lowest{.sched_priority = sched_get_priority_min(SCHED_RR)};
    (void)pthread_setschedparam(pthread_self(), SCHED_RR, &lowest);
  }
  ~Urgent() {
    const sched_param none{};
    (void)pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
  }
  Urgent(const Urgent&) = delete;
  Urgent& operator=(const Urgent&) = delete;
};

}  // namespace understudy
