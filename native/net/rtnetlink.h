// Requests to the kernel's rtnetlink (rtnetlink(7)), without a program or library in between. Replies
// are in the socket before sendto(2) returns, so nothing here ever waits for anything but the kernel's
// own lock (RTNL). Not thread-safe.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "limits.h"

namespace understudy {

// One message to the kernel, built in place.
class RtnlRequest {
 public:
  // NLM_F_REQUEST is implied. `body` is the fixed part: ifinfomsg, tcmsg.
  template <class Body>
  RtnlRequest(uint16_t type, uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    Append(&header, sizeof header);
    Append(&body, sizeof body);
  }

  void Put(uint16_t type, const void* value, size_t bytes);
  void PutU32(uint16_t type, uint32_t value) { Put(type, &value, sizeof value); }
  // With the terminating zero.
  void PutText(uint16_t type, std::string_view text);
  // Attributes put between the two lie in the nest.
  size_t OpenNest(uint16_t type);
  void CloseNest(size_t nest);

  nlmsghdr& header();
  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return size_; }

 private:
  void Append(const void* value, size_t bytes);

  alignas(nlmsghdr) std::array<uint8_t, kRtnlRequestBytesMax> bytes_{};
  size_t size_ = 0;
};

// The attributes of a message or of a nest; a view, bounds-checked.
class RtnlAttributes {
 public:
  explicit RtnlAttributes(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  std::optional<std::span<const uint8_t>> Find(uint16_t type) const;
  std::optional<uint32_t> U32(uint16_t type) const { return Value<uint32_t>(type); }
  // Empty when it is not there.
  std::string Text(uint16_t type) const;
  RtnlAttributes Nest(uint16_t type) const;
  // The first sizeof(T) bytes of the attribute; nothing when it is shorter.
  template <class T>
  std::optional<T> Value(uint16_t type) const {
    const auto found = Find(type);
    if (!found || found->size() < sizeof(T)) return std::nullopt;
    T value;
    memcpy(&value, found->data(), sizeof value);
    return value;
  }

 private:
  std::span<const uint8_t> bytes_;
};

// One message from the kernel: what follows the netlink header.
struct RtnlMessage {
  uint16_t type;
  std::vector<uint8_t> payload;

  // Throws SyscallError EBADMSG when the message is too short.
  template <class Body>
  Body Fixed() const {
    Body body;
    RequireBytes(sizeof body);
    memcpy(&body, payload.data(), sizeof body);
    return body;
  }
  template <class Body>
  RtnlAttributes Attributes() const {
    RequireBytes(NLMSG_ALIGN(sizeof(Body)));
    return RtnlAttributes(std::span(payload).subspan(NLMSG_ALIGN(sizeof(Body))));
  }

 private:
  void RequireBytes(size_t bytes) const;
};

class RtnlSocket {
 public:
  // In the network namespace of the calling thread. Throws SyscallError.
  RtnlSocket();
  ~RtnlSocket();
  RtnlSocket(const RtnlSocket&) = delete;
  RtnlSocket& operator=(const RtnlSocket&) = delete;

  // The number under which others see our changes (nlmsg_pid of notifications).
  uint32_t port() const { return port_; }
  // Sends and returns what the kernel answered, before its acknowledgement. `what` names the request in
  // the SyscallError that a refusal becomes, with the kernel's own words.
  std::vector<RtnlMessage> Ask(RtnlRequest request, const std::string& what);
  // The same for a request that lists; starts again when the list changed meanwhile.
  std::vector<RtnlMessage> List(RtnlRequest request, const std::string& what);

 private:
  std::optional<std::vector<RtnlMessage>> TryList(RtnlRequest& request, const std::string& what);
  void Send(RtnlRequest& request);
  size_t Receive();
  void RequireAccepted(const nlmsghdr* reply, const std::string& what) const;

  int fd_ = -1;
  uint32_t port_ = 0;
  uint32_t sequence_ = 0;
  std::vector<uint8_t> buffer_;
};

}  // namespace understudy
