// What the NBD server serves: implemented by the mirror's write log. Everything here is called on
// the server's one thread, so an implementation needs locks only against its own other threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace understudy::nbd {

struct ExportInfo {
  std::string name;
  uint64_t bytes;
};

class Disks {
 public:
  virtual ~Disks() = default;
  virtual const std::vector<ExportInfo>& Exports() const = 0;

  // Ranges are checked already. 0, or an errno that becomes the reply's error.
  virtual int Write(size_t disk, uint64_t offset, const uint8_t* data, uint32_t bytes) = 0;
  virtual int Zero(size_t disk, uint64_t offset, uint64_t bytes, bool may_punch) = 0;
  virtual int Trim(size_t disk, uint64_t offset, uint64_t bytes) = 0;
  virtual int Read(size_t disk, uint64_t offset, uint8_t* into, uint32_t bytes) = 0;
  // Cheap: what was written is as durable as the log is.
  virtual int Flush(size_t disk) = 0;

  virtual void OnConnected(size_t disk) = 0;
  virtual void OnDisconnected(size_t disk, const std::string& why) = 0;
  // A client was cut off for what it sent, in handshake or transmission.
  virtual void OnProtocolError(const std::string& why) = 0;

  // While true no further request is taken from any connection (back-pressure); asked again after
  // every Server::Wake() and at every turn of the loop.
  virtual bool MustWait() = 0;
  // At every turn of the loop. Returns how long the loop may sleep if nothing comes, ms; -1 for ever.
  virtual int OnTurn() = 0;
};

}  // namespace understudy::nbd
