#include "rtnetlink.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "../common/async.h"

namespace understudy {
namespace {

void SetOption(int fd, int option, const char* name) {
  const int on = 1;
  if (setsockopt(fd, SOL_NETLINK, option, &on, sizeof on) < 0) throw SyscallError("setsockopt", errno, name);
}

}  // namespace

void RtnlRequest::Append(const void* value, size_t bytes) {
  if (size_ + NLMSG_ALIGN(bytes) > bytes_.size()) throw SyscallError("rtnetlink", EMSGSIZE);
  memcpy(bytes_.data() + size_, value, bytes);
  size_ += NLMSG_ALIGN(bytes);
  header().nlmsg_len = static_cast<uint32_t>(size_);
}

void RtnlRequest::Put(uint16_t type, const void* value, size_t bytes) {
  const rtattr attribute{static_cast<uint16_t>(RTA_LENGTH(bytes)), type};
  Append(&attribute, sizeof attribute);
  if (bytes > 0) Append(value, bytes);
}

void RtnlRequest::PutText(uint16_t type, std::string_view text) {
  const std::string terminated(text);
  Put(type, terminated.c_str(), terminated.size() + 1);
}

size_t RtnlRequest::OpenNest(uint16_t type) {
  const size_t nest = size_;
  Put(type, nullptr, 0);
  return nest;
}

void RtnlRequest::CloseNest(size_t nest) {
  const auto bytes = static_cast<uint16_t>(size_ - nest);
  memcpy(bytes_.data() + nest + offsetof(rtattr, rta_len), &bytes, sizeof bytes);
}

nlmsghdr& RtnlRequest::header() { return *reinterpret_cast<nlmsghdr*>(bytes_.data()); }

std::optional<std::span<const uint8_t>> RtnlAttributes::Find(uint16_t type) const {
  std::span<const uint8_t> rest = bytes_;
  while (rest.size() >= sizeof(rtattr)) {
    rtattr attribute;
    memcpy(&attribute, rest.data(), sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > rest.size()) return std::nullopt;
    if ((attribute.rta_type & NLA_TYPE_MASK) == type) {
      return rest.subspan(sizeof attribute, attribute.rta_len - sizeof attribute);
    }
    rest = rest.subspan(std::min<size_t>(RTA_ALIGN(attribute.rta_len), rest.size()));
  }
  return std::nullopt;
}

std::string RtnlAttributes::Text(uint16_t type) const {
  const auto found = Find(type);
  if (!found) return "";
  const auto* text = reinterpret_cast<const char*>(found->data());
  return std::string(text, strnlen(text, found->size()));
}

RtnlAttributes RtnlAttributes::Nest(uint16_t type) const {
  return RtnlAttributes(Find(type).value_or(std::span<const uint8_t>{}));
}

void RtnlMessage::RequireBytes(size_t bytes) const {
  if (payload.size() < bytes) throw SyscallError("rtnetlink", EBADMSG, "a reply is too short");
}

RtnlSocket::RtnlSocket() : buffer_(kRtnlReplyBytesMax) {
  fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd_ < 0) throw SyscallError("socket", errno, "NETLINK_ROUTE");
  try {
    // The kernel says in words what it did not like, and does not send the request back.
    SetOption(fd_, NETLINK_EXT_ACK, "NETLINK_EXT_ACK");
    SetOption(fd_, NETLINK_CAP_ACK, "NETLINK_CAP_ACK");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) throw SyscallError("bind", errno);
    socklen_t bytes = sizeof address;
    if (getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &bytes) < 0) {
      throw SyscallError("getsockname", errno);
    }
    port_ = address.nl_pid;
  } catch (...) {
    close(fd_);
    throw;
  }
}

RtnlSocket::~RtnlSocket() { close(fd_); }

std::vector<RtnlMessage> RtnlSocket::Ask(RtnlRequest request, const std::string& what) {
  request.header().nlmsg_flags |= NLM_F_ACK;
  Send(request);
  std::vector<RtnlMessage> answers;
  for (;;) {
    auto left = static_cast<int>(Receive());
    for (auto* reply = reinterpret_cast<nlmsghdr*>(buffer_.data()); NLMSG_OK(reply, left);
         reply = NLMSG_NEXT(reply, left)) {
      if (reply->nlmsg_seq != sequence_) continue;  // of a request that failed half-way
      if (reply->nlmsg_type == NLMSG_ERROR) {
        RequireAccepted(reply, what);
        return answers;
      }
      const auto* body = static_cast<const uint8_t*>(NLMSG_DATA(reply));
      answers.push_back({reply->nlmsg_type, {body, body + NLMSG_PAYLOAD(reply, 0)}});
    }
  }
}

std::vector<RtnlMessage> RtnlSocket::List(RtnlRequest request, const std::string& what) {
  request.header().nlmsg_flags |= NLM_F_DUMP;
  for (int attempt = 0; attempt < kRtnlListAttemptsMax; attempt++) {
    auto answers = TryList(request, what);
    if (answers) return std::move(*answers);
  }
  throw SyscallError(what, EAGAIN, "the list keeps changing");
}

std::optional<std::vector<RtnlMessage>> RtnlSocket::TryList(RtnlRequest& request, const std::string& what) {
  Send(request);
  std::vector<RtnlMessage> answers;
  bool torn = false;
  for (;;) {
    auto left = static_cast<int>(Receive());
    for (auto* reply = reinterpret_cast<nlmsghdr*>(buffer_.data()); NLMSG_OK(reply, left);
         reply = NLMSG_NEXT(reply, left)) {
      if (reply->nlmsg_seq != sequence_) continue;
      if (reply->nlmsg_flags & NLM_F_DUMP_INTR) torn = true;
      if (reply->nlmsg_type == NLMSG_ERROR) RequireAccepted(reply, what);
      if (reply->nlmsg_type == NLMSG_DONE || reply->nlmsg_type == NLMSG_ERROR) {
        if (torn) return std::nullopt;
        return answers;
      }
      const auto* body = static_cast<const uint8_t*>(NLMSG_DATA(reply));
      answers.push_back({reply->nlmsg_type, {body, body + NLMSG_PAYLOAD(reply, 0)}});
    }
  }
}

void RtnlSocket::Send(RtnlRequest& request) {
  request.header().nlmsg_seq = ++sequence_;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent;
  do {
    sent = sendto(fd_, request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) throw SyscallError("sendto", errno, "NETLINK_ROUTE");
}

size_t RtnlSocket::Receive() {
  for (;;) {
    // The kernel has answered inside sendto; a list goes on inside recv. Nothing there: a bug, not a wait.
    const ssize_t got = recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SyscallError("recv", errno, "NETLINK_ROUTE");
    if (static_cast<size_t>(got) > buffer_.size()) throw SyscallError("recv", EMSGSIZE, "NETLINK_ROUTE");
    return static_cast<size_t>(got);
  }
}

void RtnlSocket::RequireAccepted(const nlmsghdr* reply, const std::string& what) const {
  if (reply->nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) throw SyscallError(what, EBADMSG);
  nlmsgerr verdict;
  memcpy(&verdict, NLMSG_DATA(reply), sizeof verdict);
  if (verdict.error == 0) return;
  std::string words;
  if (reply->nlmsg_flags & NLM_F_ACK_TLVS) {
    const auto* all = static_cast<const uint8_t*>(NLMSG_DATA(reply));
    // NETLINK_CAP_ACK: only the header of our request comes back.
    const std::span<const uint8_t> rest(all + sizeof verdict, reply->nlmsg_len - NLMSG_LENGTH(sizeof verdict));
    words = RtnlAttributes(rest).Text(NLMSGERR_ATTR_MSG);
  }
  throw SyscallError(what, -verdict.error, words);
}

}  // namespace understudy
