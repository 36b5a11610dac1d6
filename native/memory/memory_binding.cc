// exports.memory and exports.openGate.
#include <napi.h>

#include <cstring>
#include <span>
#include <vector>

#include "common/monotonic.h"
#include "common/promise_task.h"
#include "memory/arguments.h"
#include "memory/bindings.h"
#include "memory/device_state.h"
#include "memory/limits.h"
#include "memory/owned.h"
#include "memory/self_test.h"
#include "memory/state_delta.h"

namespace understudy {
namespace memory {
namespace {

Napi::Value StartSelfTest(const Napi::CallbackInfo& info) {
  return RunOnThread<SelfTest>(info.Env(), RunSelfTest,
                               [](Napi::Env env, const SelfTest& test) -> Napi::Value {
                                 Napi::Object out = Napi::Object::New(env);
                                 out.Set("ok", test.ok);
                                 if (!test.ok) {
                                   out.Set("failedStep", test.failed_step);
                                   out.Set("reason", test.reason);
                                 }
                                 return out;
                               });
}

// The floor of any capture: the same bytes copied page by page between two warm buffers.
std::vector<uint64_t> CopyRounds(size_t bytes, size_t rounds) {
  Mapping from(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  Mapping into(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  memset(from.data(), 1, bytes);
  memset(into.data(), 2, bytes);
  std::vector<uint64_t> times_ns;
  for (size_t round = 0; round < rounds; ++round) {
    const uint64_t start_ns = MonotonicNs();
    for (size_t at = 0; at < bytes; at += kPageBytes) {
      memcpy(into.data() + at, from.data() + at, kPageBytes);
      // The compiler must believe that the copy is looked at.
      asm volatile("" : : "r"(into.data() + at) : "memory");
    }
    times_ns.push_back(MonotonicNs() - start_ns);
  }
  return times_ns;
}

Napi::Value MeasureMemcpy(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object options = ObjectArgument(info.Env(), info[0], "options");
    const size_t pages = UintField(options, "bytes", kBenchBytesMax) / kPageBytes;
    const size_t rounds = UintField(options, "rounds", kBenchRoundsMax);
    if (pages == 0) BadArgument(info.Env(), "bytes", "at least one page");
    return RunOnThread<std::vector<uint64_t>>(
        info.Env(), [pages, rounds] { return CopyRounds(pages * kPageBytes, rounds); },
        [](Napi::Env env, const std::vector<uint64_t>& times_ns) -> Napi::Value {
          Napi::Array out = Napi::Array::New(env, times_ns.size());
          for (uint32_t i = 0; i < times_ns.size(); ++i) out.Set(i, Microseconds(env, times_ns[i]));
          return out;
        });
  });
}

std::span<const uint8_t> BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  const Napi::Buffer<uint8_t> buffer = BufferArgument(info.Env(), info[index], name);
  return {buffer.Data(), buffer.Length()};
}

Napi::Value CheckDeviceState(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    RequireWholeDeviceState(BytesArgument(info, 0, "state"));
    return info.Env().Undefined();
  });
}

Napi::Value StateDeltaJs(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const auto delta = StateDelta(BytesArgument(info, 0, "base"), BytesArgument(info, 1, "state"));
    if (!delta) return info.Env().Undefined();
    return Napi::Buffer<uint8_t>::Copy(info.Env(), delta->data(), delta->size());
  });
}

Napi::Value ApplyStateDeltaJs(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const auto base = BytesArgument(info, 0, "base");
    auto state = Napi::Buffer<uint8_t>::Copy(info.Env(), base.data(), base.size());
    ApplyStateDelta({state.Data(), state.Length()}, BytesArgument(info, 1, "delta"));
    return state;
  });
}

}  // namespace
}  // namespace memory

void InitMemory(Napi::Env env, Napi::Object exports) {
  Napi::Object area = Napi::Object::New(env);
  area.Set("selfTest", Napi::Function::New<memory::StartSelfTest>(env, "selfTest"));
  area.Set("attach", Napi::Function::New<memory::AttachGuestMemory>(env, "attach"));
  area.Set("openReplica", Napi::Function::New<memory::OpenReplica>(env, "openReplica"));
  area.Set("hasher", Napi::Function::New<memory::NewHasher>(env, "hasher"));
  area.Set("checkDeviceState", Napi::Function::New<memory::CheckDeviceState>(env, "checkDeviceState"));
  area.Set("stateDelta", Napi::Function::New<memory::StateDeltaJs>(env, "stateDelta"));
  area.Set("applyStateDelta", Napi::Function::New<memory::ApplyStateDeltaJs>(env, "applyStateDelta"));
  area.Set("measureMemcpy", Napi::Function::New<memory::MeasureMemcpy>(env, "measureMemcpy"));
  exports.Set("memory", area);
  exports.Set("openGate", Napi::Function::New<memory::OpenGate>(env, "openGate"));
}

}  // namespace understudy
