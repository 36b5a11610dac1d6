#include "lane/sealed_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/async.h"
#include "lane/limits.h"
#include "lane/sockets.h"

namespace understudy::lane {
namespace {

constexpr size_t kTagBytes = 16;
constexpr size_t kLengthBytes = 4;
constexpr size_t kNonceBytes = 12;

// libcrypto fails here for want of memory only.
void Require(int result) {
  if (result != 1) throw CodedError("LANE_CRYPTO", "AES-256-GCM is not to be had");
}

std::array<uint8_t, kNonceBytes> Nonce(uint64_t number) {
  std::array<uint8_t, kNonceBytes> nonce{};
  memcpy(nonce.data(), &number, sizeof number);
  return nonce;
}

[[noreturn]] void Cut() { throw CodedError("LANE_CUT", "the connection ended within a record"); }

[[noreturn]] void Tampered() {
  throw CodedError("LANE_TAMPERED", "a record was not made by the other host, or not for this place");
}

}  // namespace

void SealedLink::FreeContext::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

SealedLink::SealedLink(UniqueFd socket, const Secret& secret, End end)
    : socket_(std::move(socket)), seals_(EVP_CIPHER_CTX_new()), opens_(EVP_CIPHER_CTX_new()) {
  const uint8_t* const of_primary = secret.data();
  const uint8_t* const of_backup = secret.data() + kKeyBytes;
  const bool is_primary = end == End::kPrimary;
  Require(EVP_EncryptInit_ex(seals_.get(), EVP_aes_256_gcm(), nullptr, is_primary ? of_primary : of_backup, nullptr));
  Require(EVP_DecryptInit_ex(opens_.get(), EVP_aes_256_gcm(), nullptr, is_primary ? of_backup : of_primary, nullptr));
  const int on = 1;
  if (setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
    throw SyscallError("TCP_NODELAY", errno);
  SetTimeout(socket_, SO_SNDTIMEO, kSendTimeoutMs);
}

void SealedLink::LimitWait(int timeout_ms) { SetTimeout(socket_, SO_RCVTIMEO, timeout_ms); }

void SealedLink::Shutdown() { shutdown(socket_.get(), SHUT_RDWR); }

void SealedLink::Send(std::initializer_list<Bytes> parts) {
  size_t bytes = 0;
  for (const Bytes& part : parts) bytes += part.size();
  if (bytes > kRecordBytesMax) throw CodedError("LANE_RECORD_TOO_LARGE", std::to_string(bytes) + " bytes");
  std::lock_guard lock(sending_);
  const uint32_t length = static_cast<uint32_t>(bytes);
  const size_t total = kLengthBytes + bytes + kTagBytes;
  if (outgoing_.size() < total) outgoing_.resize(total);
  memcpy(outgoing_.data(), &length, kLengthBytes);
  const auto nonce = Nonce(sent_++);
  int done = 0;
  Require(EVP_EncryptInit_ex(seals_.get(), nullptr, nullptr, nullptr, nonce.data()));
  Require(EVP_EncryptUpdate(seals_.get(), nullptr, &done, outgoing_.data(), kLengthBytes));
  size_t at = kLengthBytes;
  for (const Bytes& part : parts) {
    if (part.empty()) continue;
    Require(EVP_EncryptUpdate(seals_.get(), outgoing_.data() + at, &done, part.data(), static_cast<int>(part.size())));
    at += static_cast<size_t>(done);
  }
  Require(EVP_EncryptFinal_ex(seals_.get(), outgoing_.data() + at, &done));
  Require(EVP_CIPHER_CTX_ctrl(seals_.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, outgoing_.data() + at));
  for (size_t gone = 0; gone < total;) {
    const ssize_t sent = send(socket_.get(), outgoing_.data() + gone, total - gone, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) throw SyscallError("send", errno, "lane");
    gone += static_cast<size_t>(sent);
  }
}

std::optional<Bytes> SealedLink::Receive() {
  uint32_t length = 0;
  if (!ReadFully(reinterpret_cast<uint8_t*>(&length), sizeof length)) return std::nullopt;
  if (length > kRecordBytesMax) Tampered();
  const size_t total = length + kTagBytes;
  if (incoming_.size() < total) incoming_.resize(total);
  if (!ReadFully(incoming_.data(), total)) Cut();
  const auto nonce = Nonce(received_++);
  int done = 0;
  Require(EVP_DecryptInit_ex(opens_.get(), nullptr, nullptr, nullptr, nonce.data()));
  Require(EVP_DecryptUpdate(opens_.get(), nullptr, &done, reinterpret_cast<uint8_t*>(&length), sizeof length));
  // In place: libcrypto allows exactly the same place.
  Require(EVP_DecryptUpdate(opens_.get(), incoming_.data(), &done, incoming_.data(), static_cast<int>(length)));
  Require(EVP_CIPHER_CTX_ctrl(opens_.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, incoming_.data() + length));
  if (EVP_DecryptFinal_ex(opens_.get(), incoming_.data() + length, &done) != 1) Tampered();
  return Bytes(incoming_.data(), length);
}

// False when the connection ended before the first byte.
bool SealedLink::ReadFully(uint8_t* into, size_t bytes) {
  for (size_t held = 0; held < bytes;) {
    const ssize_t got = recv(socket_.get(), into + held, bytes - held, MSG_WAITALL);
    if (got == 0 && held == 0) return false;
    if (got == 0) Cut();
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SyscallError("recv", errno, "lane");
    held += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace understudy::lane
