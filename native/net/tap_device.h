// One tap of the split port: made new, with virtio-net headers and offloads, gone when its
// descriptor is closed.
#pragma once

#include <string>

namespace understudy {

class TapDevice {
 public:
  // Makes the interface, silent (no IPv6 of its own) and down. Throws SyscallError; EBUSY when
  // an interface of that name exists.
  explicit TapDevice(const std::string& name);
  ~TapDevice() { Close(); }
  TapDevice(const TapDevice&) = delete;
  TapDevice& operator=(const TapDevice&) = delete;

  void SetQueueFrames(int frames);
  void BringUp();
  // The kernel removes the interface; safe to call twice.
  void Close();

  int fd() const { return fd_; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  int fd_ = -1;
};

}  // namespace understudy
