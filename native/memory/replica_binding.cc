// NativeReplica and NativeHasher.
#include <memory>
#include <utility>
#include <vector>

#include "common/monotonic.h"
#include "memory/arguments.h"
#include "memory/bindings.h"
#include "memory/digest.h"
#include "memory/replica.h"
#include "memory/work_thread.h"

namespace understudy::memory {
namespace {

Napi::Object SummaryToJs(Napi::Env env, const ChunkSummary& summary) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("dataPages", Count(env, summary.data_pages));
  out.Set("zeroPages", Count(env, summary.zero_pages));
  return out;
}

struct Applied {
  ChunkSummary summary;
  uint64_t ns;
};

class ReplicaObject : public Napi::ObjectWrap<ReplicaObject> {
 public:
  static Napi::Object New(Napi::Env env, std::shared_ptr<Replica> replica) {
    const Napi::Function constructor =
        DefineClass(env, "Replica",
                    {InstanceAccessor<&ReplicaObject::RamBytes>("ramBytes"),
                     InstanceAccessor<&ReplicaObject::Reference>("reference"),
                     InstanceMethod<&ReplicaObject::Validate>("validate"),
                     InstanceMethod<&ReplicaObject::Apply>("apply"),
                     InstanceMethod<&ReplicaObject::Reserve>("reserve"),
                     InstanceMethod<&ReplicaObject::DigestRam>("digest"),
                     InstanceMethod<&ReplicaObject::Close>("close")});
    const Napi::Object object = constructor.New({});
    ReplicaObject* const self = Unwrap(object);
    self->ram_bytes_ = replica->ram_bytes();
    self->replica_ = std::move(replica);
    self->thread_ = std::make_unique<WorkThread>(env);
    return object;
  }

  explicit ReplicaObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  const std::shared_ptr<Replica>& replica() const {
    if (!replica_) throw CodedError("CLOSED", "the replica has been closed");
    return replica_;
  }

  Napi::Value RamBytes(const Napi::CallbackInfo& info) { return Count(info.Env(), ram_bytes_); }
  Napi::Value Reference(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      return Napi::External<ReplicaRef>::New(info.Env(), new ReplicaRef{replica()},
                                             [](Napi::Env, ReplicaRef* reference) { delete reference; });
    });
  }

  Napi::Value Validate(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const Napi::Buffer<uint8_t> chunk = BufferArgument(info.Env(), info[0], "chunk");
      return SummaryToJs(info.Env(), replica()->Validate({chunk.Data(), chunk.Length()}));
    });
  }

  Napi::Value Apply(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      if (!info[0].IsArray()) BadArgument(info.Env(), "chunks", "an array of Buffers");
      const Napi::Array from = info[0].As<Napi::Array>();
      // A copy, so that the caller cannot take a Buffer out of the array while it is read.
      const Napi::Array kept = Napi::Array::New(info.Env(), from.Length());
      std::vector<ChunkBytes> chunks;
      for (uint32_t i = 0; i < from.Length(); ++i) {
        const Napi::Buffer<uint8_t> chunk = BufferArgument(info.Env(), from.Get(i), "chunks");
        kept.Set(i, chunk);
        chunks.push_back({chunk.Data(), chunk.Length()});
      }
      const auto turn = std::make_shared<ApplyOrder::Turn>(replica()->order());
      const auto apply = [into = replica(), turn, chunks = std::move(chunks)] {
        return turn->Run([&] {
          const uint64_t start_ns = MonotonicNs();
          const ChunkSummary summary = into->Apply(chunks);
          return Applied{summary, MonotonicNs() - start_ns};
        });
      };
      const auto to_js = [](Napi::Env env, const Applied& applied) -> Napi::Value {
        Napi::Object out = SummaryToJs(env, applied.summary);
        out.Set("us", Microseconds(env, applied.ns));
        return out;
      };
      return thread_->Run(Value(), kept, apply, to_js);
    });
  }

  Napi::Value Reserve(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      const auto reserve = [into = replica()] {
        into->Reserve();
        return true;
      };
      return thread_->Run(Value(), Value(), reserve,
                          [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
    });
  }

  Napi::Value DigestRam(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      return thread_->Run(
          Value(), Value(), [from = replica()] { return from->DigestRam(); },
          [](Napi::Env env, const std::string& hex) -> Napi::Value {
            return Napi::String::New(env, hex);
          });
    });
  }

  // Jobs under way finish first; they hold the replica.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      replica();
      replica_.reset();
      return info.Env().Undefined();
    });
  }

  std::shared_ptr<Replica> replica_;
  uint64_t ram_bytes_ = 0;
  std::unique_ptr<WorkThread> thread_;
};

class HasherObject : public Napi::ObjectWrap<HasherObject> {
 public:
  static Napi::Object New(Napi::Env env) {
    return DefineClass(env, "Hasher",
                       {InstanceMethod<&HasherObject::Update>("update"),
                        InstanceMethod<&HasherObject::Hex>("digest")})
        .New({});
  }
  explicit HasherObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value Update(const Napi::CallbackInfo& info) {
    const Napi::Buffer<uint8_t> bytes = BufferArgument(info.Env(), info[0], "bytes");
    digest_.Update(bytes.Data(), bytes.Length());
    return info.Env().Undefined();
  }
  Napi::Value Hex(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), digest_.Hex());
  }

  Digest digest_;
};

}  // namespace

Napi::Value OpenReplica(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Napi::Array from = ArrayField(ObjectArgument(env, info[0], "options"), "blocks");
    std::vector<ReplicaBlock> blocks;
    for (uint32_t i = 0; i < from.Length(); ++i) {
      const Napi::Object block = ObjectArgument(env, from.Get(i), "blocks");
      blocks.push_back({StringField(block, "path"), UintField(block, "bytes"),
                        UintField(block, "replicaOffset")});
    }
    return ReplicaObject::New(env, std::make_shared<Replica>(std::move(blocks)));
  });
}

Napi::Value NewHasher(const Napi::CallbackInfo& info) { return HasherObject::New(info.Env()); }

}  // namespace understudy::memory
