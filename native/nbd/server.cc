#include "nbd/server.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "common/async.h"
#include "common/monotonic.h"
#include "common/worker_pool.h"
#include "nbd/limits.h"

namespace understudy::nbd {
namespace {

// What is not a connection has a fixed place in epoll; connections are numbered from kFirstId on, never
// twice, so that an event of one that ended in the same turn meets nobody.
constexpr uint64_t kWakeId = 0;
constexpr uint64_t kListenerId = 1;
constexpr uint64_t kGuardId = 2;
constexpr uint64_t kFirstId = 3;

constexpr uint64_t kHandshakeNsMax = uint64_t{kHandshakeMsMax} * 1'000'000;

// The sooner of two times to sleep, of which -1 is for ever.
int Sooner(int a_ms, int b_ms) {
  if (a_ms < 0 || b_ms < 0) return std::max(a_ms, b_ms);
  return std::min(a_ms, b_ms);
}

}  // namespace

Server::Server(ServerOptions options, Disks& disks)
    : options_(std::move(options)),
      disks_(disks),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      holders_(disks.Exports().size()),
      next_id_(kFirstId) {
  if (!wake_) throw SyscallError("eventfd", errno);
  if (!epoll_) throw SyscallError("epoll_create1", errno);
}

Server::~Server() { Close(); }

void Server::Start() {
  for (const ExportInfo& entry : disks_.Exports()) {
    if (entry.bytes % kBlockBytesMin == 0) continue;
    throw CodedError("EXPORT_SIZE", entry.name + " has " + std::to_string(entry.bytes) +
                                        " bytes, which are no whole sectors");
  }
  listener_.emplace(options_.socket_path, options_.owner_uid);
  Observe(wake_.get(), EPOLLIN, kWakeId, EPOLL_CTL_ADD);
  Observe(listener_->fd(), EPOLLIN, kListenerId, EPOLL_CTL_ADD);
  if (options_.guard) Observe(options_.guard->control_fd(), EPOLLIN, kGuardId, EPOLL_CTL_ADD);
  thread_ = std::thread([this] { Run(); });
}

void Server::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake already.
  (void)!write(wake_.get(), &one, sizeof one);
}

void Server::CloseConnections(std::string why) {
  {
    std::lock_guard lock(live_mutex_);
    if (!live_.empty()) close_reason_ = std::move(why);
    for (const int fd : live_) shutdown(fd, SHUT_RDWR);
  }
  Wake();
}

void Server::Close() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  Wake();
  thread_.join();
  listener_.reset();
}

void Server::Run() {
  BlockSignals();
  pthread_setname_np(pthread_self(), "us-nbd");
  while (!stopping_) {
    if (options_.guard) options_.guard->Beat();
    const int hint_ms = disks_.OnTurn();
    if (stalled_ && !disks_.MustWait()) ResumeStalled();
    EndLateHandshakes();
    epoll_event events[kEventsMax];
    // Interrupted only by SIGSTOP and SIGCONT: one turn without events.
    const int count = epoll_wait(epoll_.get(), events, kEventsMax, SleepMs(hint_ms));
    for (int i = 0; i < count; i++) OnEvent(events[i].data.u64, events[i].events);
  }
  while (!connections_.empty()) End(connections_.begin()->first, "the server was closed");
}

int Server::SleepMs(int hint_ms) {
  int sleep_ms = options_.guard ? Sooner(hint_ms, options_.guard->beat_ms()) : hint_ms;
  for (const auto& [id, connection] : connections_) {
    if (connection.disk()) continue;
    const uint64_t late_ns = connection.accepted_ns() + kHandshakeNsMax;
    const uint64_t now_ns = MonotonicNs();
    const int left_ms = late_ns > now_ns ? static_cast<int>((late_ns - now_ns) / 1'000'000) + 1 : 0;
    sleep_ms = Sooner(sleep_ms, left_ms);
  }
  return sleep_ms;
}

void Server::OnEvent(uint64_t id, uint32_t events) {
  switch (id) {
    case kWakeId: {
      uint64_t count;
      (void)!read(wake_.get(), &count, sizeof count);
      return;
    }
    case kListenerId:
      return Accept();
    case kGuardId:
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, options_.guard->control_fd(), nullptr);
      return options_.guard->OnControl();
    default:
      return Serve(id, events);
  }
}

void Server::Accept() {
  try {
    if (memory::UniqueFd fd = listener_->Accept()) Add(std::move(fd));
  } catch (const SyscallError& error) {
    // No memory or no descriptor for one more: that client is sent away, the others are served.
    disks_.OnProtocolError(std::string("a connection could not be taken: ") + error.what());
  }
}

void Server::Add(memory::UniqueFd fd) {
  if (connections_.size() >= holders_.size() + kHandshakesMax) MakeRoom();
  const uint64_t id = next_id_++;
  const int number = fd.get();
  Observe(number, 0, id, EPOLL_CTL_ADD);
  connections_.try_emplace(id, std::move(fd), disks_,
                           [this, id](size_t disk) { return TryClaim(disk, id); });
  if (options_.guard) options_.guard->Watch(number);
  {
    std::lock_guard lock(live_mutex_);
    live_.insert(number);
  }
  Serve(id, 0);
}

// A flood costs the flooders: the oldest that still has no export leaves.
void Server::MakeRoom() {
  const auto oldest = std::find_if(connections_.begin(), connections_.end(),
                                   [](const auto& entry) { return !entry.second.disk(); });
  if (oldest != connections_.end()) CutOff(oldest->first, "too many connections in their handshake");
}

void Server::Serve(uint64_t id, uint32_t events) {
  const auto entry = connections_.find(id);
  if (entry == connections_.end()) return;
  Connection& connection = entry->second;
  try {
    // Stalled, a client is not read from, so its end shows in nothing else.
    const bool readable = events & (EPOLLIN | EPOLLHUP | EPOLLERR);
    if (auto end = connection.Turn(readable)) return End(id, std::move(*end));
    if (connection.stalled() && connection.HungUp()) return End(id, "the client hung up");
  } catch (const ProtocolError& error) {
    return CutOff(id, error.what());
  }
  stalled_ = stalled_ || connection.stalled();
  if (const auto interest = connection.NewInterest()) {
    Observe(connection.fd(), *interest, id, EPOLL_CTL_MOD);
  }
}

void Server::ResumeStalled() {
  stalled_ = false;
  std::vector<uint64_t> ids;
  for (const auto& [id, connection] : connections_) {
    if (connection.stalled()) ids.push_back(id);
  }
  for (const uint64_t id : ids) Serve(id, 0);
}

void Server::EndLateHandshakes() {
  const uint64_t now_ns = MonotonicNs();
  std::vector<uint64_t> late;
  for (const auto& [id, connection] : connections_) {
    if (!connection.disk() && now_ns >= connection.accepted_ns() + kHandshakeNsMax) late.push_back(id);
  }
  for (const uint64_t id : late) CutOff(id, "a handshake took too long");
}

bool Server::TryClaim(size_t disk, uint64_t id) {
  std::optional<uint64_t>& holder = holders_[disk];
  if (holder) {
    // A client that comes back may be faster than the end of its former connection.
    if (!connections_.at(*holder).HungUp()) return false;
    End(*holder, "the client hung up");
  }
  holder = id;
  disks_.OnConnected(disk);
  return true;
}

void Server::CutOff(uint64_t id, const std::string& why) {
  disks_.OnProtocolError(why);
  End(id, why);
}

void Server::End(uint64_t id, std::string why) {
  const auto entry = connections_.find(id);
  const int fd = entry->second.fd();
  {
    std::lock_guard lock(live_mutex_);
    live_.erase(fd);
    if (!close_reason_.empty()) why = close_reason_;
    if (live_.empty()) close_reason_.clear();
  }
  if (options_.guard) options_.guard->Unwatch(fd);
  // The guard's duplicate keeps the connection open until it has let go of it.
  shutdown(fd, SHUT_RDWR);
  const auto holder = std::find(holders_.begin(), holders_.end(), std::optional(id));
  connections_.erase(entry);
  if (holder == holders_.end()) return;
  holder->reset();
  disks_.OnDisconnected(static_cast<size_t>(holder - holders_.begin()), why);
}

void Server::Observe(int fd, uint32_t events, uint64_t id, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), operation, fd, &event) != 0) throw SyscallError("epoll_ctl", errno);
}

}  // namespace understudy::nbd
