#include "nbd/handshake.h"

#include <algorithm>
#include <string>

namespace understudy::nbd {
namespace {

// Reads an option's fields, none of which may lie outside of it.
class Fields {
 public:
  explicit Fields(std::string_view data) : rest_(data) {}
  template <typename T>
  std::optional<T> Number() {
    if (rest_.size() < sizeof(T)) return std::nullopt;
    const T value = LoadBig<T>(reinterpret_cast<const uint8_t*>(rest_.data()));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  // A string with its length (u32) before it.
  std::optional<std::string_view> String() {
    const auto length = Number<uint32_t>();
    if (!length || *length > kNameBytesMax || *length > rest_.size()) return std::nullopt;
    const std::string_view value = rest_.substr(0, *length);
    rest_.remove_prefix(*length);
    return value;
  }
  size_t rest_bytes() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

// Room for an option's reply with `bytes` of data; the header is written already.
uint8_t* ReplyRoom(ByteBuffer& out, Option option, OptionReply type, size_t bytes) {
  constexpr size_t kHeaderBytes = 20;
  uint8_t* at = out.Room(kHeaderBytes + bytes);
  at = StoreBig(at, kOptionReplyMagic, 8);
  at = StoreBig(at, static_cast<uint32_t>(option), 4);
  at = StoreBig(at, static_cast<uint32_t>(type), 4);
  at = StoreBig(at, bytes, 4);
  out.Grew(kHeaderBytes + bytes);
  return at;
}

void Reply(ByteBuffer& out, Option option, OptionReply type, std::string_view message = {}) {
  uint8_t* at = ReplyRoom(out, option, type, message.size());
  // Not memcpy, which forbids the null pointer of an empty message.
  std::copy(message.begin(), message.end(), at);
}

}  // namespace

void Handshake::Greet(ByteBuffer& out) const {
  uint8_t* at = out.Room(18);
  at = StoreBig(at, kServerMagic, 8);
  at = StoreBig(at, kOptionMagic, 8);
  StoreBig(at, kFlagFixedNewstyle | kFlagNoZeroes, 2);
  out.Grew(18);
}

Handshake::Outcome Handshake::Advance(ByteBuffer& in, ByteBuffer& out) {
  if (!client_flags_known_) {
    if (in.size() < 4) return Outcome::kGoesOn;
    const auto flags = LoadBig<uint32_t>(in.data());
    if (flags & ~uint32_t{kFlagFixedNewstyle | kFlagNoZeroes}) {
      throw ProtocolError("unknown client flags " + std::to_string(flags));
    }
    fixed_newstyle_ = flags & kFlagFixedNewstyle;
    no_zeroes_ = flags & kFlagNoZeroes;
    client_flags_known_ = true;
    in.Consume(4);
  }
  while (in.size() >= kOptionHeaderBytes) {
    if (LoadBig<uint64_t>(in.data()) != kOptionMagic) throw ProtocolError("no option magic");
    const auto option = static_cast<Option>(LoadBig<uint32_t>(in.data() + 8));
    const auto bytes = LoadBig<uint32_t>(in.data() + 12);
    if (bytes > kOptionBytesMax) {
      throw ProtocolError("an option of " + std::to_string(bytes) + " bytes");
    }
    if (in.size() < kOptionHeaderBytes + bytes) return Outcome::kGoesOn;
    if (++options_ > kOptionsMax) throw ProtocolError("too many options");
    const std::string_view data(reinterpret_cast<const char*>(in.data()) + kOptionHeaderBytes, bytes);
    const Outcome outcome = Handle(option, data, out);
    in.Consume(kOptionHeaderBytes + bytes);
    if (outcome != Outcome::kGoesOn) return outcome;
  }
  return Outcome::kGoesOn;
}

Handshake::Outcome Handshake::Handle(Option option, std::string_view data, ByteBuffer& out) {
  // Without "fixed" a client cannot take an option's reply.
  if (!fixed_newstyle_ && option != Option::kExportName) {
    throw ProtocolError("an option from a client that does not speak fixed newstyle");
  }
  switch (option) {
    case Option::kExportName:
      ChooseByName(data, out);
      return Outcome::kTransmission;
    case Option::kGo:
    case Option::kInfo:
      return ChooseOrInform(option, data, out) ? Outcome::kTransmission : Outcome::kGoesOn;
    case Option::kAbort:
      Reply(out, option, OptionReply::kAck);
      return Outcome::kAborted;
    case Option::kList:
      List(data, out);
      return Outcome::kGoesOn;
    case Option::kStructuredReply:
      if (data.empty()) structured_replies_ = true;
      Reply(out, option, data.empty() ? OptionReply::kAck : OptionReply::kErrInvalid);
      return Outcome::kGoesOn;
    case Option::kListMetaContext:
    case Option::kSetMetaContext:
      MetaContexts(option, data, out);
      return Outcome::kGoesOn;
  }
  Reply(out, option, OptionReply::kErrUnsupported);
  return Outcome::kGoesOn;
}

// The old way to an export: it knows no refusal but the end of the connection.
void Handshake::ChooseByName(std::string_view name, ByteBuffer& out) {
  const auto disk = Find(name);
  if (!disk) throw ProtocolError("no export of the name asked for");
  if (!claim_(*disk)) throw ProtocolError("a second client for " + exports_[*disk].name);
  disk_ = disk;
  const size_t zeroes = no_zeroes_ ? 0 : kExportNameZeroes;
  uint8_t* at = out.Room(10 + zeroes);
  at = StoreBig(at, exports_[*disk].bytes, 8);
  at = StoreBig(at, TransmissionFlags(), 2);
  memset(at, 0, zeroes);
  out.Grew(10 + zeroes);
}

// True when the client has its export (GO).
bool Handshake::ChooseOrInform(Option option, std::string_view data, ByteBuffer& out) {
  Fields fields(data);
  const auto name = fields.String();
  const auto requests = fields.Number<uint16_t>();
  if (!name || !requests || fields.rest_bytes() != *requests * sizeof(uint16_t)) {
    Reply(out, option, OptionReply::kErrInvalid, "lengths do not add up");
    return false;
  }
  const auto disk = Find(*name);
  if (!disk) {
    Reply(out, option, OptionReply::kErrUnknown, "no such export");
    return false;
  }
  if (option == Option::kGo && !claim_(*disk)) {
    Reply(out, option, OptionReply::kErrPolicy, "the export has its one client already");
    return false;
  }
  uint8_t* at = ReplyRoom(out, option, OptionReply::kInfo, 12);
  at = StoreBig(at, kInfoExport, 2);
  at = StoreBig(at, exports_[*disk].bytes, 8);
  StoreBig(at, TransmissionFlags(), 2);
  // Told to everybody: who does not ask is bound by it all the same.
  at = ReplyRoom(out, option, OptionReply::kInfo, 14);
  at = StoreBig(at, kInfoBlockSize, 2);
  at = StoreBig(at, kBlockBytesMin, 4);
  at = StoreBig(at, kBlockBytesPreferred, 4);
  StoreBig(at, kPayloadBytesMax, 4);
  Reply(out, option, OptionReply::kAck);
  if (option == Option::kInfo) return false;
  disk_ = disk;
  return true;
}

void Handshake::List(std::string_view data, ByteBuffer& out) const {
  if (!data.empty()) return Reply(out, Option::kList, OptionReply::kErrInvalid, "LIST has no data");
  for (const ExportInfo& entry : exports_) {
    uint8_t* at = ReplyRoom(out, Option::kList, OptionReply::kServer, 4 + entry.name.size());
    at = StoreBig(at, entry.name.size(), 4);
    memcpy(at, entry.name.data(), entry.name.size());
  }
  Reply(out, Option::kList, OptionReply::kAck);
}

// There are no contexts to list or to set, but whoever asks must ask rightly.
void Handshake::MetaContexts(Option option, std::string_view data, ByteBuffer& out) const {
  Fields fields(data);
  const auto name = fields.String();
  const auto queries = fields.Number<uint32_t>();
  bool valid = structured_replies_ && name && queries;
  // Each query takes at least its length's four bytes, so the loop ends with the data.
  for (uint32_t i = 0; valid && i < *queries; i++) valid = fields.String().has_value();
  if (!valid || fields.rest_bytes() != 0) return Reply(out, option, OptionReply::kErrInvalid);
  Reply(out, option, Find(*name) ? OptionReply::kAck : OptionReply::kErrUnknown);
}

std::optional<size_t> Handshake::Find(std::string_view name) const {
  for (size_t i = 0; i < exports_.size(); i++) {
    if (exports_[i].name == name) return i;
  }
  return std::nullopt;
}

uint16_t Handshake::TransmissionFlags() const {
  constexpr uint16_t kAlways = kHasFlags | kSendFlush | kSendFua | kSendTrim | kSendWriteZeroes;
  return structured_replies_ ? kAlways | kSendDf : kAlways;
}

}  // namespace understudy::nbd
