#include "libvirt/connection.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libvirt/arguments.h"
#include "libvirt/domain.h"
#include "libvirt/handles.h"

namespace understudy::libvirt {
namespace {

// Which guest machine a question is about; what is left out, libvirt chooses.
struct Machine {
  explicit Machine(const Napi::Object& options)
      : emulator(OptionalString(options, "emulator")),
        arch(OptionalString(options, "arch")),
        machine(OptionalString(options, "machine")),
        virt_type(OptionalString(options, "virtType")) {}
  std::optional<std::string> emulator, arch, machine, virt_type;
};

struct ListedDomain {
  std::string name;
  std::string uuid;
  int id;
};

std::vector<ListedDomain> ListAll(virConnectPtr connection, unsigned int flags) {
  constexpr const char* kFunction = "virConnectListAllDomains";
  virDomainPtr* found = nullptr;
  const int count = Checked(virConnectListAllDomains(connection, &found, flags), kFunction);
  const Malloced<virDomainPtr> owned(found);
  std::vector<DomainRef> domains;
  for (int i = 0; i < count; ++i) domains.push_back(OwnDomain(found[i], kFunction));
  std::vector<ListedDomain> listed;
  for (const DomainRef& domain : domains) {
    const int id = static_cast<int>(virDomainGetID(domain.get()));
    listed.push_back({virDomainGetName(domain.get()), UuidOf(domain.get()), id});
  }
  return listed;
}

Napi::Value ListToJs(Napi::Env env, std::vector<ListedDomain>&& listed) {
  Napi::Array js = Napi::Array::New(env, listed.size());
  for (uint32_t i = 0; i < listed.size(); ++i) {
    Napi::Object domain = Napi::Object::New(env);
    domain.Set("name", listed[i].name);
    domain.Set("uuid", listed[i].uuid);
    domain.Set("id", listed[i].id);
    js[i] = domain;
  }
  return js;
}

Napi::Value StringToJs(Napi::Env env, std::string&& text) { return Napi::String::New(env, text); }
Napi::Value IntToJs(Napi::Env env, int&& number) { return Napi::Number::New(env, number); }
Napi::Value VersionToJs(Napi::Env env, unsigned long&& version) {
  return Napi::Number::New(env, static_cast<double>(version));
}

}  // namespace

Napi::Function Connection::Define(Napi::Env env) {
  return DefineClass(
      env, "Connection",
      {InstanceMethod<&Connection::Close>("close"), InstanceMethod<&Connection::IsAlive>("isAlive"),
       InstanceMethod<&Connection::HypervisorVersion>("hypervisorVersion"),
       InstanceMethod<&Connection::LibvirtVersion>("libvirtVersion"),
       InstanceMethod<&Connection::Hostname>("hostname"),
       InstanceMethod<&Connection::Capabilities>("capabilities"),
       InstanceMethod<&Connection::DomainCapabilities>("domainCapabilities"),
       InstanceMethod<&Connection::CompareHypervisorCpu>("compareHypervisorCpu"),
       InstanceMethod<&Connection::ListDomains>("listDomains"),
       InstanceMethod<&Connection::LookupByName>("lookupByName"),
       InstanceMethod<&Connection::LookupByUuid>("lookupByUuid"),
       InstanceMethod<&Connection::CreateXml>("createXml"),
       InstanceMethod<&Connection::DefineXml>("defineXml"),
       InstanceMethod<&Connection::OnLifecycle>("onLifecycle"),
       InstanceMethod<&Connection::OnBlockJob>("onBlockJob"),
       InstanceMethod<&Connection::OnDeviceAdded>("onDeviceAdded"),
       InstanceMethod<&Connection::OnDeviceRemoved>("onDeviceRemoved")});
}

Napi::Object Connection::New(Napi::Env env, Birth birth) {
  Napi::FunctionReference& constructor = birth.classes->connection;
  return constructor.New({Napi::External<Birth>::New(env, &birth)});
}

Connection::Connection(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Connection>(info) {
  RequireNative(info);
  birth_ = *info[0].As<Napi::External<Birth>>().Data();
}

Napi::Value Connection::Close(const Napi::CallbackInfo& info) {
  if (closing_.IsEmpty()) {
    closing_ = Napi::Persistent(birth_.link->Close(info.Env()).As<Napi::Object>());
  }
  return closing_.Value();
}

Napi::Value Connection::IsAlive(const Napi::CallbackInfo& info) {
  return birth_.link->IsAlive(info.Env());
}

Napi::Value Connection::HypervisorVersion(const Napi::CallbackInfo& info) {
  return birth_.link->Call<unsigned long>(
      info.Env(),
      [](Channel& channel) {
        unsigned long version = 0;
        Checked(virConnectGetVersion(channel.connection(), &version), "virConnectGetVersion");
        return version;
      },
      VersionToJs);
}

Napi::Value Connection::LibvirtVersion(const Napi::CallbackInfo& info) {
  return birth_.link->Call<unsigned long>(
      info.Env(),
      [](Channel& channel) {
        unsigned long version = 0;
        Checked(virConnectGetLibVersion(channel.connection(), &version), "virConnectGetLibVersion");
        return version;
      },
      VersionToJs);
}

Napi::Value Connection::Hostname(const Napi::CallbackInfo& info) {
  return birth_.link->Call<std::string>(
      info.Env(),
      [](Channel& channel) {
        return TakeString(virConnectGetHostname(channel.connection()), "virConnectGetHostname");
      },
      StringToJs);
}

Napi::Value Connection::Capabilities(const Napi::CallbackInfo& info) {
  return birth_.link->Call<std::string>(
      info.Env(),
      [](Channel& channel) {
        return TakeString(virConnectGetCapabilities(channel.connection()), "virConnectGetCapabilities");
      },
      StringToJs);
}

Napi::Value Connection::DomainCapabilities(const Napi::CallbackInfo& info) {
  return birth_.link->Call<std::string>(
      info.Env(),
      [about = Machine(ObjectArg(info[0], "options"))](Channel& channel) {
        return TakeString(virConnectGetDomainCapabilities(channel.connection(), OrNull(about.emulator),
                                                          OrNull(about.arch), OrNull(about.machine),
                                                          OrNull(about.virt_type), 0),
                          "virConnectGetDomainCapabilities");
      },
      StringToJs);
}

Napi::Value Connection::CompareHypervisorCpu(const Napi::CallbackInfo& info) {
  const Napi::Object options = ObjectArg(info[0], "options");
  const unsigned int flags = NumberArg(options.Get("flags"), "flags");
  return birth_.link->Call<int>(
      info.Env(),
      [about = Machine(options), cpu = StringArg(options.Get("cpuXml"), "cpuXml"),
       flags](Channel& channel) {
        return Checked(virConnectCompareHypervisorCPU(channel.connection(), OrNull(about.emulator),
                                                      OrNull(about.arch), OrNull(about.machine),
                                                      OrNull(about.virt_type), cpu.c_str(), flags),
                       "virConnectCompareHypervisorCPU");
      },
      IntToJs);
}

Napi::Value Connection::ListDomains(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[0], "flags");
  return birth_.link->Call<std::vector<ListedDomain>>(
      info.Env(), [flags](Channel& channel) { return ListAll(channel.connection(), flags); },
      ListToJs);
}

Napi::Value Connection::LookupByName(const Napi::CallbackInfo& info) {
  return FindDomain(info.Env(), "virDomainLookupByName",
                    [name = StringArg(info[0], "name")](virConnectPtr connection) {
                      return virDomainLookupByName(connection, name.c_str());
                    });
}

Napi::Value Connection::LookupByUuid(const Napi::CallbackInfo& info) {
  return FindDomain(info.Env(), "virDomainLookupByUUIDString",
                    [uuid = StringArg(info[0], "uuid")](virConnectPtr connection) {
                      return virDomainLookupByUUIDString(connection, uuid.c_str());
                    });
}

Napi::Value Connection::CreateXml(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[1], "flags");
  return FindDomain(info.Env(), "virDomainCreateXML",
                    [xml = StringArg(info[0], "xml"), flags](virConnectPtr connection) {
                      return virDomainCreateXML(connection, xml.c_str(), flags);
                    });
}

Napi::Value Connection::DefineXml(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[1], "flags");
  return FindDomain(info.Env(), "virDomainDefineXMLFlags",
                    [xml = StringArg(info[0], "xml"), flags](virConnectPtr connection) {
                      return virDomainDefineXMLFlags(connection, xml.c_str(), flags);
                    });
}

Napi::Value Connection::OnLifecycle(const Napi::CallbackInfo& info) {
  return Subscribe(info, EventKind::kLifecycle);
}

Napi::Value Connection::OnBlockJob(const Napi::CallbackInfo& info) {
  return Subscribe(info, EventKind::kBlockJob);
}

Napi::Value Connection::OnDeviceAdded(const Napi::CallbackInfo& info) {
  return Subscribe(info, EventKind::kDeviceAdded);
}

Napi::Value Connection::OnDeviceRemoved(const Napi::CallbackInfo& info) {
  return Subscribe(info, EventKind::kDeviceRemoved);
}

Napi::Value Connection::Subscribe(const Napi::CallbackInfo& info, EventKind kind) {
  auto listener = std::make_shared<JsCallback>(FunctionArg(info[0], "listener"));
  return birth_.link->Subscribe(info.Env(), kind, std::move(listener));
}

Napi::Promise Connection::FindDomain(Napi::Env env, const char* function,
                                     std::function<virDomainPtr(virConnectPtr)> find) {
  return birth_.link->Call<DomainIdentity>(
      env,
      [function, find = std::move(find)](Channel& channel) {
        return channel.Remember(OwnDomain(find(channel.connection()), function));
      },
      [birth = birth_](Napi::Env js, DomainIdentity&& identity) {
        return Domain::New(js, birth, std::move(identity));
      });
}

}  // namespace understudy::libvirt
