// The NBD server that QEMU's mirror jobs write to: one UNIX socket, one export per disk, one thread.
//
// It answers from memory and never waits for anybody; what it serves is behind Disks. A client that breaks
// the protocol, stalls or floods costs at most its own connection.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "guard/guard.h"
#include "memory/owned.h"
#include "nbd/connection.h"
#include "nbd/disks.h"
#include "nbd/listener.h"

namespace understudy::nbd {

struct ServerOptions {
  std::string socket_path;
  // Who may connect, besides root.
  uid_t owner_uid;
  // Null: nobody watches. Must outlive the server.
  guard::Guard* guard;
};

class Server {
 public:
  // `disks` must outlive the server; its exports must not change.
  Server(ServerOptions options, Disks& disks);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens when it returns. Throws SyscallError (EADDRINUSE when another server listens there,
  // ENAMETOOLONG, EEXIST when the path is no socket), CodedError EXPORT_SIZE.
  void Start();
  // Any thread: the loop makes a turn.
  void Wake();
  // Any thread, at once, even while the server's thread is busy: every client sees the end of its
  // connection. OnDisconnected follows on the server's thread with `why`.
  void CloseConnections(std::string why);
  // Ends every connection (OnDisconnected is told), joins the thread, removes the socket file. Not from the
  // server's thread. Safe to call twice.
  void Close();

 private:
  void Run();
  int SleepMs(int hint_ms);
  void OnEvent(uint64_t id, uint32_t events);
  void Accept();
  void Add(memory::UniqueFd fd);
  void MakeRoom();
  void Serve(uint64_t id, uint32_t events);
  void ResumeStalled();
  void EndLateHandshakes();
  bool TryClaim(size_t disk, uint64_t id);
  void End(uint64_t id, std::string why);
  void CutOff(uint64_t id, const std::string& why);
  void Observe(int fd, uint32_t events, uint64_t id, int operation);

  const ServerOptions options_;
  Disks& disks_;
  std::optional<Listener> listener_;
  memory::UniqueFd wake_;
  memory::UniqueFd epoll_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  // The server's thread only.
  std::map<uint64_t, Connection> connections_;
  std::vector<std::optional<uint64_t>> holders_;
  uint64_t next_id_;
  // Some connection has a request that Disks::MustWait put off.
  bool stalled_ = false;

  // Descriptors of live connections and the word for their end.
  std::mutex live_mutex_;
  std::set<int> live_;
  std::string close_reason_;
};

}  // namespace understudy::nbd
