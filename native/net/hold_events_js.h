// Carries a hold's events from its threads to JavaScript, in order, and settles the
// promises of releases. Does not keep the process alive, except while a release is under way.
#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "../common/trigger.h"
#include "hold_events.h"

namespace understudy {

class HoldEventsJs : public HoldEvents {
 public:
  // What `NativeHoldListener` declares.
  struct Listener {
    Napi::Function on_waiting;
    Napi::Function on_filling;
    Napi::Function on_trouble;
  };
  HoldEventsJs(Napi::Env env, const Listener& listener);

  // From any thread.
  void Waiting(uint64_t open_epoch) override;
  void Filling() override;
  void Trouble(const char* kind, std::string reason) override;
  void Released(uint64_t id, uint64_t frames) override;
  void ReleaseFailed(uint64_t id, const char* code, std::string reason) override;

  // From the JavaScript thread: the next `Waiting` that comes at `not_before_ns` (CLOCK_MONOTONIC) or later also
  // fires this, before JavaScript hears of it; `quietly`: it does not, if that began it. Once; the last one given
  // counts.
  void FireAtWaiting(std::shared_ptr<Trigger> trigger, uint64_t not_before_ns, bool quietly);

  // From the JavaScript thread: a new promise and the id that settles it.
  struct Promise {
    uint64_t id;
    Napi::Promise promise;
  };
  Promise StartRelease(Napi::Env env);
  void CancelRelease(Napi::Env env, uint64_t id);
  // No event may follow; those under way are still delivered.
  void Finish();

 private:
  struct Event;
  struct State;
  static void Deliver(Napi::Env env, Napi::Function unused, State* state, Event* event);
  using Channel = Napi::TypedThreadSafeFunction<State, Event, Deliver>;

  void Send(Event* event);

  std::mutex trigger_mutex_;
  std::shared_ptr<Trigger> trigger_;
  uint64_t trigger_not_before_ns_ = 0;
  bool trigger_quietly_ = false;
  State* state_;  // owned by the channel, freed after its last event
  Channel channel_;
};

}  // namespace understudy
