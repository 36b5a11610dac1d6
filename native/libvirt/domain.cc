#include "libvirt/domain.h"

#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>

#include <climits>
#include <utility>

#include "common/prepared_call.h"
#include "libvirt/arguments.h"
#include "libvirt/handles.h"
#include "libvirt/limits.h"

namespace understudy::libvirt {
namespace {

struct MonitorReply {
  std::string text;
  Descriptors received;
};

Napi::Value StringToJs(Napi::Env env, std::string&& text) { return Napi::String::New(env, text); }

std::string MonitorCommandOn(virDomainPtr domain, const std::string& command, unsigned int flags) {
  constexpr const char* kFunction = "virDomainQemuMonitorCommand";
  char* reply = nullptr;
  Checked(virDomainQemuMonitorCommand(domain, command.c_str(), &reply, flags), kFunction);
  return TakeString(reply, kFunction);
}

// Copies, because the caller may close its own before a thread gets to the call.
std::shared_ptr<Descriptors> CopyDescriptors(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "descriptors: expected an array");
  const auto numbers = value.As<Napi::Array>();
  if (numbers.Length() > kDescriptorsMax) {
    throw Napi::TypeError::New(value.Env(), "descriptors: at most " +
                                                std::to_string(kDescriptorsMax) + " in one message");
  }
  auto copies = std::make_shared<Descriptors>();
  for (uint32_t i = 0; i < numbers.Length(); ++i) {
    const auto fd = static_cast<int>(NumberArg(numbers.Get(i), "descriptors", 0, INT_MAX));
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw SyscallError("fcntl", errno, "descriptor " + std::to_string(fd));
    copies->Add(copy);
  }
  return copies;
}

MonitorReply RunMonitorCommand(virDomainPtr domain, const std::string& command, Descriptors& sent,
                               unsigned int flags) {
  constexpr const char* kFunction = "virDomainQemuMonitorCommandWithFiles";
  char* text = nullptr;
  int* numbers = nullptr;
  unsigned int count = 0;
  Checked(virDomainQemuMonitorCommandWithFiles(domain, command.c_str(),
                                               static_cast<unsigned int>(sent.Numbers().size()),
                                               sent.Numbers().data(), &count, &numbers, &text,
                                               flags),
          kFunction);
  const Malloced<int> owned(numbers);
  MonitorReply reply;
  for (unsigned int i = 0; i < count; ++i) reply.received.Add(numbers[i]);
  reply.text = TakeString(text, kFunction);
  return reply;
}

}  // namespace

Napi::Function Domain::Define(Napi::Env env) {
  return DefineClass(env, "Domain",
                     {InstanceAccessor<&Domain::Name>("name", napi_enumerable),
                      InstanceAccessor<&Domain::Uuid>("uuid", napi_enumerable),
                      InstanceMethod<&Domain::Id>("id"), InstanceMethod<&Domain::Xml>("xml"),
                      InstanceMethod<&Domain::State>("state"),
                      InstanceMethod<&Domain::IsPersistent>("isPersistent"),
                      InstanceMethod<&Domain::Create>("create"),
                      InstanceMethod<&Domain::Suspend>("suspend"),
                      InstanceMethod<&Domain::Resume>("resume"),
                      InstanceMethod<&Domain::Destroy>("destroy"),
                      InstanceMethod<&Domain::Undefine>("undefine"),
                      InstanceMethod<&Domain::BlockCopy>("blockCopy"),
                      InstanceMethod<&Domain::BlockJobAbort>("blockJobAbort"),
                      InstanceMethod<&Domain::BlockJobInfo>("blockJobInfo"),
                      InstanceMethod<&Domain::BlockInfo>("blockInfo"),
                      InstanceMethod<&Domain::MonitorCommand>("monitorCommand"),
                      InstanceMethod<&Domain::PrepareMonitorCommand>("prepareMonitorCommand"),
                      InstanceMethod<&Domain::MonitorCommandWithFiles>("monitorCommandWithFiles")});
}

Napi::Object Domain::New(Napi::Env env, const Birth& parents, DomainIdentity identity) {
  Newborn newborn{parents, std::move(identity)};
  return parents.classes->domain.New({Napi::External<Newborn>::New(env, &newborn)});
}

Domain::Domain(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Domain>(info) {
  RequireNative(info);
  Newborn& newborn = *info[0].As<Napi::External<Newborn>>().Data();
  link_ = newborn.parents.link;
  identity_ = std::move(newborn.identity);
}

Napi::Promise Domain::Do(Napi::Env env, const char* function,
                         std::function<int(virDomainPtr)> work) {
  return Call<int>(
      env,
      [function, work = std::move(work)](virDomainPtr domain) {
        return Checked(work(domain), function);
      },
      [](Napi::Env js, int&&) { return js.Undefined(); });
}

Napi::Value Domain::Name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), identity_.name);
}

Napi::Value Domain::Uuid(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), identity_.uuid);
}

// virDomainGetID answers from the time of the lookup: look again.
Napi::Value Domain::Id(const Napi::CallbackInfo& info) {
  return link_->Call<int>(
      info.Env(),
      [uuid = identity_.uuid](Channel& channel) {
        const DomainRef now =
            OwnDomain(virDomainLookupByUUIDString(channel.connection(), uuid.c_str()),
                      "virDomainLookupByUUIDString");
        return static_cast<int>(virDomainGetID(now.get()));
      },
      [](Napi::Env env, int&& id) { return Napi::Number::New(env, id); });
}

Napi::Value Domain::Xml(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[0], "flags");
  return Call<std::string>(
      info.Env(),
      [flags](virDomainPtr domain) {
        return TakeString(virDomainGetXMLDesc(domain, flags), "virDomainGetXMLDesc");
      },
      StringToJs);
}

Napi::Value Domain::State(const Napi::CallbackInfo& info) {
  using StateAndReason = std::pair<int, int>;
  return Call<StateAndReason>(
      info.Env(),
      [](virDomainPtr domain) {
        StateAndReason answer;
        Checked(virDomainGetState(domain, &answer.first, &answer.second, 0), "virDomainGetState");
        return answer;
      },
      [](Napi::Env env, StateAndReason&& answer) {
        Napi::Object js = Napi::Object::New(env);
        js.Set("state", answer.first);
        js.Set("reason", answer.second);
        return js;
      });
}

Napi::Value Domain::IsPersistent(const Napi::CallbackInfo& info) {
  return Call<bool>(
      info.Env(),
      [](virDomainPtr domain) {
        return Checked(virDomainIsPersistent(domain), "virDomainIsPersistent") == 1;
      },
      [](Napi::Env env, bool&& persistent) { return Napi::Boolean::New(env, persistent); });
}

Napi::Value Domain::Create(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[0], "flags");
  return Do(info.Env(), "virDomainCreateWithFlags",
            [flags](virDomainPtr domain) { return virDomainCreateWithFlags(domain, flags); });
}

Napi::Value Domain::Suspend(const Napi::CallbackInfo& info) {
  return Do(info.Env(), "virDomainSuspend", virDomainSuspend);
}

Napi::Value Domain::Resume(const Napi::CallbackInfo& info) {
  return Do(info.Env(), "virDomainResume", virDomainResume);
}

Napi::Value Domain::Destroy(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[0], "flags");
  return Do(info.Env(), "virDomainDestroyFlags",
            [flags](virDomainPtr domain) { return virDomainDestroyFlags(domain, flags); });
}

Napi::Value Domain::Undefine(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[0], "flags");
  return Do(info.Env(), "virDomainUndefineFlags",
            [flags](virDomainPtr domain) { return virDomainUndefineFlags(domain, flags); });
}

Napi::Value Domain::MonitorCommand(const Napi::CallbackInfo& info) {
  const unsigned int flags = NumberArg(info[1], "flags");
  return Call<std::string>(
      info.Env(),
      [command = StringArg(info[0], "command"), flags](virDomainPtr domain) {
        return MonitorCommandOn(domain, command, flags);
      },
      StringToJs);
}

Napi::Value Domain::PrepareMonitorCommand(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const unsigned int flags = NumberArg(info[1], "flags");
  const Link::Later later = link_->Prepare<std::string>(
      env,
      [uuid = identity_.uuid, command = StringArg(info[0], "command"), flags](Channel& channel) {
        return MonitorCommandOn(channel.DomainOf(uuid), command, flags);
      },
      StringToJs);
  Napi::Object prepared = PreparedCallToJs(env, later.trigger);
  prepared.Set("reply", later.promise);
  return prepared;
}

Napi::Value Domain::MonitorCommandWithFiles(const Napi::CallbackInfo& info) {
  const std::string command = StringArg(info[0], "command");
  const unsigned int flags = NumberArg(info[2], "flags");
  std::shared_ptr<Descriptors> sent;
  try {
    sent = CopyDescriptors(info[1]);
  } catch (const SyscallError& failure) {
    return Rejected(info.Env(), failure);
  }
  return Call<MonitorReply>(
      info.Env(),
      [command, sent, flags](virDomainPtr domain) {
        return RunMonitorCommand(domain, command, *sent, flags);
      },
      [](Napi::Env env, MonitorReply&& reply) {
        Napi::Object js = Napi::Object::New(env);
        js.Set("reply", reply.text);
        Napi::Array received = Napi::Array::New(env);
        for (int fd : reply.received.Numbers()) received[received.Length()] = Napi::Number::New(env, fd);
        js.Set("descriptors", received);
        reply.received.Release();  // from here on they are the caller's
        return js;
      });
}

}  // namespace understudy::libvirt
