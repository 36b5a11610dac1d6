// NativeGuestMemory: every call runs on the object's own thread, in the order of the calls.
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/promise_task.h"
#include "memory/arguments.h"
#include "memory/bindings.h"
#include "memory/guest_memory.h"
#include "memory/limits.h"
#include "memory/work_thread.h"

namespace understudy::memory {
namespace {

CopyMode CopyModeField(const Napi::Object& options) {
  const std::string copy = StringField(options, "copy");
  if (copy == "staged") return CopyMode::kStaged;
  if (copy == "live") return CopyMode::kLive;
  BadArgument(options.Env(), "copy", "'staged' or 'live'");
}

Napi::Value EncodedToJs(Napi::Env env, const Encoded& encoded) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("bytes", Count(env, encoded.bytes));
  out.Set("dataPages", Count(env, encoded.data_pages));
  out.Set("zeroPages", Count(env, encoded.zero_pages));
  out.Set("unchangedPages", Count(env, encoded.unchanged_pages));
  out.Set("done", encoded.done);
  return out;
}

Ahead ReadAhead(const Napi::Object& from) {
  const Napi::Buffer<uint8_t> into = BufferArgument(from.Env(), from.Get("into"), "ahead.into");
  const auto on_encoded = std::make_shared<JsCallback>(from.Get("onEncoded").As<Napi::Function>());
  const auto tell = [on_encoded](const Encoded& encoded) {
    on_encoded->Post([encoded](Napi::Env env, const Napi::Function& callback) {
      callback.Call({EncodedToJs(env, encoded)});
    });
  };
  return {into.Data(), into.Length(), tell};
}

CaptureOptions ReadCaptureOptions(const Napi::CallbackInfo& info, bool through_gate) {
  const Napi::Object from = ObjectArgument(info.Env(), info[0], "options");
  CaptureOptions options;
  options.epoch = UintField(from, "epoch");
  options.copy = CopyModeField(from);
  const Napi::Array boundaries = ArrayField(from, "boundaries");
  for (uint32_t i = 0; i < boundaries.Length(); ++i) {
    const Napi::Value boundary = boundaries.Get(i);
    if (!boundary.IsExternal()) BadArgument(info.Env(), "boundaries", "an array of boundaries");
    options.boundaries.push_back(boundary.As<Napi::External<BoundaryRef>>().Data()->listener);
  }
  if (through_gate) {
    options.gate_fd = IntField(from, "gateFd");
    options.open_timeout_ms = IntField(from, "openTimeoutMs");
    options.drain_timeout_ms = IntField(from, "drainTimeoutMs");
    options.device_state_bytes_max = UintField(from, "deviceStateBytesMax");
    if (from.Has("begin")) options.begin = from.Get("begin").As<Napi::External<TriggerRef>>().Data()->trigger;
    if (from.Has("ahead")) options.ahead = ReadAhead(ObjectArgument(from.Env(), from.Get("ahead"), "ahead"));
    if (from.Has("outlet")) {
      const Napi::Object outlet = ObjectArgument(from.Env(), from.Get("outlet"), "outlet");
      options.outlet = Outlet{outlet.Get("lane").As<Napi::External<lane::PrimaryLaneRef>>().Data()->lane,
                              StringField(outlet, "addresses")};
    }
  }
  return options;
}

Napi::Value CaptureToJs(Napi::Env env, const Capture& capture) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("epoch", Count(env, capture.epoch));
  out.Set("status", capture.complete ? "complete" : "partial");
  out.Set("dirtyPages", Count(env, capture.dirty_pages));
  out.Set("dirtyRanges", Count(env, capture.dirty_ranges));
  out.Set("stagedBytes", Count(env, capture.staged_bytes));
  out.Set("gateUs", Microseconds(env, capture.gate_ns));
  out.Set("boundaryUs", Microseconds(env, capture.boundary_ns));
  out.Set("scanUs", Microseconds(env, capture.scan_ns));
  out.Set("copyUs", Microseconds(env, capture.copy_ns));
  out.Set("drainUs", Microseconds(env, capture.drain_ns));
  out.Set("pauseUs", Microseconds(env, capture.pause_ns));
  out.Set("pausedAtNs", Napi::BigInt::New(env, capture.paused_at_ns));
  if (capture.sent) {
    Napi::Object sent = EncodedToJs(env, capture.sent->encoded).As<Napi::Object>();
    sent.Set("atNs", Napi::BigInt::New(env, capture.sent->at_ns));
    out.Set("sent", sent);
  }
  out.Set("deviceState", Napi::Buffer<uint8_t>::Copy(env, capture.device_state.data(),
                                                     capture.device_state.size()));
  return out;
}

class GuestMemoryObject : public Napi::ObjectWrap<GuestMemoryObject> {
 public:
  static Napi::Object New(Napi::Env env, std::shared_ptr<GuestMemory> memory) {
    const Napi::Function constructor =
        DefineClass(env, "GuestMemory",
                    {InstanceAccessor<&GuestMemoryObject::PageBytes>("pageBytes"),
                     InstanceAccessor<&GuestMemoryObject::RamBytes>("ramBytes"),
                     InstanceMethod<&GuestMemoryObject::TakeCapture>("capture"),
                     InstanceMethod<&GuestMemoryObject::TakeRest>("captureRest"),
                     InstanceMethod<&GuestMemoryObject::TakeStopped>("captureStopped"),
                     InstanceMethod<&GuestMemoryObject::EncodeInto>("encodeInto"),
                     InstanceMethod<&GuestMemoryObject::WrittenPages>("writtenPages"),
                     InstanceMethod<&GuestMemoryObject::Abandon>("abandon"),
                     InstanceMethod<&GuestMemoryObject::ForgetReplica>("forgetReplica"),
                     InstanceMethod<&GuestMemoryObject::DigestRam>("digest"),
                     InstanceMethod<&GuestMemoryObject::Detach>("detach")});
    const Napi::Object object = constructor.New({});
    GuestMemoryObject* const self = Unwrap(object);
    self->memory_ = std::move(memory);
    self->ram_bytes_ = self->memory_->layout().ram_bytes();
    self->thread_ = std::make_unique<WorkThread>(env);
    return object;
  }

  explicit GuestMemoryObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  GuestMemory& memory() const {
    if (!memory_) throw CodedError("CLOSED", "the guest memory has been detached");
    return *memory_;
  }

  template <typename Work, typename ToJs>
  Napi::Value Run(Work work, ToJs to_js, Napi::Value keep = {}) {
    return thread_->Run(Value(), keep.IsEmpty() ? Value() : keep, std::move(work),
                        std::move(to_js));
  }

  Napi::Value PageBytes(const Napi::CallbackInfo& info) { return Count(info.Env(), kPageBytes); }
  Napi::Value RamBytes(const Napi::CallbackInfo& info) { return Count(info.Env(), ram_bytes_); }

  Napi::Value StartCapture(const Napi::CallbackInfo& info, bool through_gate) {
    return Guarded(info.Env(), [&] {
      GuestMemory& guest = memory();
      const int cancel_fd = thread_->cancel_fd();
      const CaptureOptions options = ReadCaptureOptions(info, through_gate);
      // Here, as the gate may be closed at any time after this.
      const auto gate = std::make_shared<UniqueFd>();
      if (options.gate_fd) *gate = guest.ExpectAt(*options.gate_fd);
      return Run(
          [&guest, cancel_fd, options, gate] { return guest.TakeCapture(options, std::move(*gate), cancel_fd); },
          CaptureToJs, info[0]);
    });
  }
  Napi::Value TakeCapture(const Napi::CallbackInfo& info) { return StartCapture(info, true); }
  Napi::Value TakeStopped(const Napi::CallbackInfo& info) { return StartCapture(info, false); }

  Napi::Value TakeRest(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      GuestMemory& guest = memory();
      const int cancel_fd = thread_->cancel_fd();
      return Run([&guest, cancel_fd] { return guest.TakeRest(cancel_fd); }, CaptureToJs);
    });
  }

  Napi::Value EncodeInto(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      GuestMemory& guest = memory();
      const Napi::Buffer<uint8_t> into = BufferArgument(info.Env(), info[0], "into");
      const auto encode = [&guest, data = into.Data(), bytes = into.Length()] {
        return guest.EncodeInto(data, bytes);
      };
      return Run(encode, EncodedToJs, into);
    });
  }

  // These two only change bookkeeping; in order with the other calls, and without waiting.
  Napi::Value Change(const Napi::CallbackInfo& info, void (GuestMemory::*change)()) {
    return Guarded(info.Env(), [&] {
      // First of all: a detached one has no thread to post to.
      memory();
      thread_->Post([guest = memory_, change] { std::invoke(change, *guest); });
      return info.Env().Undefined();
    });
  }
  Napi::Value Abandon(const Napi::CallbackInfo& info) {
    return Change(info, &GuestMemory::Abandon);
  }
  Napi::Value ForgetReplica(const Napi::CallbackInfo& info) {
    return Change(info, &GuestMemory::ForgetReplica);
  }

  Napi::Value WrittenPages(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      memory();
      // On another thread: this object's own may wait for a pause.
      return RunOnThread<uint64_t>(info.Env(), [guest = memory_] { return guest->CountWritten(); },
                                   [](Napi::Env env, uint64_t&& pages) -> Napi::Value { return Count(env, pages); });
    });
  }

  Napi::Value DigestRam(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      return Run([&guest = memory()] { return guest.DigestRam(); },
                 [](Napi::Env env, const std::string& hex) -> Napi::Value {
                   return Napi::String::New(env, hex);
                 });
    });
  }

  Napi::Value Detach(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      memory();
      // Jobs are copied about; the one reference is dropped inside this one.
      const auto last = std::make_shared<std::shared_ptr<GuestMemory>>(std::move(memory_));
      const auto end = [last] {
        last->reset();
        return true;
      };
      return Run(end, [this](Napi::Env env, bool) -> Napi::Value {
        thread_.reset();
        return env.Undefined();
      });
    });
  }

  // Shared with jobs that may outlive a detach; the last one to finish frees it.
  std::shared_ptr<GuestMemory> memory_;
  uint64_t ram_bytes_ = 0;
  // Last, so that it ends before what its jobs use.
  std::unique_ptr<WorkThread> thread_;
};

}  // namespace

Napi::Value AttachGuestMemory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = ObjectArgument(env, info[0], "options");
    const pid_t pid = IntField(options, "pid");
    const uint64_t staging_bytes = UintField(options, "stagingBytes");
    const unsigned threads = static_cast<unsigned>(IntField(options, "threads"));
    if (staging_bytes < kStagingBytesMin || staging_bytes % kPageBytes != 0) {
      BadArgument(env, "stagingBytes", "a multiple of 4096 of at least 1 MiB");
    }
    std::vector<RamRange> ranges;
    const Napi::Array from = ArrayField(options, "ranges");
    for (uint32_t i = 0; i < from.Length(); ++i) {
      const Napi::Object range = ObjectArgument(env, from.Get(i), "ranges");
      ranges.push_back({AddressField(range, "hva"), UintField(range, "bytes"),
                        UintField(range, "replicaOffset")});
    }
    return RunOnThread<std::shared_ptr<GuestMemory>>(
        env,
        [pid, staging_bytes, threads, ranges = std::move(ranges)] {
          return std::make_shared<GuestMemory>(pid, RamLayout(ranges), staging_bytes, threads);
        },
        [](Napi::Env settled_env, std::shared_ptr<GuestMemory>&& memory) -> Napi::Value {
          return GuestMemoryObject::New(settled_env, std::move(memory));
        });
  });
}

}  // namespace understudy::memory
