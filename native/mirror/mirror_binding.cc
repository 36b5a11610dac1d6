// NativeDisks.openMirrorTarget.
#include <napi.h>

#include <memory>
#include <set>
#include <utility>

#include "common/promise_task.h"
#include "guard/shared_state.h"
#include "memory/arguments.h"
#include "mirror/bindings.h"
#include "mirror/limits.h"

namespace understudy {
namespace mirror {
namespace {

using memory::BadArgument;

std::vector<nbd::ExportInfo> ReadDisks(const Napi::Object& options) {
  const Napi::Env env = options.Env();
  const Napi::Array from = memory::ArrayField(options, "disks");
  if (from.Length() > disk::kDisksMax) BadArgument(env, "disks", "a list of at most 64");
  std::vector<nbd::ExportInfo> disks;
  std::set<std::string> names;
  for (uint32_t i = 0; i < from.Length(); ++i) {
    const Napi::Object entry = memory::ObjectArgument(env, from.Get(i), "disks");
    disks.push_back({memory::StringField(entry, "name"), memory::UintField(entry, "bytes")});
    if (!names.insert(disks.back().name).second) BadArgument(env, "disks", "a list of different names");
  }
  return disks;
}

TargetOptions ReadOptions(const Napi::Object& from) {
  TargetOptions options{};
  options.socket_path = memory::StringField(from, "socketPath");
  options.owner_uid = static_cast<uid_t>(memory::UintField(from, "ownerUid", UINT32_MAX));
  options.disks = ReadDisks(from);
  options.memory_bytes_max = memory::UintField(from, "memoryBytesMax");
  if (options.memory_bytes_max < kMemoryBytesMin) {
    BadArgument(from.Env(), "memoryBytesMax", "1064960 (four parts) or more");
  }
  options.spill_directory = memory::StringField(from, "spillDirectory");
  options.spill_bytes_max = memory::UintField(from, "spillBytesMax");
  options.remember_bytes_max = memory::UintField(from, "rememberBytesMax");
  options.freeze_ms_max = memory::IntField(from, "freezeMsMax");
  if (options.freeze_ms_max < guard::kFreezeMsMin || options.freeze_ms_max > guard::kFreezeMsMax) {
    BadArgument(from.Env(), "freezeMsMax", "from 100 to 3600000");
  }
  return options;
}

Napi::Value TroubleToJs(Napi::Env env, const Trouble& trouble) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("kind", trouble.kind);
  out.Set("reason", trouble.reason);
  if (trouble.disk) out.Set("disk", *trouble.disk);
  return out;
}

Napi::Value OpenMirrorTarget(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return memory::Guarded(env, [&]() -> Napi::Value {
    const Napi::Object from = memory::ObjectArgument(env, info[0], "options");
    TargetOptions options = ReadOptions(from);
    if (!from.Get("onTrouble").IsFunction()) BadArgument(env, "onTrouble", "a function");
    const JsCallback on_trouble(from.Get("onTrouble").As<Napi::Function>());
    options.on_trouble = [on_trouble](const Trouble& trouble) {
      on_trouble.Post([trouble](Napi::Env js, const Napi::Function& call) { call.Call({TroubleToJs(js, trouble)}); });
    };
    return RunOnThread<std::shared_ptr<MirrorTarget>>(
        env,
        [options = std::move(options)]() mutable { return std::make_shared<MirrorTarget>(std::move(options)); },
        [on_trouble](Napi::Env js, std::shared_ptr<MirrorTarget>&& target) -> Napi::Value {
          return NewMirrorTarget(js, std::move(target), on_trouble);
        });
  });
}

}  // namespace
}  // namespace mirror

void InitMirror(Napi::Env env, Napi::Object disks) {
  disks.Set("openMirrorTarget", Napi::Function::New(env, mirror::OpenMirrorTarget));
}

}  // namespace understudy
