#include "hold_events_js.h"

#include <utility>

#include "../common/async.h"
#include "../common/monotonic.h"

namespace understudy {

struct HoldEventsJs::Event {
  enum class Kind { kWaiting, kFilling, kTrouble, kReleased, kReleaseFailed };
  Kind kind;
  // Of a release; the open epoch where output waits.
  uint64_t id = 0;
  uint64_t frames = 0;
  // The kind of a trouble, the code of a release that failed.
  const char* word = "";
  std::string reason{};
};

struct HoldEventsJs::State {
  Napi::FunctionReference on_waiting;
  Napi::FunctionReference on_filling;
  Napi::FunctionReference on_trouble;
  std::map<uint64_t, Napi::Promise::Deferred> releases;
  uint64_t next_id = 1;
  Channel channel;
};

HoldEventsJs::HoldEventsJs(Napi::Env env, const Listener& listener)
    : state_(new State{Napi::Persistent(listener.on_waiting),
                       Napi::Persistent(listener.on_filling),
                       Napi::Persistent(listener.on_trouble),
                       {},
                       1,
                       {}}),
      channel_(Channel::New(env, "understudy output hold", 0, 1, state_,
                            [](Napi::Env, void*, State* state) { delete state; })) {
  state_->channel = channel_;
  channel_.Unref(env);
}

void HoldEventsJs::Waiting(uint64_t open_epoch) {
  std::shared_ptr<Trigger> trigger;
  bool quietly;
  {
    std::lock_guard lock(trigger_mutex_);
    if (trigger_ && MonotonicNs() >= trigger_not_before_ns_) trigger = std::move(trigger_);
    quietly = trigger_quietly_;
  }
  if (trigger && trigger->Fire() && quietly) return;
  Send(new Event{Event::Kind::kWaiting, open_epoch});
}

void HoldEventsJs::FireAtWaiting(std::shared_ptr<Trigger> trigger, uint64_t not_before_ns, bool quietly) {
  std::lock_guard lock(trigger_mutex_);
  trigger_quietly_ = quietly;
  trigger_ = std::move(trigger);
  trigger_not_before_ns_ = not_before_ns;
}

void HoldEventsJs::Filling() { Send(new Event{Event::Kind::kFilling}); }

void HoldEventsJs::Trouble(const char* kind, std::string reason) {
  Send(new Event{Event::Kind::kTrouble, 0, 0, kind, std::move(reason)});
}

void HoldEventsJs::Released(uint64_t id, uint64_t frames) {
  Send(new Event{Event::Kind::kReleased, id, frames});
}

void HoldEventsJs::ReleaseFailed(uint64_t id, const char* code, std::string reason) {
  Send(new Event{Event::Kind::kReleaseFailed, id, 0, code, std::move(reason)});
}

void HoldEventsJs::Send(Event* event) {
  // Refused only while the environment shuts down, when nobody is left to listen.
  if (channel_.NonBlockingCall(event) != napi_ok) delete event;
}

HoldEventsJs::Promise HoldEventsJs::StartRelease(Napi::Env env) {
  const uint64_t id = state_->next_id++;
  const auto deferred = Napi::Promise::Deferred::New(env);
  state_->releases.emplace(id, deferred);
  channel_.Ref(env);
  return {id, deferred.Promise()};
}

void HoldEventsJs::CancelRelease(Napi::Env env, uint64_t id) {
  state_->releases.erase(id);
  if (state_->releases.empty()) channel_.Unref(env);
}

void HoldEventsJs::Finish() { channel_.Release(); }

void HoldEventsJs::Deliver(Napi::Env env, Napi::Function, State* state, Event* raw) {
  const std::unique_ptr<Event> event(raw);
  if (env == nullptr) return;  // the environment is shutting down
  const Napi::HandleScope scope(env);
  try {
    switch (event->kind) {
      case Event::Kind::kWaiting:
        state->on_waiting.Call({Napi::Number::New(env, static_cast<double>(event->id))});
        return;
      case Event::Kind::kFilling:
        state->on_filling.Call({});
        return;
      case Event::Kind::kTrouble: {
        Napi::Object trouble = Napi::Object::New(env);
        trouble.Set("kind", event->word);
        trouble.Set("reason", event->reason);
        state->on_trouble.Call({trouble});
        return;
      }
      case Event::Kind::kReleased:
      case Event::Kind::kReleaseFailed: {
        const auto found = state->releases.find(event->id);
        if (found == state->releases.end()) return;
        const Napi::Promise::Deferred deferred = found->second;
        state->releases.erase(found);
        if (state->releases.empty()) state->channel.Unref(env);
        if (event->kind == Event::Kind::kReleased) {
          deferred.Resolve(Napi::Number::New(env, static_cast<double>(event->frames)));
        } else {
          deferred.Reject(ToJsError(env, CodedError(event->word, event->reason)).Value());
        }
        return;
      }
    }
  } catch (const Napi::Error& error) {
    // A listener that throws is a bug of ours: end as any uncaught exception does.
    napi_fatal_exception(env, error.Value());
  }
}

}  // namespace understudy
