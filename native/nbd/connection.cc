#include "nbd/connection.h"
#include "common/monotonic.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace understudy::nbd {
namespace {

// A request with its payload, and what one call may take beyond it.
constexpr size_t kInputBytes = kRequestBytes + kPayloadBytesMax + kReadAheadBytes;
// Answers that wait already, and one more: a read's.
constexpr size_t kOutputBytes = kUnsentBytesMax + kChunkHeaderBytes + 8 + kPayloadBytesMax;

}  // namespace

Connection::Connection(memory::UniqueFd fd, Disks& disks, Handshake::Claim claim)
    : fd_(std::move(fd)),
      disks_(disks),
      accepted_ns_(MonotonicNs()),
      in_(kInputBytes),
      out_(kOutputBytes),
      handshake_(disks.Exports(), std::move(claim)) {
  handshake_.Greet(out_);
}

std::optional<std::string> Connection::Turn(bool readable) {
  // What was put off comes before what is new.
  Step step = Advance();
  if (readable && step == Step::kNeedsInput && !stalled_) {
    if (!Receive()) return end_;
    step = Advance();
  }
  while (Send() && step == Step::kNeedsOutput && out_.empty()) step = Advance();
  if (!end_.empty()) return end_;
  return std::nullopt;
}

Connection::Step Connection::Advance() {
  stalled_ = false;
  if (!transmission_) {
    switch (handshake_.Advance(in_, out_)) {
      case Handshake::Outcome::kGoesOn:
        return Step::kNeedsInput;
      case Handshake::Outcome::kAborted:
        end_ = "the client asked for nothing";
        return Step::kEnded;
      case Handshake::Outcome::kTransmission:
        transmission_.emplace(disks_, handshake_.disk(), handshake_.structured_replies());
    }
  }
  switch (transmission_->Advance(in_, out_)) {
    case Transmission::Stop::kNeedsOutput:
      return Step::kNeedsOutput;
    case Transmission::Stop::kDisconnect:
      end_ = "the client said goodbye";
      return Step::kEnded;
    case Transmission::Stop::kMustWait:
      stalled_ = true;
      return Step::kNeedsInput;
    case Transmission::Stop::kNeedsInput:
      return Step::kNeedsInput;
  }
  return Step::kEnded;
}

size_t Connection::ReadBytes() const {
  const size_t missing = transmission_ ? transmission_->missing_bytes() : 0;
  return missing > kExactReadBytesMin ? missing : kReadAheadBytes;
}

// False when the connection has ended.
bool Connection::Receive() {
  const size_t bytes = ReadBytes();
  const ssize_t got = recv(fd_.get(), in_.Room(bytes), bytes, 0);
  if (got > 0) {
    in_.Grew(static_cast<size_t>(got));
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  end_ = got == 0 ? "the client hung up" : std::string("recv: ") + strerror(errno);
  return false;
}

// False when the connection has ended; otherwise what remains in `out_` must wait for the client.
bool Connection::Send() {
  while (!out_.empty()) {
    const ssize_t sent = send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      out_.Consume(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno != EINTR) {
      if (end_.empty()) end_ = std::string("send: ") + strerror(errno);
      return false;
    }
  }
  return true;
}

std::optional<uint32_t> Connection::NewInterest() {
  // With its answers unsent a client's next requests may wait in the socket: EPOLLIN would only spin.
  const bool takes_input = !stalled_ && out_.size() < kUnsentBytesMax;
  const uint32_t interest =
      (takes_input ? uint32_t{EPOLLIN} : 0) | (out_.empty() ? 0 : uint32_t{EPOLLOUT});
  if (std::exchange(interest_, interest) == interest) return std::nullopt;
  return interest;
}

std::optional<size_t> Connection::disk() const {
  if (!transmission_) return std::nullopt;
  return transmission_->disk();
}

bool Connection::HungUp() const {
  pollfd state{.fd = fd_.get(), .events = 0, .revents = 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR));
}

}  // namespace understudy::nbd
