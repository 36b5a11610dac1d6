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
// The same in bytes: what has been read should still be in the second-level cache when it is written
// (64 GSO frames are 4 MiB).
inline constexpr size_t kBatchBytes = 128 * 1024;
// Rounds of reading and writing before the thread asks epoll what else there is.
inline constexpr int kForwardRounds = 16;
// At a boundary the tap is read until empty, but never for ever: what is left after twice the
// kernel's queue counts to the next epoch, where it is held longer, never shorter.
inline constexpr int kBoundaryFramesMax = 2 * kReadTapQueueFrames;

// While output passes: after a frame the thread looks for the next one for so long before it sleeps, if that
// frame came as soon after the one before. Longer than a round trip in which everybody has to be woken.
inline constexpr uint64_t kBusyPollNs = 200'000;
// A peer of the same connection wants the core for less (256 KiB are copied in 0.1 ms), a computation for a
// time slice of 3 to 4 ms.
inline constexpr uint64_t kBusyPollAwayNsMax = 1'000'000;
// Where somebody computes, the thread sleeps for so long instead, then twice as long: so that at most 2 % of
// the frames come into such a time slice.
inline constexpr uint64_t kBusyPollRestNsMin = 2'000'000;
inline constexpr uint64_t kBusyPollRestNsMax = 256'000'000;

// A write the bridge port refuses for lack of buffers is tried again this often, this far apart.
inline constexpr int kWriteAttemptsMax = 50;
inline constexpr int kWriteRetryMs = 1;

// Addresses remembered for the announcement; the least recently seen makes room.
inline constexpr size_t kLearnedAddressesMax = 32;
// More addresses than one guest can have been learned with.
inline constexpr size_t kAnnouncedAddressesMax = 256;

// The largest request: a filter with its action, about 250 bytes.
inline constexpr size_t kRtnlRequestBytesMax = 1024;
// The kernel sends lists in pieces of at most 32 KiB (NETLINK's max_recvmsg_len).
inline constexpr size_t kRtnlReplyBytesMax = 32 * 1024;
// A list that changes while it is read is read again this often.
inline constexpr int kRtnlListAttemptsMax = 5;
// One notice about an interface: up to about 2 KiB, more where it has many statistics.
inline constexpr size_t kRtnlNoticeBytesMax = 16 * 1024;
// Interfaces that one hold watches: tap, IFB or two taps, and room.
inline constexpr size_t kWatchedLinksMax = 8;

// The IFB's queue between plug and bridge. It stops the plug when it is full, so nothing is lost; this is how
// many released frames the bridge takes at a stretch.
inline constexpr uint32_t kIfbQueueFrames = 1'000;
// Between two looks at the plug while output waits: at 10 Gb/s, 6 MB of a 64 MB limit.
inline constexpr int kPlugLookMs = 5;
// Between two looks while released frames are on their way out of the plug.
inline constexpr int kPlugDrainLookMs = 1;
// Released frames leave as fast as the bridge takes them: 65,536 of them in well under a second. One that
// lets nothing go for so long has lost its count and is replaced.
inline constexpr int kPlugStuckMsMax = 1'000;
// Without progress for this long the plug is started again (a missed start of its queue).
inline constexpr int kPlugKickMs = 20;
// All that is held leaves before the hold ends; then the bridge has it.
inline constexpr int kPlugDrainMsMax = 5'000;
// Passing ends when the plug is found empty; a busy one is looked at this often before it is replaced.
inline constexpr int kPlugStopAttemptsMax = 20;
// Times that a hold is put back when it is changed again while it is being put back.
inline constexpr int kPlugRepairAttemptsMax = 5;
// A scratch packet is held and let go within microseconds.
inline constexpr int kPlugProbeMsMax = 1'000;
inline constexpr uint32_t kPlugProbeLimitBytes = 64 * 1024;
// What is looked at of a guest's frame: enough for the addresses of IPv6.
inline constexpr size_t kWatchedFrameBytes = 96;
// Frames taken from the packet socket at one look: more than its smallest buffer has room for.
inline constexpr int kWatchedFramesMax = 16;
// From a question to the word that it began a pause: shorter than libvirt and QEMU take to stop the guest.
inline constexpr uint64_t kInboundTellAfterNs = 600'000;

}  // namespace understudy
