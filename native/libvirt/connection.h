// NativeConnection of src/native.ts: libvirt's own functions, each on a thread of the connection.
#pragma once

#include <napi.h>

#include <functional>

#include "libvirt/classes.h"
#include "libvirt/link.h"

namespace understudy::libvirt {

class Connection : public Napi::ObjectWrap<Connection> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Object New(Napi::Env env, Birth birth);

  explicit Connection(const Napi::CallbackInfo& info);

 private:
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value IsAlive(const Napi::CallbackInfo& info);
  Napi::Value HypervisorVersion(const Napi::CallbackInfo& info);
  Napi::Value LibvirtVersion(const Napi::CallbackInfo& info);
  Napi::Value Hostname(const Napi::CallbackInfo& info);
  Napi::Value Capabilities(const Napi::CallbackInfo& info);
  Napi::Value DomainCapabilities(const Napi::CallbackInfo& info);
  Napi::Value CompareHypervisorCpu(const Napi::CallbackInfo& info);
  Napi::Value ListDomains(const Napi::CallbackInfo& info);
  Napi::Value LookupByName(const Napi::CallbackInfo& info);
  Napi::Value LookupByUuid(const Napi::CallbackInfo& info);
  Napi::Value CreateXml(const Napi::CallbackInfo& info);
  Napi::Value DefineXml(const Napi::CallbackInfo& info);
  Napi::Value OnLifecycle(const Napi::CallbackInfo& info);
  Napi::Value OnBlockJob(const Napi::CallbackInfo& info);
  Napi::Value OnDeviceAdded(const Napi::CallbackInfo& info);
  Napi::Value OnDeviceRemoved(const Napi::CallbackInfo& info);

  Napi::Value Subscribe(const Napi::CallbackInfo& info, EventKind kind);
  Napi::Promise FindDomain(Napi::Env env, const char* function,
                           std::function<virDomainPtr(virConnectPtr)> find);

  Birth birth_;
  Napi::ObjectReference closing_;  // the promise of the first close()
};

}  // namespace understudy::libvirt
