// JavaScript arguments, checked. Everything here throws a TypeError that names the argument.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>

namespace understudy::libvirt {

// Without NUL characters: libvirt would see the string end there.
std::string StringArg(const Napi::Value& value, const char* name);

// A whole number in a range.
uint32_t NumberArg(const Napi::Value& value, const char* name, uint32_t min = 0,
                   uint32_t max = UINT32_MAX);

Napi::Object ObjectArg(const Napi::Value& value, const char* name);
Napi::Function FunctionArg(const Napi::Value& value, const char* name);

// undefined is nothing.
std::optional<std::string> OptionalString(const Napi::Object& options, const char* name);

std::optional<uint32_t> OptionalNumber(const Napi::Object& options, const char* name);

// What libvirt's functions take for an argument that may be left out.
inline const char* OrNull(const std::optional<std::string>& text) {
  return text ? text->c_str() : nullptr;
}

}  // namespace understudy::libvirt
