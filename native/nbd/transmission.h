// One connection's requests and their answers, in order of arrival. Bytes in, bytes out: no socket.
#pragma once

#include "nbd/byte_buffer.h"
#include "nbd/disks.h"
#include "nbd/protocol.h"

namespace understudy::nbd {

class Transmission {
 public:
  // Why no further request was taken: there is none whole; the answers must leave first; Disks::MustWait;
  // the client said goodbye.
  enum class Stop { kNeedsInput, kNeedsOutput, kMustWait, kDisconnect };

  Transmission(Disks& disks, size_t disk, bool structured_replies)
      : disks_(disks),
        disk_(disk),
        disk_bytes_(disks.Exports()[disk].bytes),
        structured_replies_(structured_replies) {}

  // Throws ProtocolError when the stream cannot be followed any further.
  Stop Advance(ByteBuffer& in, ByteBuffer& out);
  // Of the request at the front of the input, the bytes that have not come; 0 when its length is unknown yet.
  size_t missing_bytes() const { return missing_bytes_; }
  size_t disk() const { return disk_; }

 private:
  struct Request {
    uint16_t flags;
    Command command;
    // As the client sent it, only to be sent back.
    const uint8_t* cookie;
    uint64_t offset;
    uint32_t bytes;
    const uint8_t* payload;
  };

  void Handle(const Request& request, ByteBuffer& out);
  int Execute(const Request& request);
  int Refusal(const Request& request) const;
  void Read(const Request& request, ByteBuffer& out);
  void Answer(const Request& request, int error, ByteBuffer& out) const;

  Disks& disks_;
  const size_t disk_;
  const uint64_t disk_bytes_;
  const bool structured_replies_;
  size_t missing_bytes_ = 0;
};

}  // namespace understudy::nbd
