#include "libvirt/event_loop.h"

#include <libvirt/libvirt.h>
#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>

#include "common/worker_pool.h"
#include "libvirt/error.h"

namespace understudy::libvirt {
namespace {

struct Loop {
  std::mutex mutex;
  size_t users = 0;
  bool registered = false;
  std::thread thread;
  int wake_timer = -1;
  std::atomic<bool> stopping{false};
};

// Never destroyed: process.exit() does not stop the thread first.
Loop& TheLoop() {
  static Loop& loop = *new Loop;
  return loop;
}

void RunLoop() {
  BlockSignals();
  pthread_setname_np(pthread_self(), "us-libvirt-ev");
  while (!TheLoop().stopping) {
    // Without this loop a dead host would never be noticed. libvirt's implementation on glib
    // cannot fail (util/vireventglib.c); another one that does ends the process, output held.
    if (virEventRunDefaultImpl() < 0) std::terminate();
  }
}

}  // namespace

void RetainEventLoop() {
  Loop& loop = TheLoop();
  std::lock_guard lock(loop.mutex);
  if (loop.users == 0) {
    if (!loop.registered) Checked(virEventRegisterDefaultImpl(), "virEventRegisterDefaultImpl");
    loop.registered = true;
    // Never fires by itself; set to zero it wakes the loop from its poll.
    loop.wake_timer = Checked(virEventAddTimeout(-1, [](int, void*) {}, nullptr, nullptr),
                              "virEventAddTimeout");
    loop.stopping = false;
    loop.thread = std::thread(RunLoop);
  }
  ++loop.users;
}

void ReleaseEventLoop() {
  Loop& loop = TheLoop();
  std::lock_guard lock(loop.mutex);
  if (--loop.users > 0) return;
  loop.stopping = true;
  virEventUpdateTimeout(loop.wake_timer, 0);
  loop.thread.join();
  virEventRemoveTimeout(loop.wake_timer);
}

}  // namespace understudy::libvirt
