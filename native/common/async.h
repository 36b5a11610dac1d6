// Promise-returning work on a libuv thread, and errors of system calls with `code` and `syscall`.
#pragma once

#include <napi.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace understudy {

// A failed system call; becomes a JavaScript Error with `code` ("EBUSY") and `syscall`.
class SyscallError : public std::runtime_error {
 public:
  SyscallError(std::string syscall, int error, const std::string& detail = "")
      : std::runtime_error(syscall + ": " + strerror(error) + (detail.empty() ? "" : " (" + detail + ")")),
        syscall_(std::move(syscall)),
        errno_(error) {}
  const std::string& syscall() const { return syscall_; }
  int error() const { return errno_; }

 private:
  std::string syscall_;
  int errno_;
};

// An error of our own making with a stable short `code` ("GATE_TIMEOUT").
class CodedError : public std::runtime_error {
 public:
  CodedError(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// The one place where C++ exceptions become JavaScript errors.
inline Napi::Error ToJsError(Napi::Env env, const std::exception& failure) {
  Napi::Error error = Napi::Error::New(env, failure.what());
  if (const auto* sys = dynamic_cast<const SyscallError*>(&failure)) {
    // strerrorname_np: glibc 2.32 and later.
    const char* name = strerrorname_np(sys->error());
    error.Set("code", name ? name : "EUNKNOWN");
    error.Set("syscall", sys->syscall());
  } else if (const auto* coded = dynamic_cast<const CodedError*>(&failure)) {
    error.Set("code", coded->code());
  }
  return error;
}

}  // namespace understudy
