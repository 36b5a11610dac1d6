// The numbers of the libvirt binding.
#pragma once

#include <chrono>
#include <cstddef>

namespace understudy::libvirt {

// Calls that one connection runs at once, each on a thread and a libvirt connection of its own
// (channel.h says why); more wait their turn. A protected domain needs three: the command held
// by the pause gate, a query beside it, a lookup or an XML dump.
inline constexpr size_t kChannels = 4;

// Domains that a channel remembers between calls; forgotten all at once when there are more.
// Remembering saves a lookup, 0.1 to 0.2 ms, per call.
inline constexpr size_t kDomainsPerChannelMax = 64;

// Descriptors in one message: VIR_NET_MESSAGE_NUM_FDS_MAX in libvirt's rpc/virnetprotocol.x.
inline constexpr size_t kDescriptorsMax = 32;

// How long an ending environment waits for its connections to say goodbye. A daemon that hangs
// sees the socket close when the process is gone.
inline constexpr std::chrono::milliseconds kGoodbyeMsMax{500};

}  // namespace understudy::libvirt
