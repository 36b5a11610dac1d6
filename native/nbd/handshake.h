// One connection's way from the greeting to its export (fixed newstyle). Bytes in, bytes out: no socket.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "nbd/byte_buffer.h"
#include "nbd/disks.h"
#include "nbd/protocol.h"

namespace understudy::nbd {

class Handshake {
 public:
  // Whether this client may have the disk from now on: one client per export.
  using Claim = std::function<bool(size_t disk)>;
  enum class Outcome { kGoesOn, kTransmission, kAborted };

  Handshake(const std::vector<ExportInfo>& exports, Claim claim)
      : exports_(exports), claim_(std::move(claim)) {}

  void Greet(ByteBuffer& out) const;
  // Takes every whole option from `in`, until the outcome is another than kGoesOn. Throws ProtocolError.
  Outcome Advance(ByteBuffer& in, ByteBuffer& out);

  // After kTransmission.
  size_t disk() const { return disk_.value(); }
  bool structured_replies() const { return structured_replies_; }

 private:
  Outcome Handle(Option option, std::string_view data, ByteBuffer& out);
  void ChooseByName(std::string_view name, ByteBuffer& out);
  bool ChooseOrInform(Option option, std::string_view data, ByteBuffer& out);
  void List(std::string_view data, ByteBuffer& out) const;
  void MetaContexts(Option option, std::string_view data, ByteBuffer& out) const;
  std::optional<size_t> Find(std::string_view name) const;
  uint16_t TransmissionFlags() const;

  const std::vector<ExportInfo>& exports_;
  const Claim claim_;
  bool client_flags_known_ = false;
  bool fixed_newstyle_ = false;
  bool no_zeroes_ = false;
  bool structured_replies_ = false;
  int options_ = 0;
  std::optional<size_t> disk_;
};

}  // namespace understudy::nbd
