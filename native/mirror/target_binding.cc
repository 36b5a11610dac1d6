// NativeMirrorTarget.
#include <memory>
#include <utility>

#include "common/boundary.h"
#include "common/promise_task.h"
#include "memory/arguments.h"
#include "memory/work_thread.h"
#include "mirror/bindings.h"
#include "mirror/limits.h"
#include "mirror/target.h"

namespace understudy::mirror {
namespace {

using memory::BadArgument;
using memory::BufferArgument;
using memory::Count;
using memory::Guarded;
using memory::ObjectArgument;

constexpr const char* kModeNames[] = {"forgetting", "shipping", "remembering"};

uint64_t NumberArgument(Napi::Env env, Napi::Value value, const char* name) {
  const Napi::Object holder = Napi::Object::New(env);
  holder.Set(name, value);
  return memory::UintField(holder, name);
}

KnownContent ReadKnown(Napi::Env env, Napi::Value value) {
  const Napi::Object from = ObjectArgument(env, value, "known");
  const std::string content = memory::StringField(from, "content");
  if (content == "unknown") return {Content::kUnknown};
  if (content == "zeroes") return {Content::kZeroes};
  if (content != "digests") BadArgument(env, "content", "'unknown', 'zeroes' or 'digests'");
  return {Content::kDigests, memory::UintField(from, "blockBytes"), memory::AddressField(from, "seed")};
}

Napi::Value TakenToJs(Napi::Env env, const Taken& taken) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("epoch", Count(env, taken.epoch));
  out.Set("bytes", Count(env, taken.bytes));
  out.Set("endsEpoch", taken.ends_epoch);
  out.Set("intact", taken.intact);
  return out;
}

Napi::Value StatsToJs(Napi::Env env, const TargetStats& stats) {
  Napi::Array disks = Napi::Array::New(env, stats.disks.size());
  for (uint32_t i = 0; i < stats.disks.size(); ++i) {
    Napi::Object disk = Napi::Object::New(env);
    disk.Set("connected", stats.disks[i].connected);
    disk.Set("unbroken", stats.disks[i].unbroken);
    disk.Set("requests", Count(env, stats.disks[i].requests));
    disk.Set("writtenBytes", Count(env, stats.disks[i].written_bytes));
    disks.Set(i, disk);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("mode", kModeNames[static_cast<int>(stats.mode)]);
  out.Set("disks", disks);
  out.Set("loggedBytes", Count(env, stats.log.logged_bytes));
  out.Set("knownBytes", Count(env, stats.known_bytes));
  out.Set("memoryBytes", Count(env, stats.log.memory_bytes));
  out.Set("spilledBytes", Count(env, stats.log.spilled_bytes));
  out.Set("backPressureCount", Count(env, stats.back_pressure.count));
  out.Set("backPressureMs", Count(env, stats.back_pressure.ms));
  out.Set("rememberedBytes", Count(env, stats.remembered_bytes));
  out.Set("interventions", Count(env, stats.interventions));
  return out;
}

// What a capture is given: it may outlive the target, whose files must end with close().
class BoundaryLink final : public BoundaryListener {
 public:
  explicit BoundaryLink(const std::shared_ptr<MirrorTarget>& target) : target_(target) {}
  void OnEpochClosed(uint64_t closed_epoch) override {
    if (const auto target = target_.lock()) target->OnEpochClosed(closed_epoch);
  }

 private:
  const std::weak_ptr<MirrorTarget> target_;
};

class MirrorTargetObject : public Napi::ObjectWrap<MirrorTargetObject> {
 public:
  static Napi::Object New(Napi::Env env, std::shared_ptr<MirrorTarget> target, JsCallback on_trouble) {
    const Napi::Object object =
        DefineClass(env, "MirrorTarget",
                    {InstanceAccessor<&MirrorTargetObject::Boundary>("boundary"),
                     InstanceMethod<&MirrorTargetObject::SetKnown>("setKnown"),
                     InstanceMethod<&MirrorTargetObject::AddDigests>("addDigests"),
                     InstanceMethod<&MirrorTargetObject::Ship>("ship"),
                     InstanceMethod<&MirrorTargetObject::Complete>("complete"),
                     InstanceMethod<&MirrorTargetObject::Take>("take"),
                     InstanceMethod<&MirrorTargetObject::Committed>("committed"),
                     InstanceMethod<&MirrorTargetObject::Remember>("remember"),
                     InstanceMethod<&MirrorTargetObject::Replay>("replay"),
                     InstanceMethod<&MirrorTargetObject::Forget>("forget"),
                     InstanceMethod<&MirrorTargetObject::CloseEpoch>("closeEpoch"),
                     InstanceMethod<&MirrorTargetObject::GuardGate>("guardGate"),
                     InstanceMethod<&MirrorTargetObject::Stats>("stats"),
                     InstanceMethod<&MirrorTargetObject::Close>("close")})
            .New({});
    MirrorTargetObject* const self = Unwrap(object);
    self->boundary_ = Napi::Persistent(Napi::External<BoundaryRef>::New(
        env, new BoundaryRef{std::make_shared<BoundaryLink>(target)}, [](Napi::Env, BoundaryRef* ref) { delete ref; }));
    self->on_trouble_.emplace(std::move(on_trouble));
    self->target_ = std::move(target);
    self->thread_ = std::make_unique<memory::WorkThread>(env);
    // Runs before the thread's own hook, which waits for a job that may wait for the log.
    napi_add_env_cleanup_hook(env, OnEnvironmentEnd, self);
    self->hooked_ = true;
    return object;
  }

  explicit MirrorTargetObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

  // Dropped without close(): nothing may wait for what nobody can reach any more.
  ~MirrorTargetObject() override {
    if (!hooked_) return;
    napi_remove_env_cleanup_hook(Env(), OnEnvironmentEnd, this);
    if (target_) target_->Stop();
  }

 private:
  static void OnEnvironmentEnd(void* object) {
    auto* const self = static_cast<MirrorTargetObject*>(object);
    if (self->target_) self->target_->Stop();
  }

  MirrorTarget& target() const {
    if (!target_) throw CodedError("CLOSED", "the mirror target has been closed");
    return *target_;
  }
  size_t DiskArgument(const Napi::CallbackInfo& info) const {
    const uint64_t disk = NumberArgument(info.Env(), info[0], "disk");
    if (disk >= target().Exports().size()) BadArgument(info.Env(), "disk", "the number of a disk");
    return disk;
  }

  Napi::Value Boundary(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target();
      return boundary_.Value();
    });
  }

  Napi::Value SetKnown(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const size_t disk = DiskArgument(info);
      target().SetKnown(disk, ReadKnown(info.Env(), info[1]));
      return info.Env().Undefined();
    });
  }

  Napi::Value AddDigests(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const size_t disk = DiskArgument(info);
      const uint64_t first_block = NumberArgument(info.Env(), info[1], "firstBlock");
      const Napi::Buffer<uint8_t> digests = BufferArgument(info.Env(), info[2], "digests");
      target().AddDigests(disk, first_block, digests.Data(), digests.Length());
      return info.Env().Undefined();
    });
  }

  Napi::Value Ship(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target().Ship(NumberArgument(info.Env(), info[0], "epoch"));
      return info.Env().Undefined();
    });
  }

  Napi::Value Complete(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target().Complete();
      return info.Env().Undefined();
    });
  }

  Napi::Value Take(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      target();
      const Napi::Buffer<uint8_t> into = BufferArgument(info.Env(), info[0], "into");
      if (into.Length() < kPartBytesMax) {
        BadArgument(info.Env(), "into", "a Buffer of 266240 bytes (the largest part) or more");
      }
      // At once: the thread may be storing what is remembered until that ends.
      if (!target_->IsShipping()) {
        return Rejected(info.Env(), CodedError("STOPPED", "the log is not taken from: nothing is shipped"));
      }
      const auto take = [target = target_, reader = target_->reader(), data = into.Data(),
                         bytes = into.Length()] { return target->Take(reader, data, bytes); };
      return thread_->Run(Value(), into, take, TakenToJs);
    });
  }

  Napi::Value Committed(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      if (target().Committed(NumberArgument(info.Env(), info[0], "epoch"))) {
        thread_->Post([target = target_] { target->FreeReplayed(); });
      }
      return info.Env().Undefined();
    });
  }

  Napi::Value Remember(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target().Remember();
      thread_->Post([target = target_, reader = target_->reader()] { target->StoreRemembered(reader); });
      return info.Env().Undefined();
    });
  }

  Napi::Value Replay(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target().Replay(NumberArgument(info.Env(), info[0], "epoch"));
      return info.Env().Undefined();
    });
  }

  Napi::Value Forget(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target().Forget();
      thread_->Post([target = target_] { target->ClearRemembered(); });
      return info.Env().Undefined();
    });
  }

  Napi::Value CloseEpoch(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target().OnEpochClosed(NumberArgument(info.Env(), info[0], "epoch"));
      return info.Env().Undefined();
    });
  }

  Napi::Value GuardGate(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      // -1: the gate is about to be closed.
      const bool none = info[0].IsNumber() && info[0].As<Napi::Number>().DoubleValue() == -1;
      const uint64_t fd = none ? 0 : NumberArgument(info.Env(), info[0], "gateFd");
      if (fd > INT32_MAX) BadArgument(info.Env(), "gateFd", "a descriptor");
      target().GuardGate(none ? -1 : static_cast<int>(fd));
      return info.Env().Undefined();
    });
  }

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return StatsToJs(info.Env(), target().Stats()); });
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      target().Stop();
      // Jobs are copied about; the one reference is dropped inside this one.
      const auto last = std::make_shared<std::shared_ptr<MirrorTarget>>(std::move(target_));
      const auto close = [last] {
        (*last)->Close();
        last->reset();
        return true;
      };
      return thread_->Run(Value(), Value(), close, [this](Napi::Env env, bool) -> Napi::Value {
        on_trouble_->Mute();
        return env.Undefined();
      });
    });
  }

  Napi::Reference<Napi::External<BoundaryRef>> boundary_;
  std::optional<JsCallback> on_trouble_;
  // Shared with jobs; the last of them ends it.
  std::shared_ptr<MirrorTarget> target_;
  bool hooked_ = false;
  // Last, so that it ends before what its jobs use.
  std::unique_ptr<memory::WorkThread> thread_;
};

}  // namespace

Napi::Object NewMirrorTarget(Napi::Env env, std::shared_ptr<MirrorTarget> target, JsCallback on_trouble) {
  return MirrorTargetObject::New(env, std::move(target), std::move(on_trouble));
}

}  // namespace understudy::mirror
