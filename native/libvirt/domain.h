// NativeDomain of src/native.ts: a domain's name and UUID, and libvirt's own functions on it,
// each on a thread of the connection that it came from.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <utility>

#include "libvirt/channel.h"
#include "libvirt/classes.h"
#include "libvirt/link.h"

namespace understudy::libvirt {

class Domain : public Napi::ObjectWrap<Domain> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Object New(Napi::Env env, const Birth& parents, DomainIdentity identity);

  explicit Domain(const Napi::CallbackInfo& info);

 private:
  struct Newborn {
    const Birth& parents;
    DomainIdentity identity;
  };

  Napi::Value Name(const Napi::CallbackInfo& info);
  Napi::Value Uuid(const Napi::CallbackInfo& info);
  Napi::Value Id(const Napi::CallbackInfo& info);
  Napi::Value Xml(const Napi::CallbackInfo& info);
  Napi::Value State(const Napi::CallbackInfo& info);
  Napi::Value IsPersistent(const Napi::CallbackInfo& info);
  Napi::Value Create(const Napi::CallbackInfo& info);
  Napi::Value Suspend(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value Destroy(const Napi::CallbackInfo& info);
  Napi::Value Undefine(const Napi::CallbackInfo& info);
  // domain_disks.cc
  Napi::Value BlockCopy(const Napi::CallbackInfo& info);
  Napi::Value BlockJobAbort(const Napi::CallbackInfo& info);
  Napi::Value BlockJobInfo(const Napi::CallbackInfo& info);
  Napi::Value BlockInfo(const Napi::CallbackInfo& info);

  Napi::Value MonitorCommand(const Napi::CallbackInfo& info);
  Napi::Value PrepareMonitorCommand(const Napi::CallbackInfo& info);
  Napi::Value MonitorCommandWithFiles(const Napi::CallbackInfo& info);

  // `work` with this domain, on a thread of the connection.
  template <class R>
  Napi::Promise Call(Napi::Env env, std::function<R(virDomainPtr)> work,
                     std::function<Napi::Value(Napi::Env, R&&)> to_js) {
    return link_->Call<R>(
        env,
        [uuid = identity_.uuid, work = std::move(work)](Channel& channel) {
          return work(channel.DomainOf(uuid));
        },
        std::move(to_js));
  }
  // For functions that only say whether they failed.
  Napi::Promise Do(Napi::Env env, const char* function, std::function<int(virDomainPtr)> work);

  std::shared_ptr<Link> link_;
  DomainIdentity identity_;
};

}  // namespace understudy::libvirt
