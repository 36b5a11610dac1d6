// One client: its socket, its buffers, and first its handshake, then its requests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "memory/owned.h"
#include "nbd/byte_buffer.h"
#include "nbd/handshake.h"
#include "nbd/transmission.h"

namespace understudy::nbd {

class Connection {
 public:
  // `fd` must be non-blocking.
  Connection(memory::UniqueFd fd, Disks& disks, Handshake::Claim claim);

  // Takes what has come, answers it and sends what waits, as far as it goes without waiting. Returns why the
  // connection has come to its end, if it has; throws ProtocolError when the client must be cut off.
  std::optional<std::string> Turn(bool readable);

  int fd() const { return fd_.get(); }
  // The epoll events to wait for from now on, if they are others than before.
  std::optional<uint32_t> NewInterest();
  // A whole request is there that Disks::MustWait put off.
  bool stalled() const { return stalled_; }
  // Past the handshake.
  std::optional<size_t> disk() const;
  uint64_t accepted_ns() const { return accepted_ns_; }
  // The other end is gone, whether or not we have read all it sent.
  bool HungUp() const;

 private:
  enum class Step { kNeedsInput, kNeedsOutput, kEnded };

  Step Advance();
  size_t ReadBytes() const;
  bool Receive();
  bool Send();

  memory::UniqueFd fd_;
  Disks& disks_;
  const uint64_t accepted_ns_;
  ByteBuffer in_;
  ByteBuffer out_;
  Handshake handshake_;
  std::optional<Transmission> transmission_;
  uint32_t interest_ = 0;
  bool stalled_ = false;
  std::string end_;
};

}  // namespace understudy::nbd
