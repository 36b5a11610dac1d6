// Owners for what libvirt allocates.
#pragma once

#include <libvirt/libvirt.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libvirt/error.h"

namespace understudy::libvirt {

struct FreeDomain {
  void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};
using DomainRef = std::unique_ptr<virDomain, FreeDomain>;

inline DomainRef OwnDomain(virDomainPtr domain, const char* function) {
  if (!domain) ThrowLastError(function);
  return DomainRef(domain);
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Malloced = std::unique_ptr<T, Free>;

// Takes a string that the caller of `function` must free.
inline std::string TakeString(char* text, const char* function) {
  if (!text) ThrowLastError(function);
  const Malloced<char> owned(text);
  return std::string(text);
}

inline std::string UuidOf(virDomainPtr domain) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  Checked(virDomainGetUUIDString(domain, uuid), "virDomainGetUUIDString");
  return uuid;
}

// Open file descriptors; closed unless released.
class Descriptors {
 public:
  Descriptors() = default;
  Descriptors(Descriptors&& other) noexcept : fds_(std::exchange(other.fds_, {})) {}
  Descriptors& operator=(Descriptors&&) = delete;
  ~Descriptors() {
    for (int fd : fds_) close(fd);
  }
  void Add(int fd) { fds_.push_back(fd); }
  std::vector<int>& Numbers() { return fds_; }
  std::vector<int> Release() { return std::exchange(fds_, {}); }

 private:
  std::vector<int> fds_;
};

}  // namespace understudy::libvirt
