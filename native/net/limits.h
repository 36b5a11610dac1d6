// Every bound of native/net, with its unit and reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace understudy {

// struct virtio_net_hdr_v1, what QEMU's virtio-net uses: copied verbatim from tap to tap.
inline constexpr size_t kVnetHeaderBytes = 12;
inline constexpr size_t kEthernetHeaderBytes = 14;
// Largest read of a tap: vnet header, Ethernet, two VLAN tags, 64 KiB of GSO payload; rounded up.
inline constexpr size_t kFrameBytesMax = 68 * 1024;

// Frames lie back to back in chunks of this size: large enough that the unused end of a chunk
// (less than one frame) stays below 7 %.
inline constexpr size_t kArenaChunkBytes = 1024 * 1024;
// Empty chunks kept for reuse, so that a steady load never calls the allocator.
inline constexpr size_t kArenaSpareChunksMax = 16;

// The kernel's queue in front of the reading tap: what arrives while the thread is busy writing.
inline constexpr int kReadTapQueueFrames = 10'000;
// Frames read, or written, before the thread looks at its other duty.
inline constexpr int kBatchFrames = 64;
// At a boundary the tap is read until empty, but never for ever: what is left after twice the
// kernel's queue counts to the next epoch, where it is held longer, never shorter.
inline constexpr int kBoundaryFramesMax = 2 * kReadTapQueueFrames;

// A write the bridge port refuses for lack of buffers is tried again this often, this far apart.
inline constexpr int kWriteAttemptsMax = 50;
inline constexpr int kWriteRetryMs = 1;

// Addresses remembered for the announcement; the least recently seen makes room.
inline constexpr size_t kLearnedAddressesMax = 32;
// More addresses than one guest can have been learned with.
inline constexpr size_t kAnnouncedAddressesMax = 256;

}  // namespace understudy
