// The errors that native code throws and what each adds to the JavaScript Error it becomes.
// Promise-returning work is in promise_task.h.
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

// An error that says more than its sentence.
class DetailedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  virtual void AddDetails(Napi::Error& error) const = 0;
};

// A failed system call; becomes a JavaScript Error with `code` ("EBUSY") and `syscall`.
class SyscallError : public DetailedError {
 public:
  SyscallError(std::string syscall, int error, const std::string& detail = "")
      : DetailedError(syscall + ": " + strerror(error) + (detail.empty() ? "" : " (" + detail + ")")),
        syscall_(std::move(syscall)),
        errno_(error) {}
  const std::string& syscall() const { return syscall_; }
  int error() const { return errno_; }
  void AddDetails(Napi::Error& js) const override {
    // strerrorname_np: glibc 2.32 and later.
    const char* name = strerrorname_np(errno_);
    js.Set("code", name ? name : "EUNKNOWN");
    js.Set("syscall", syscall_);
  }

 private:
  std::string syscall_;
  int errno_;
};

// An error of our own making with a stable short `code` ("GATE_TIMEOUT").
class CodedError : public DetailedError {
 public:
  CodedError(std::string code, const std::string& message)
      : DetailedError(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }
  void AddDetails(Napi::Error& js) const override { js.Set("code", code_); }

 private:
  std::string code_;
};

// The one place where C++ exceptions become JavaScript errors.
inline Napi::Error ToJsError(Napi::Env env, const std::exception& failure) {
  Napi::Error error = Napi::Error::New(env, failure.what());
  if (const auto* detailed = dynamic_cast<const DetailedError*>(&failure)) detailed->AddDetails(error);
  return error;
}

}  // namespace understudy
