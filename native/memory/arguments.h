// Checked reading of JavaScript arguments; a wrong one is a TypeError that names it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

#include "common/async.h"

namespace understudy::memory {

// Integers that a JavaScript number holds exactly.
inline constexpr double kSafeIntegerMax = 9007199254740991.0;

[[noreturn]] inline void BadArgument(Napi::Env env, const std::string& name, const char* expected) {
  throw Napi::TypeError::New(env, name + " must be " + expected);
}

inline Napi::Object ObjectArgument(Napi::Env env, Napi::Value value, const std::string& name) {
  if (!value.IsObject()) BadArgument(env, name, "an object");
  return value.As<Napi::Object>();
}

inline uint64_t UintField(const Napi::Object& from, const char* name,
                          double max = kSafeIntegerMax) {
  const Napi::Value value = from.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= max) ||
      number != static_cast<double>(static_cast<uint64_t>(number))) {
    BadArgument(from.Env(), name, "a non-negative integer within bounds");
  }
  return static_cast<uint64_t>(number);
}

inline int IntField(const Napi::Object& from, const char* name) {
  return static_cast<int>(UintField(from, name, INT32_MAX));
}

inline uint64_t AddressField(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  bool lossless = false;
  const uint64_t address = value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless) BadArgument(from.Env(), name, "a bigint of 64 bits");
  return address;
}

inline std::string StringField(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsString()) BadArgument(from.Env(), name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

inline Napi::Array ArrayField(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsArray()) BadArgument(from.Env(), name, "an array");
  return value.As<Napi::Array>();
}

inline Napi::Buffer<uint8_t> BufferArgument(Napi::Env env, Napi::Value value,
                                            const std::string& name) {
  if (!value.IsBuffer()) BadArgument(env, name, "a Buffer");
  return value.As<Napi::Buffer<uint8_t>>();
}

inline Napi::Number Microseconds(Napi::Env env, uint64_t ns) {
  return Napi::Number::New(env, static_cast<double>(ns) / 1000);
}

inline Napi::Number Count(Napi::Env env, uint64_t count) {
  return Napi::Number::New(env, static_cast<double>(count));
}

// Runs a method's body; C++ failures become JavaScript errors.
template <typename Body>
Napi::Value Guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& failure) {
    throw ToJsError(env, failure);
  }
}

}  // namespace understudy::memory
