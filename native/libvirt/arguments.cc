#include "libvirt/arguments.h"

#include <cmath>

namespace understudy::libvirt {
namespace {

[[noreturn]] void Refuse(const Napi::Value& value, const char* name, const std::string& expected) {
  throw Napi::TypeError::New(value.Env(), std::string(name) + ": expected " + expected);
}

}  // namespace

std::string StringArg(const Napi::Value& value, const char* name) {
  if (!value.IsString()) Refuse(value, name, "a string");
  std::string text = value.As<Napi::String>();
  if (text.find('\0') != std::string::npos) Refuse(value, name, "a string without NUL");
  return text;
}

uint32_t NumberArg(const Napi::Value& value, const char* name, uint32_t min, uint32_t max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= min && number <= max) || std::floor(number) != number) {
    Refuse(value, name,
           "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return static_cast<uint32_t>(number);
}

Napi::Object ObjectArg(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) Refuse(value, name, "an object");
  return value.As<Napi::Object>();
}

Napi::Function FunctionArg(const Napi::Value& value, const char* name) {
  if (!value.IsFunction()) Refuse(value, name, "a function");
  return value.As<Napi::Function>();
}

std::optional<std::string> OptionalString(const Napi::Object& options, const char* name) {
  const Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return std::nullopt;
  return StringArg(value, name);
}

std::optional<uint32_t> OptionalNumber(const Napi::Object& options, const char* name) {
  const Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return std::nullopt;
  return NumberArg(value, name);
}

}  // namespace understudy::libvirt
