#include "nbd/transmission.h"

#include <cerrno>
#include <string>

namespace understudy::nbd {
namespace {

// The protocol has numbers of its own for errors; those it knows have Linux's values.
uint32_t WireError(int error) {
  switch (error) {
    case 0:
    case EPERM:
    case EIO:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
    case EOVERFLOW:
    case EOPNOTSUPP:
    case ESHUTDOWN:
      return static_cast<uint32_t>(error);
    case EDQUOT:
    case EFBIG:
      return ENOSPC;
    default:
      return EIO;
  }
}

uint8_t* ChunkHeader(uint8_t* at, uint16_t type, const uint8_t* cookie, size_t bytes) {
  at = StoreBig(at, kStructuredReplyMagic, 4);
  at = StoreBig(at, kChunkDone, 2);
  at = StoreBig(at, type, 2);
  memcpy(at, cookie, 8);
  return StoreBig(at + 8, bytes, 4);
}

uint8_t* SimpleHeader(uint8_t* at, uint32_t error, const uint8_t* cookie) {
  at = StoreBig(at, kSimpleReplyMagic, 4);
  at = StoreBig(at, error, 4);
  memcpy(at, cookie, 8);
  return at + 8;
}

}  // namespace

Transmission::Stop Transmission::Advance(ByteBuffer& in, ByteBuffer& out) {
  for (;;) {
    missing_bytes_ = 0;
    if (in.size() < kRequestBytes) return Stop::kNeedsInput;
    const uint8_t* header = in.data();
    if (LoadBig<uint32_t>(header) != kRequestMagic) throw ProtocolError("no request magic");
    const Request request{
        .flags = LoadBig<uint16_t>(header + 4),
        .command = static_cast<Command>(LoadBig<uint16_t>(header + 6)),
        .cookie = header + 8,
        .offset = LoadBig<uint64_t>(header + 16),
        .bytes = LoadBig<uint32_t>(header + 24),
        .payload = header + kRequestBytes,
    };
    if (request.command == Command::kDisconnect) return Stop::kDisconnect;
    size_t whole_bytes = kRequestBytes;
    if (request.command == Command::kWrite) {
      // Not answered with an error: its payload would have to be read, up to 4 GiB of it.
      if (request.bytes > kPayloadBytesMax) {
        throw ProtocolError("a write of " + std::to_string(request.bytes) + " bytes");
      }
      whole_bytes += request.bytes;
    }
    if (in.size() < whole_bytes) {
      missing_bytes_ = whole_bytes - in.size();
      return Stop::kNeedsInput;
    }
    if (out.size() >= kUnsentBytesMax) return Stop::kNeedsOutput;
    if (disks_.MustWait()) return Stop::kMustWait;
    Handle(request, out);
    in.Consume(whole_bytes);
  }
}

void Transmission::Handle(const Request& request, ByteBuffer& out) {
  const int refusal = Refusal(request);
  if (refusal != 0) return Answer(request, refusal, out);
  if (request.command == Command::kRead) return Read(request, out);
  int error = Execute(request);
  if (error == 0 && (request.flags & kCommandFua)) error = disks_.Flush(disk_);
  Answer(request, error, out);
}

int Transmission::Execute(const Request& request) {
  switch (request.command) {
    case Command::kWrite:
      return disks_.Write(disk_, request.offset, request.payload, request.bytes);
    case Command::kWriteZeroes:
      return disks_.Zero(disk_, request.offset, request.bytes, !(request.flags & kCommandNoHole));
    case Command::kTrim:
      return disks_.Trim(disk_, request.offset, request.bytes);
    case Command::kFlush:
      return disks_.Flush(disk_);
    default:
      return EINVAL;
  }
}

// What is wrong with the request in itself: an errno, or 0.
int Transmission::Refusal(const Request& request) const {
  uint16_t flags = kCommandFua;
  bool adds_content = false;
  switch (request.command) {
    case Command::kRead:
      if (request.bytes > kPayloadBytesMax) return EINVAL;
      if (structured_replies_) flags |= kCommandDf;
      break;
    case Command::kWriteZeroes:
      flags |= kCommandNoHole;
      adds_content = true;
      break;
    case Command::kWrite:
      adds_content = true;
      break;
    case Command::kTrim:
      break;
    case Command::kFlush:
      return request.flags & ~flags || request.offset != 0 || request.bytes != 0 ? EINVAL : 0;
    default:
      return EINVAL;
  }
  if (request.flags & ~flags) return EINVAL;
  if (request.bytes == 0 || request.bytes % kBlockBytesMin || request.offset % kBlockBytesMin) {
    return EINVAL;
  }
  // Without a sum, which could overflow.
  const bool inside = request.offset <= disk_bytes_ && request.bytes <= disk_bytes_ - request.offset;
  return inside ? 0 : adds_content ? ENOSPC : EINVAL;
}

void Transmission::Read(const Request& request, ByteBuffer& out) {
  const size_t header_bytes = structured_replies_ ? kChunkHeaderBytes + 8 : kSimpleReplyBytes;
  uint8_t* const reply = out.Room(header_bytes + request.bytes);
  const int error = disks_.Read(disk_, request.offset, reply + header_bytes, request.bytes);
  if (error != 0) return Answer(request, error, out);
  if (structured_replies_) {
    uint8_t* at = ChunkHeader(reply, kChunkOffsetData, request.cookie, request.bytes + 8);
    StoreBig(at, request.offset, 8);
  } else {
    SimpleHeader(reply, 0, request.cookie);
  }
  out.Grew(header_bytes + request.bytes);
}

void Transmission::Answer(const Request& request, int error, ByteBuffer& out) const {
  const uint32_t wire_error = WireError(error);
  // Only a read must be answered in structure once that is agreed on; so are its errors.
  if (!structured_replies_ || request.command != Command::kRead) {
    SimpleHeader(out.Room(kSimpleReplyBytes), wire_error, request.cookie);
    return out.Grew(kSimpleReplyBytes);
  }
  constexpr size_t kErrorBytes = 6;  // u32 error, u16 length of a message
  uint8_t* at = out.Room(kChunkHeaderBytes + kErrorBytes);
  at = ChunkHeader(at, kChunkError, request.cookie, kErrorBytes);
  at = StoreBig(at, wire_error, 4);
  StoreBig(at, 0, 2);
  out.Grew(kChunkHeaderBytes + kErrorBytes);
}

}  // namespace understudy::nbd
