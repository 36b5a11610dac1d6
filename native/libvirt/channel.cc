#include "libvirt/channel.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "libvirt/error.h"
#include "libvirt/limits.h"

namespace understudy::libvirt {
namespace {

// libvirt's `opaque` of a callback is a share of what the callback needs.
template <class T>
void FreeShare(void* opaque) {
  delete static_cast<std::shared_ptr<T>*>(opaque);
}

void OnClosed(virConnectPtr, int reason, void* opaque) {
  Loss& loss = **static_cast<std::shared_ptr<Loss>*>(opaque);
  if (loss.happened.exchange(true)) return;
  loss.on_closed->Post([reason](Napi::Env env, const Napi::Function& function) {
    function.Call({Napi::Number::New(env, reason)});
  });
}

int OnLifecycle(virConnectPtr, virDomainPtr domain, int event, int detail, void* opaque) {
  // A protected guest is suspended and resumed at every epoch; nobody here asks for that.
  if (event == VIR_DOMAIN_EVENT_SUSPENDED || event == VIR_DOMAIN_EVENT_RESUMED) return 0;
  const JsCallback& listener = **static_cast<std::shared_ptr<JsCallback>*>(opaque);
  // The domain is libvirt's and gone when this returns.
  listener.Post([identity = IdentityOf(domain), event, detail](Napi::Env env,
                                                               const Napi::Function& function) {
    Napi::Object js = Napi::Object::New(env);
    js.Set("domain", identity.name);
    js.Set("uuid", identity.uuid);
    js.Set("event", event);
    js.Set("detail", detail);
    function.Call({js});
  });
  return 0;
}

void OnBlockJob(virConnectPtr, virDomainPtr domain, const char* disk, int type, int status,
                void* opaque) {
  const JsCallback& listener = **static_cast<std::shared_ptr<JsCallback>*>(opaque);
  listener.Post([identity = IdentityOf(domain), disk = std::string(disk), type, status](
                    Napi::Env env, const Napi::Function& function) {
    Napi::Object js = Napi::Object::New(env);
    js.Set("domain", identity.name);
    js.Set("uuid", identity.uuid);
    js.Set("disk", disk);
    js.Set("type", type);
    js.Set("status", status);
    function.Call({js});
  });
}

int OnDevice(virConnectPtr, virDomainPtr domain, const char* alias, void* opaque) {
  const JsCallback& listener = **static_cast<std::shared_ptr<JsCallback>*>(opaque);
  listener.Post([identity = IdentityOf(domain), alias = std::string(alias)](
                    Napi::Env env, const Napi::Function& function) {
    Napi::Object js = Napi::Object::New(env);
    js.Set("domain", identity.name);
    js.Set("uuid", identity.uuid);
    js.Set("alias", alias);
    function.Call({js});
  });
  return 0;
}

struct Event {
  int id;
  virConnectDomainEventGenericCallback callback;
};

Event EventOf(EventKind kind) {
  switch (kind) {
    case EventKind::kLifecycle:
      return {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(OnLifecycle)};
    case EventKind::kBlockJob:
      // The second kind names the disk by its target; the first, by a path that may change.
      return {VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, VIR_DOMAIN_EVENT_CALLBACK(OnBlockJob)};
    case EventKind::kDeviceAdded:
      return {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(OnDevice)};
    case EventKind::kDeviceRemoved:
      return {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(OnDevice)};
  }
  throw std::logic_error("no such kind of event");
}

}  // namespace

DomainIdentity IdentityOf(virDomainPtr domain) {
  return {virDomainGetName(domain), UuidOf(domain)};
}

Channel::Channel(const OpenOptions& options, const std::shared_ptr<Loss>& loss)
    : connection_(virConnectOpen(options.uri.c_str())) {
  if (!connection_) ThrowLastError("virConnectOpen");
  try {
    Checked(virConnectSetKeepAlive(connection_, options.keepalive_interval_s,
                                   options.keepalive_count),
            "virConnectSetKeepAlive");
    // libvirt frees the share only if it took it.
    auto share = std::make_unique<std::shared_ptr<Loss>>(loss);
    Checked(virConnectRegisterCloseCallback(connection_, OnClosed, share.get(), FreeShare<Loss>),
            "virConnectRegisterCloseCallback");
    share.release();
  } catch (const LibvirtError&) {
    virConnectClose(connection_);
    throw;
  }
}

Channel::~Channel() {
  // The first two fail on a dead connection, after freeing what they hold here.
  for (int id : subscriptions_) virConnectDomainEventDeregisterAny(connection_, id);
  virConnectUnregisterCloseCallback(connection_, OnClosed);
  domains_.clear();  // each holds the connection open
  virConnectClose(connection_);
}

virDomainPtr Channel::DomainOf(const std::string& uuid) {
  const auto known = domains_.find(uuid);
  if (known != domains_.end()) return known->second.get();
  Remember(OwnDomain(virDomainLookupByUUIDString(connection_, uuid.c_str()),
                     "virDomainLookupByUUIDString"));
  return domains_.at(uuid).get();
}

DomainIdentity Channel::Remember(DomainRef domain) {
  if (domains_.size() >= kDomainsPerChannelMax) domains_.clear();
  DomainIdentity identity = IdentityOf(domain.get());
  domains_[identity.uuid] = std::move(domain);
  return identity;
}

void Channel::Subscribe(EventKind kind, const std::shared_ptr<JsCallback>& listener) {
  auto share = std::make_unique<std::shared_ptr<JsCallback>>(listener);
  const Event event = EventOf(kind);
  subscriptions_.reserve(subscriptions_.size() + 1);
  subscriptions_.push_back(
      Checked(virConnectDomainEventRegisterAny(connection_, nullptr, event.id, event.callback,
                                               share.get(), FreeShare<JsCallback>),
              "virConnectDomainEventRegisterAny"));
  share.release();
}

}  // namespace understudy::libvirt
