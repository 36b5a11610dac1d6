// A TCP connection that carries records, each encrypted and authenticated (AES-256-GCM) under a key of its
// direction: who does not have the secret can neither read nor make one, nor repeat, drop or reorder them.
//
//   offset  bytes  field
//        0      4  bytes that follow, little-endian; authenticated with them
//        4      n  the record
//      4+n     16  tag
//
// The nonce is the record's number on its way. A secret is used for one connection.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "memory/owned.h"

struct evp_cipher_ctx_st;

namespace understudy::lane {

using memory::UniqueFd;
using Bytes = std::span<const uint8_t>;

// Key of what the primary sends, then key of what the backup sends.
inline constexpr size_t kKeyBytes = 32;
using Secret = std::array<uint8_t, 2 * kKeyBytes>;

enum class End { kPrimary, kBackup };

class SealedLink {
 public:
  SealedLink(UniqueFd socket, const Secret& secret, End end);

  // Any thread. One record, its parts one after the other. Throws SyscallError; the link is of no use then.
  void Send(std::initializer_list<Bytes> parts);
  // One thread. The next record, valid until the next call; nothing when the peer has hung up between two.
  // Throws LANE_TAMPERED, LANE_CUT, SyscallError.
  std::optional<Bytes> Receive();
  // 0: no limit. For the wait in Receive.
  void LimitWait(int timeout_ms);
  // Any thread: whatever waits, returns or throws.
  void Shutdown();

 private:
  struct FreeContext {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  using Context = std::unique_ptr<evp_cipher_ctx_st, FreeContext>;
  bool ReadFully(uint8_t* into, size_t bytes);

  UniqueFd socket_;
  std::mutex sending_;
  Context seals_;
  uint64_t sent_ = 0;
  std::vector<uint8_t> outgoing_;
  Context opens_;
  uint64_t received_ = 0;
  std::vector<uint8_t> incoming_;
};

}  // namespace understudy::lane
