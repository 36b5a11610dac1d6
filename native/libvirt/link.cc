#include "libvirt/link.h"

#include <libvirt/virterror.h>

#include "libvirt/error.h"
#include "libvirt/limits.h"

namespace understudy::libvirt {

Link::Link(std::shared_ptr<JsCallback> on_closed)
    : workers_("us-libvirt", kChannels), loss_(std::make_shared<Loss>(std::move(on_closed))) {}

Link::~Link() {
  if (idle_.empty()) return;
  // Never here: this may be the JavaScript thread, and closing asks the daemon. The destructor
  // of the task is what closes.
  try {
    workers_.Post([channels = std::make_shared<Channels>(std::move(idle_))] { channels->clear(); });
  } catch (const CodedError&) {
    // No thread to be had, for a connection that had some: the process is at its end.
  }
}

Napi::Promise Link::Open(Napi::Env env, OpenOptions options,
                         std::function<Napi::Value(Napi::Env)> to_js) {
  auto open = [self = shared_from_this(), options = std::move(options)] {
    Channels channels;
    while (channels.size() < kChannels) {
      channels.push_back(std::make_shared<Channel>(options, self->loss_));
    }
    std::lock_guard lock(self->mutex_);
    self->idle_ = std::move(channels);
    return true;
  };
  return RunOn<bool>(workers_, env, std::move(open),
                     [to_js = std::move(to_js)](Napi::Env js, bool&&) { return to_js(js); });
}

Napi::Promise Link::Subscribe(Napi::Env env, EventKind kind, std::shared_ptr<JsCallback> listener) {
  std::shared_ptr<JsCallback>& kept = listeners_[static_cast<size_t>(kind)];
  if (kept) {
    return Rejected(env, CodedError("SUBSCRIBED", "this connection has a listener already"));
  }
  kept = std::move(listener);
  return Call<bool>(
      env,
      [kind, share = kept](Channel& channel) {
        channel.Subscribe(kind, share);
        return true;
      },
      [](Napi::Env js, bool&&) { return js.Undefined(); });
}

Napi::Promise Link::IsAlive(Napi::Env env) {
  if (closing_) return RejectClosed(env);
  const auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Resolve(Napi::Boolean::New(env, !loss_->happened));
  return deferred.Promise();
}

Napi::Promise Link::RejectClosed(Napi::Env env) {
  return Rejected(env, CodedError("CLOSED", "the libvirt connection is closed"));
}

Napi::Promise Link::Close(Napi::Env env) {
  BeginClose();
  return RunOn(workers_, env, [self = shared_from_this()] { self->FinishClose(); });
}

void Link::Abandon() {
  if (closing_) return;
  BeginClose();
  try {
    workers_.Post([self = shared_from_this()] { self->FinishClose(); });
  } catch (const CodedError&) {
    // No thread to be had: the process is at its end, the sockets close with it.
  }
}

bool Link::WaitEnded(std::chrono::steady_clock::time_point deadline) {
  return workers_.WaitEnded(deadline);
}

void Link::BeginClose() {
  closing_ = true;
  loss_->on_closed->Mute();
  for (const auto& listener : listeners_) {
    if (listener) listener->Mute();
  }
}

void Link::FinishClose() {
  Channels channels;
  {
    // Threads take tasks in order: every call before this one is running or done.
    std::unique_lock lock(mutex_);
    calls_ended_.wait(lock, [this] { return calls_ == 0; });
    channels.swap(idle_);
  }
  channels.clear();
  workers_.Stop();
}

Link::Ticket::Ticket(std::shared_ptr<Link> owner) : link(std::move(owner)) {
  std::lock_guard lock(link->mutex_);
  ++link->calls_;
}

Link::Ticket::~Ticket() {
  std::lock_guard lock(link->mutex_);
  --link->calls_;
  link->calls_ended_.notify_all();
}

Link::Lease::Lease(Link& owner) : link(owner) {
  if (link.loss_->happened) {
    throw LibvirtError(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "the connection to libvirt is lost");
  }
  std::lock_guard lock(link.mutex_);
  channel = std::move(link.idle_.back());
  link.idle_.pop_back();
}

Link::Lease::~Lease() {
  std::lock_guard lock(link.mutex_);
  link.idle_.push_back(std::move(channel));
}

}  // namespace understudy::libvirt
