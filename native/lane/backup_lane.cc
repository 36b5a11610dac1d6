#include "lane/backup_lane.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <utility>

#include "common/async.h"
#include "lane/lane_thread.h"
#include "lane/limits.h"
#include "lane/sockets.h"
#include "memory/device_state.h"
#include "memory/state_delta.h"

namespace understudy::lane {
namespace {

CodedError Malformed(const std::string& why) { return CodedError("LANE_MALFORMED", why); }

}  // namespace

BackupLane::BackupLane(std::shared_ptr<memory::Replica> replica, const std::string& host, const Secret& secret,
                       Events events)
    : replica_(std::move(replica)),
      secret_(secret),
      events_(std::move(events)),
      listener_(Listen(host)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      port_(PortOf(listener_)) {
  if (!stop_) throw SyscallError("eventfd", errno);
  thread_ = std::thread([this] { Run(); });
}

void BackupLane::SetCommitted(Committed committed) {
  std::lock_guard lock(mutex_);
  committed_ = std::move(committed);
}

std::optional<BackupLane::Committed> BackupLane::CommittedAfter(uint64_t epoch) const {
  std::lock_guard lock(mutex_);
  if (committed_.epoch <= epoch) return std::nullopt;
  return committed_;
}

void BackupLane::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    if (link_) link_->Shutdown();
  }
  const uint64_t one = 1;
  // Cannot fail: the counter is far from its limit.
  (void)!write(stop_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  // They lead to those who keep this object.
  events_ = {};
}

void BackupLane::Run() {
  const LaneThread here;
  try {
    const std::shared_ptr<SealedLink> link = AcceptPrimary();
    if (link) Serve(*link);
  } catch (const std::exception& failure) {
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    lock.unlock();
    const auto* coded = dynamic_cast<const CodedError*>(&failure);
    events_.on_failed(coded ? coded->code() : "LANE_CUT", failure.what());
  }
}

std::shared_ptr<SealedLink> BackupLane::AcceptPrimary() {
  for (int strangers = 0; strangers < kStrangersMax; ++strangers) {
    pollfd waits[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(waits, 2, -1) < 0 && errno != EINTR) throw SyscallError("poll", errno, "lane");
    if (waits[1].revents != 0) break;
    if (waits[0].revents == 0) continue;
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) continue;
    const std::shared_ptr<SealedLink> link = Greeted(std::move(socket));
    if (!link) continue;
    std::lock_guard lock(mutex_);
    if (stopped_) break;
    link_ = link;
    listener_.Reset();
    return link;
  }
  listener_.Reset();
  return nullptr;
}

// Nothing unless it has the secret.
std::shared_ptr<SealedLink> BackupLane::Greeted(UniqueFd socket) {
  try {
    auto link = std::make_shared<SealedLink>(std::move(socket), secret_, End::kBackup);
    link->LimitWait(kHelloTimeoutMs);
    const std::optional<Bytes> record = link->Receive();
    const std::optional<RecordHeader> header = record ? ReadHeader(*record) : std::nullopt;
    if (!header || header->kind != RecordKind::kHello) return nullptr;
    link->LimitWait(0);
    return link;
  } catch (const DetailedError&) {
    // A stranger: whoever may connect tries again, or does without.
    return nullptr;
  }
}

void BackupLane::Serve(SealedLink& link) {
  while (const std::optional<Bytes> record = link.Receive()) {
    const std::optional<RecordHeader> header = ReadHeader(*record);
    if (!header) throw Malformed("a record of " + std::to_string(record->size()) + " bytes");
    switch (header->kind) {
      case RecordKind::kChunk:
        OnChunk(header->epoch, BodyOf(*record));
        break;
      case RecordKind::kCheckpoint:
        OnCheckpoint(link, *header, BodyOf(*record));
        break;
      default:
        throw Malformed("a record of kind " + std::to_string(static_cast<uint32_t>(header->kind)));
    }
  }
}

void BackupLane::OnChunk(uint64_t epoch, Bytes chunk) {
  // One of an epoch that was never completed is thrown away by the next: all of its pages come again.
  staged_ = Staged{epoch, {chunk.begin(), chunk.end()}};
  replica_->Validate({staged_->chunk.data(), staged_->chunk.size()});
}

void BackupLane::OnCheckpoint(SealedLink& link, const RecordHeader& header, Bytes body) {
  if (header.address_bytes > kAddressBytesMax || body.size() != size_t{header.state_bytes} + header.address_bytes)
    throw Malformed("a checkpoint whose parts do not add up");
  const std::optional<Staged> staged = std::exchange(staged_, std::nullopt);
  const bool is_whole = header.chunks == 0 || (header.chunks == 1 && staged && staged->epoch == header.epoch);
  if (!is_whole) throw Malformed("epoch " + std::to_string(header.epoch) + " without its pages");
  std::unique_ptr<memory::ApplyOrder::Turn> turn;
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    if (header.epoch <= committed_.epoch)
      throw Malformed("epoch " + std::to_string(header.epoch) + " came; " + std::to_string(committed_.epoch) +
                      " is committed");
    std::vector<uint8_t> state = StateOf(header, body.first(header.state_bytes));
    const Bytes addresses = body.subspan(header.state_bytes);
    committed_ = {header.epoch, std::move(state), {addresses.begin(), addresses.end()}};
    if (header.chunks == 1) turn = std::make_unique<memory::ApplyOrder::Turn>(replica_->order());
  }
  const RecordHeader answer = HeaderOf(RecordKind::kCommitted, header.epoch);
  // A lost answer is met as the ended connection; the checkpoint stays committed.
  std::optional<std::string> lost;
  try {
    link.Send({BytesOf(answer)});
  } catch (const DetailedError& failure) {
    lost = failure.what();
  }
  if (turn) {
    try {
      turn->Run([&] { return replica_->Apply({{staged->chunk.data(), staged->chunk.size()}}); });
    } catch (const std::exception& failure) {
      throw CodedError("APPLY_FAILED", failure.what());
    }
  }
  events_.on_committed(header.epoch);
  if (lost) throw CodedError("LANE_CUT", *lost);
}

// With `mutex_` held.
std::vector<uint8_t> BackupLane::StateOf(const RecordHeader& header, Bytes sent) const {
  std::vector<uint8_t> state;
  if (header.is_delta) {
    state = committed_.state;
    memory::ApplyStateDelta(state, sent);
  } else {
    state.assign(sent.begin(), sent.end());
  }
  if (StateHash(state) != header.state_hash) throw Malformed("a device state that is not the one that was sent");
  memory::RequireWholeDeviceState(state);
  return state;
}

}  // namespace understudy::lane
