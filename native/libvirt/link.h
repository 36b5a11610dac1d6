// What a connection object and its domains share: the channels, the threads that use them, and
// the order of the end. The last owner closes the channels when nobody called close().
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/js_lane.h"
#include "common/promise_task.h"
#include "common/trigger.h"
#include "common/worker_pool.h"
#include "libvirt/channel.h"

namespace understudy::libvirt {

// JavaScript thread only, except where it says otherwise.
class Link : public std::enable_shared_from_this<Link> {
 public:
  explicit Link(std::shared_ptr<JsCallback> on_closed);
  ~Link();  // any thread

  // Opens every channel at once: later, a daemon that hangs would hang the opening for ever.
  // Resolves with what `to_js` makes. Once per link, before any call.
  Napi::Promise Open(Napi::Env env, OpenOptions options,
                     std::function<Napi::Value(Napi::Env)> to_js);

  // Runs `work` with a channel of its own, on a thread. Rejects with CLOSED after Close, with
  // libvirt's own kind of error (RPC) after a loss.
  template <class R>
  Napi::Promise Call(Napi::Env env, std::function<R(Channel&)> work,
                     std::function<Napi::Value(Napi::Env, R&&)> to_js) {
    if (closing_) return RejectClosed(env);
    return RunOn<R>(
        workers_, env,
        [ticket = std::make_shared<Ticket>(shared_from_this()), work = std::move(work)] {
          const Lease lease(*ticket->link);
          return work(*lease.channel);
        },
        std::move(to_js));
  }

  // The same for later: it begins when the trigger fires, and rejects with CANCELLED when that never will. Until
  // then it keeps the event loop alive, but not this link.
  struct Later {
    Napi::Promise promise;
    std::shared_ptr<Trigger> trigger;
  };
  template <class R>
  Later Prepare(Napi::Env env, std::function<R(Channel&)> work,
                std::function<Napi::Value(Napi::Env, R&&)> to_js) {
    const std::shared_ptr<JsLane> lane = JsLane::Of(env);
    const auto deferred = Napi::Promise::Deferred::New(env);
    lane->Hold();
    const auto refuse = [lane, deferred](const CodedError& why) {
      lane->Post([hold = lane.get(), deferred, why](Napi::Env js) {
        hold->LetGo();
        deferred.Reject(ToJsError(js, why).Value());
      });
    };
    auto begin = [weak = weak_from_this(), lane, deferred, refuse, work = std::move(work),
                  to_js = std::move(to_js)](Trigger::Sign sign) {
      if (sign == Trigger::Sign::kCancel) return refuse(CodedError("CANCELLED", "the call was not begun"));
      const std::shared_ptr<Link> self = weak.lock();
      try {
        if (!self) throw CodedError("CLOSED", "the libvirt connection is closed");
        // A call is in flight from here on: closing need not wait for what has not begun.
        auto run = [ticket = std::make_shared<Ticket>(self), work] {
          const Lease lease(*ticket->link);
          return work(*lease.channel);
        };
        self->workers_.Post(promise_task::TaskOf<R>(lane, deferred, std::move(run), to_js));
      } catch (const CodedError& closed) {
        refuse(closed);
      }
    };
    return {deferred.Promise(), std::make_shared<Trigger>(std::move(begin))};
  }

  // Events of all domains. Rejects with SUBSCRIBED the second time for a kind, also when the
  // first has failed: it fails on a connection that has no future.
  Napi::Promise Subscribe(Napi::Env env, EventKind kind, std::shared_ptr<JsCallback> listener);

  // Resolves with true as long as libvirt has not reported the connection dead.
  Napi::Promise IsAlive(Napi::Env env);

  // Resolves when the calls in flight have ended and every channel is closed; from now on
  // nothing is delivered. Once per link.
  Napi::Promise Close(Napi::Env env);

  // The environment ends: closes with nobody to tell, unless that is under way.
  void Abandon();
  bool WaitEnded(std::chrono::steady_clock::time_point deadline);

 private:
  using Channels = std::vector<std::shared_ptr<Channel>>;

  // A call from its posting to its end. Any thread.
  struct Ticket {
    explicit Ticket(std::shared_ptr<Link> owner);
    ~Ticket();
    const std::shared_ptr<Link> link;
  };
  // A channel for the time of one call; there are as many as threads. Worker threads.
  struct Lease {
    explicit Lease(Link& owner);  // throws when the connection is lost
    ~Lease();
    Link& link;
    std::shared_ptr<Channel> channel;
  };

  static Napi::Promise RejectClosed(Napi::Env env);
  void BeginClose();
  void FinishClose();  // worker thread

  WorkerPool workers_;
  const std::shared_ptr<Loss> loss_;
  std::array<std::shared_ptr<JsCallback>, kEventKinds> listeners_;
  bool closing_ = false;

  std::mutex mutex_;
  std::condition_variable calls_ended_;
  size_t calls_ = 0;
  // Used from the back, so that calls in a row meet a channel that knows their domain.
  Channels idle_;
};

}  // namespace understudy::libvirt
