// Every bound of native/lane, with its unit and reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace understudy::lane {

// A chunk of 1 MiB, or a whole device state (src/hypervisor/limits.ts), with its header and addresses.
inline constexpr size_t kRecordBytesMax = 18 * 1024 * 1024;
// A record that the kernel does not take for so long ends the lane.
inline constexpr int kSendTimeoutMs = 3'000;
// From the connection to its first record.
inline constexpr int kHelloTimeoutMs = 2'000;
inline constexpr int kConnectTimeoutMs = 2'000;
// Strangers that may connect before the primary does.
inline constexpr int kStrangersMax = 64;
// src/wire/messages.ts: 64 addresses of at most 100 characters.
inline constexpr size_t kAddressBytesMax = 8 * 1024;

}  // namespace understudy::lane
