// Every bound of the NBD server, with its unit and reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace understudy::nbd {

// The payload every client may count on (NBD protocol, "Block size constraints"); QEMU sends no more.
inline constexpr uint32_t kPayloadBytesMax = 32u << 20;
// A guest's sector. Aligned to less, QEMU would never read back from us to fill a block.
inline constexpr uint32_t kBlockBytesMin = 512;
// The usual granularity of QEMU's mirror (block/mirror.c, 64 KiB): a hint, nothing is split by it.
inline constexpr uint32_t kBlockBytesPreferred = 64u << 10;

// A client that has not got to its export by then is cut off: QEMU needs milliseconds.
inline constexpr int kHandshakeMsMax = 5000;
// In their handshake at once, besides one connection per export; a newer one displaces the oldest.
inline constexpr size_t kHandshakesMax = 4;
// The longest option that makes sense: a name and some metadata queries, 4,096 bytes each at most.
inline constexpr uint32_t kOptionBytesMax = 16u << 10;
inline constexpr uint32_t kNameBytesMax = 4096;
// Options of one handshake; QEMU sends three, nbdinfo about ten.
inline constexpr int kOptionsMax = 64;
// Connections that the kernel keeps for us: a connect to a full queue fails (unix(7), EAGAIN).
inline constexpr int kListenBacklog = 128;

// Taken from the socket in one call when no large request is under way: many small requests at once.
inline constexpr size_t kReadAheadBytes = 64u << 10;
// A request that misses more than this is read exactly to its end, so that the next one starts at
// the front of the buffer and nothing is moved.
inline constexpr size_t kExactReadBytesMin = 16u << 10;
// Beyond this a rest at the back of a buffer is moved to the front instead of growing into new pages.
inline constexpr size_t kBufferSoftBytes = 256u << 10;
// Memory of a buffer that stays with its connection; more goes back to the system after the request.
inline constexpr size_t kBufferKeepBytes = 2u << 20;
// A client that does not fetch its answers gets no more of them.
inline constexpr size_t kUnsentBytesMax = 1u << 20;
// epoll events taken at once.
inline constexpr int kEventsMax = 32;

}  // namespace understudy::nbd
