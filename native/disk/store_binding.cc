// NativeDiskStore and what makes one; see src/native.ts.
#include <napi.h>

#include <memory>
#include <utility>
#include <vector>

#include "common/promise_task.h"
#include "disk/limits.h"
#include "disk/store.h"
#include "memory/arguments.h"
#include "memory/work_thread.h"

namespace understudy {
namespace disk {
namespace {

using memory::ArrayField;
using memory::BadArgument;
using memory::BufferArgument;
using memory::Count;
using memory::Guarded;
using memory::Microseconds;
using memory::ObjectArgument;
using memory::StringField;
using memory::UintField;

constexpr char kHexDigits[] = "0123456789abcdef";

Napi::Value SessionToJs(Napi::Env env, const Position& position) {
  std::string hex;
  for (const uint8_t byte : position.session) {
    hex += kHexDigits[byte >> 4];
    hex += kHexDigits[byte & 15];
  }
  return Napi::String::New(env, hex);
}

Position PositionArgument(Napi::Env env, Napi::Value value) {
  const Napi::Object from = ObjectArgument(env, value, "position");
  const std::string hex = StringField(from, "session");
  Position position;
  if (hex.size() != 2 * position.session.size() ||
      hex.find_first_not_of(kHexDigits) != std::string::npos) {
    BadArgument(env, "session", "32 lower-case hex digits");
  }
  for (size_t i = 0; i < position.session.size(); ++i) {
    position.session[i] = static_cast<uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  }
  position.term = UintField(from, "term");
  position.epoch = UintField(from, "epoch");
  return position;
}

Napi::Object RecordToJs(Napi::Env env, const SlotVerdict& record) {
  Napi::Object out = Napi::Object::New(env);
  const bool has_position =
      record.kind == SlotKind::kTransaction || record.kind == SlotKind::kLive;
  switch (record.kind) {
    case SlotKind::kNone: out.Set("state", "none"); break;
    case SlotKind::kCopying: out.Set("state", "copying"); break;
    case SlotKind::kTransaction: out.Set("state", "consistent"); break;
    case SlotKind::kLive: out.Set("state", "live"); break;
  }
  if (has_position) {
    Napi::Object position = Napi::Object::New(env);
    position.Set("session", SessionToJs(env, record.position));
    position.Set("term", Count(env, record.position.term));
    position.Set("epoch", Count(env, record.position.epoch));
    out.Set("position", position);
  } else {
    out.Set("position", env.Undefined());
  }
  return out;
}

Napi::Value TimesToJs(Napi::Env env, const CommitTimes& times) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("journalBytes", Count(env, times.journal_bytes));
  out.Set("appliedBytes", Count(env, times.applied_bytes));
  out.Set("journalUs", Microseconds(env, times.journal_ns));
  out.Set("journalFlushUs", Microseconds(env, times.journal_flush_ns));
  out.Set("applyUs", Microseconds(env, times.apply_ns));
  out.Set("applyFlushUs", Microseconds(env, times.apply_flush_ns));
  return out;
}

// The Buffers of an array, and a copy of the array that keeps them alive.
struct ChunksArgument {
  ChunksArgument(Napi::Env env, Napi::Value value) {
    if (!value.IsArray()) BadArgument(env, "chunks", "an array of Buffers");
    const Napi::Array from = value.As<Napi::Array>();
    kept = Napi::Array::New(env, from.Length());
    for (uint32_t i = 0; i < from.Length(); ++i) {
      const Napi::Buffer<uint8_t> chunk = BufferArgument(env, from.Get(i), "chunks");
      kept.Set(i, chunk);
      chunks.push_back({chunk.Data(), chunk.Length()});
    }
  }
  Napi::Array kept;
  std::vector<ChunkBytes> chunks;
};

class StoreObject : public Napi::ObjectWrap<StoreObject> {
 public:
  static Napi::Object New(Napi::Env env, std::shared_ptr<Store> store) {
    const Napi::Function constructor =
        DefineClass(env, "DiskStore",
                    {InstanceMethod<&StoreObject::Validate>("validate"),
                     InstanceMethod<&StoreObject::BeginCopy>("beginCopy"),
                     InstanceMethod<&StoreObject::WriteThrough>("writeThrough"),
                     InstanceMethod<&StoreObject::Stage>("stage"),
                     InstanceMethod<&StoreObject::DiscardStaged>("discardStaged"),
                     InstanceMethod<&StoreObject::Commit>("commit"),
                     InstanceMethod<&StoreObject::Digests>("digests"),
                     InstanceMethod<&StoreObject::GoLive>("goLive"),
                     InstanceMethod<&StoreObject::Close>("close")});
    const Napi::Object object = constructor.New({});
    StoreObject* const self = Unwrap(object);
    object.DefineProperties({
        Napi::PropertyDescriptor::Value("record", RecordToJs(env, store->record()),
                                        napi_enumerable),
        Napi::PropertyDescriptor::Value("replayed", Napi::Boolean::New(env, store->replayed()),
                                        napi_enumerable),
    });
    self->store_ = std::move(store);
    self->thread_ = std::make_unique<memory::WorkThread>(env);
    return object;
  }

  explicit StoreObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  const std::shared_ptr<Store>& store() const {
    if (!store_) throw CodedError("CLOSED", "the store has been closed");
    return store_;
  }

  // Runs a call without a result, in its turn.
  template <typename Work>
  Napi::Value Run(const Napi::Value& keep, Work work) {
    return thread_->Run(
        Value(), keep,
        [store = store(), work = std::move(work)] {
          work(*store);
          return true;
        },
        [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
  }

  Napi::Value Validate(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const Napi::Buffer<uint8_t> chunk = BufferArgument(info.Env(), info[0], "chunk");
      const ChunkSummary summary = store()->Validate({chunk.Data(), chunk.Length()});
      Napi::Object out = Napi::Object::New(info.Env());
      out.Set("records", Count(info.Env(), summary.records));
      out.Set("dataBytes", Count(info.Env(), summary.data_bytes));
      return out;
    });
  }

  Napi::Value BeginCopy(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      return Run(Value(), [](Store& store) { store.BeginCopy(); });
    });
  }

  Napi::Value WriteThrough(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      ChunksArgument from(info.Env(), info[0]);
      return Run(from.kept, [chunks = std::move(from.chunks)](Store& store) {
        store.WriteThrough(chunks);
      });
    });
  }

  Napi::Value Stage(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      ChunksArgument from(info.Env(), info[0]);
      return Run(from.kept,
                 [chunks = std::move(from.chunks)](Store& store) { store.Stage(chunks); });
    });
  }

  Napi::Value DiscardStaged(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      return Run(Value(), [](Store& store) { store.DiscardStaged(); });
    });
  }

  Napi::Value Commit(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      ChunksArgument from(info.Env(), info[0]);
      const Position position = PositionArgument(info.Env(), info[1]);
      return thread_->Run(
          Value(), from.kept,
          [store = store(), chunks = std::move(from.chunks), position] {
            return store->Commit(chunks, position);
          },
          TimesToJs);
    });
  }

  Napi::Value Digests(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      const Napi::Env env = info.Env();
      const Napi::Object options = ObjectArgument(env, info[0], "options");
      const size_t disk = UintField(options, "disk", kDisksMax);
      const uint64_t block_bytes = UintField(options, "blockBytes", kDigestBlockBytesMax);
      const uint64_t first = UintField(options, "firstBlock");
      const uint64_t count = UintField(options, "count", kDigestsMax);
      const uint64_t seed = memory::AddressField(options, "seed");
      if (disk >= store()->disk_bytes().size()) BadArgument(env, "disk", "a disk's number");
      if (block_bytes == 0) BadArgument(env, "blockBytes", "positive");
      const uint64_t blocks = (store()->disk_bytes()[disk] + block_bytes - 1) / block_bytes;
      if (first > blocks || count > blocks - first) BadArgument(env, "count", "inside the disk");
      return thread_->Run(
          Value(), Value(),
          [store = store(), disk, block_bytes, seed, first, count] {
            return store->Digests(disk, static_cast<uint32_t>(block_bytes), seed, first, count);
          },
          [](Napi::Env js, const std::vector<uint8_t>& digests) -> Napi::Value {
            return Napi::Buffer<uint8_t>::Copy(js, digests.data(), digests.size());
          });
    });
  }

  Napi::Value GoLive(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const Position position = PositionArgument(info.Env(), info[0]);
      return Run(Value(), [position](Store& store) { store.GoLive(position); });
    });
  }

  // Calls made before are done first. The lock is let go when the last of them has let go of the store.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      store();
      return thread_->Run(
          Value(), Value(),
          [closing = std::make_shared<std::shared_ptr<Store>>(std::exchange(store_, nullptr))] {
            const std::shared_ptr<Store> store = std::exchange(*closing, nullptr);
            store->Close();
            return true;
          },
          [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
    });
  }

  std::shared_ptr<Store> store_;
  std::unique_ptr<memory::WorkThread> thread_;
};

Napi::Value OpenStore(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = ObjectArgument(env, info[0], "options");
    const std::string directory = StringField(options, "journalDirectory");
    const Napi::Array disks = ArrayField(options, "disks");
    if (disks.Length() == 0 || disks.Length() > kDisksMax) BadArgument(env, "disks", "1 to 64");
    std::vector<DiskSpec> specs;
    for (uint32_t i = 0; i < disks.Length(); ++i) {
      const Napi::Object disk = ObjectArgument(env, disks.Get(i), "disks");
      specs.push_back({StringField(disk, "path"), UintField(disk, "bytes")});
      if (specs.back().bytes == 0) BadArgument(env, "bytes", "positive");
    }
    return RunOnThread<std::shared_ptr<Store>>(
        env, [directory, specs] { return std::make_shared<Store>(directory, specs); },
        [](Napi::Env js, std::shared_ptr<Store>&& store) -> Napi::Value {
          return StoreObject::New(js, std::move(store));
        });
  });
}

Napi::Value ReadRecord(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    if (!info[0].IsString()) BadArgument(env, "journalDirectory", "a string");
    return RecordToJs(env, ReadNewest(info[0].As<Napi::String>().Utf8Value()));
  });
}

}  // namespace
}  // namespace disk

void InitStore(Napi::Env env, Napi::Object disks) {
  disks.Set("openStore", Napi::Function::New<disk::OpenStore>(env, "openStore"));
  disks.Set("readRecord", Napi::Function::New<disk::ReadRecord>(env, "readRecord"));
}

}  // namespace understudy
