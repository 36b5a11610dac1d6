// What the bindings of native/net share: arguments in, values and errors out.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../common/async.h"
#include "../common/trigger.h"
#include "address_table.h"
#include "hold_events.h"
#include "hold_events_js.h"

namespace understudy {

inline constexpr double kSafeIntegerMax = 9007199254740991.0;

// Runs `work`; what it throws becomes a JavaScript error with `code`.
template <typename Work>
auto Guarded(Napi::Env env, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& failure) {
    throw ToJsError(env, failure);
  }
}

inline uint64_t CountFrom(const Napi::Value& value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > kSafeIntegerMax || std::floor(number) != number) {
    throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a whole number, 0 or more");
  }
  return static_cast<uint64_t>(number);
}

inline std::string TextFrom(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

inline Napi::Function FunctionFrom(const Napi::Value& value, const char* name) {
  if (!value.IsFunction()) throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a function");
  return value.As<Napi::Function>();
}

inline Napi::Object OptionsFrom(const Napi::CallbackInfo& info) {
  if (!info[0].IsObject()) throw CodedError("BAD_ARGUMENT", "options must be an object");
  return info[0].As<Napi::Object>();
}

inline bool FlagFrom(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a boolean");
  return value.As<Napi::Boolean>().Value();
}

inline uint64_t NanosecondsFrom(const Napi::Value& value, const char* name) {
  bool lossless = false;
  const uint64_t number = value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless) throw CodedError("BAD_ARGUMENT", std::string(name) + " must be a bigint, 0 or more");
  return number;
}

inline std::shared_ptr<Trigger> TriggerFrom(const Napi::Value& value) {
  if (!value.IsExternal()) throw CodedError("BAD_ARGUMENT", "trigger must be a trigger");
  return value.As<Napi::External<TriggerRef>>().Data()->trigger;
}

inline HoldEventsJs::Listener ListenerFrom(const Napi::Object& options) {
  return {
      .on_waiting = FunctionFrom(options.Get("onWaiting"), "onWaiting"),
      .on_filling = FunctionFrom(options.Get("onFilling"), "onFilling"),
      .on_trouble = FunctionFrom(options.Get("onTrouble"), "onTrouble"),
  };
}

inline Napi::Object StatsToJs(Napi::Env env, const HoldStats& stats) {
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&object](const char* name, uint64_t value) { object.Set(name, static_cast<double>(value)); };
  set("openEpoch", stats.open_epoch);
  set("heldPackets", stats.held_packets);
  set("heldBytes", stats.held_bytes);
  set("heldPacketsMax", stats.held_packets_max);
  set("heldBytesMax", stats.held_bytes_max);
  set("releasedPackets", stats.released_packets);
  set("releasedBytes", stats.released_bytes);
  set("overflowPackets", stats.overflow_packets);
  set("droppedPackets", stats.dropped_packets);
  set("writeErrors", stats.write_errors);
  object.Set("oldestHeldNs", Napi::BigInt::New(env, stats.oldest_held_ns));
  set("kernelPackets", stats.kernel_packets);
  object.Set("kernelRefusal", stats.kernel_refusal);
  return object;
}

inline Napi::Array AddressesToJs(Napi::Env env, const std::vector<LearnedAddress>& learned) {
  Napi::Array list = Napi::Array::New(env, learned.size());
  for (uint32_t i = 0; i < learned.size(); i++) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("mac", learned[i].mac);
    entry.Set("address", learned[i].address);
    list.Set(i, entry);
  }
  return list;
}

}  // namespace understudy
