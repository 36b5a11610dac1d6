// Whether a saved device state is whole: a stream that ends early makes the loading QEMU exit.
//
// `xen-save-devices-state` writes (qemu_save_device_state in migration/savevm.c): the file header, one full section
// per device, each closed by a footer that repeats its section id, and an end marker.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "common/async.h"

namespace understudy::memory {

// Header, first section and end must be what QEMU writes. Throws DEVICE_STATE_BAD.
inline void RequireWholeDeviceState(std::span<const uint8_t> state) {
  // migration/savevm.c and migration.h: "QEVM", version 3
  constexpr std::array<uint8_t, 8> kHeader = {0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 3};
  constexpr uint8_t kMarkEnd = 0x00, kMarkSectionFull = 0x04, kMarkFooter = 0x7e;
  // Marker, section id.
  constexpr size_t kFooterBytes = 5;
  // Marker, section id, name length; then name, instance id, version id.
  constexpr size_t kNameAt = kHeader.size() + 6;
  constexpr size_t kSectionBytesMin = 1 + 4 + 1 + 1 + 4 + 4;

  const auto bad = [](const std::string& why) { return CodedError("DEVICE_STATE_BAD", why); };
  const size_t bytes = state.size();
  if (bytes < kHeader.size() + kSectionBytesMin + kFooterBytes + 1) throw bad("only " + std::to_string(bytes) + " bytes");
  if (!std::equal(kHeader.begin(), kHeader.end(), state.begin())) throw bad("it does not start with QEVM, version 3");
  if (state[kHeader.size()] != kMarkSectionFull) throw bad("no section after the header");
  const size_t name_bytes = state[kNameAt - 1];
  const auto name = state.subspan(kNameAt, std::min(name_bytes, bytes - kNameAt));
  const bool is_named = !name.empty() && std::all_of(name.begin(), name.end(), [](uint8_t c) { return c > 0x20 && c < 0x7f; });
  if (!is_named) throw bad("the first section has no name");
  // The last section's footer and the end marker: what a cut-off one lacks.
  const size_t footer = bytes - 1 - kFooterBytes;
  if (state[bytes - 1] != kMarkEnd || state[footer] != kMarkFooter)
    throw bad("it does not end with a section footer and the end marker");
  std::array<uint8_t, 5> section = {kMarkSectionFull};
  memcpy(section.data() + 1, state.data() + footer + 1, 4);
  const auto from = state.begin() + kHeader.size(), to = state.begin() + static_cast<ptrdiff_t>(footer);
  if (std::find_end(from, to, section.begin(), section.end()) == to)
    throw bad("its last footer belongs to no section");
}

}  // namespace understudy::memory
