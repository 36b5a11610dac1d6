#include "mirror/target.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/async.h"
#include "mirror/limits.h"

namespace understudy::mirror {
namespace {

using disk::Record;
using disk::RecordKind;

std::vector<uint64_t> SizesOf(const std::vector<nbd::ExportInfo>& disks) {
  std::vector<uint64_t> sizes;
  for (const nbd::ExportInfo& disk : disks) sizes.push_back(disk.bytes);
  return sizes;
}

uint64_t ShareNs(int freeze_ms_max, double share) {
  return static_cast<uint64_t>(freeze_ms_max * share * 1'000'000);
}

}  // namespace

MirrorTarget::MirrorTarget(TargetOptions options)
    : options_(std::move(options)),
      append_([this](const Record& record) { log_.Append(record); }),
      log_({options_.memory_bytes_max, options_.spill_directory, options_.spill_bytes_max,
            [this] { server_->Wake(); }}),
      remembered_(options_.spill_directory, SizesOf(options_.disks), options_.remember_bytes_max),
      patience_(ShareNs(options_.freeze_ms_max, kPatienceShare)),
      disks_(options_.disks.size()) {
  ForgetLocked();
  guard_ = guard::Guard::Start(options_.freeze_ms_max, [this](const std::string& why) { OnGuardGone(why); });
  server_ = std::make_unique<nbd::Server>(
      nbd::ServerOptions{options_.socket_path, options_.owner_uid, guard_.get()}, *this);
  server_->Start();
}

MirrorTarget::~MirrorTarget() { Close(); }

void MirrorTarget::SetKnown(size_t disk, const KnownContent& known) {
  std::lock_guard lock(mutex_);
  RequireLocked(Mode::kForgetting, "setKnown");
  known_[disk].Set(known);
  began_as_zeroes_[disk] = known.content == Content::kZeroes;
}

void MirrorTarget::AddDigests(size_t disk, uint64_t first_block, const uint8_t* digests, size_t bytes) {
  std::lock_guard lock(mutex_);
  RequireLocked(Mode::kForgetting, "addDigests");
  known_[disk].AddDigests(first_block, digests, bytes);
}

void MirrorTarget::Ship(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  RequireLocked(Mode::kForgetting, "ship");
  freed_ = false;
  log_.Start(epoch);
  reader_ = log_.SetConsumer(Consumer::kTaker);
  mode_ = Mode::kShipping;
}

void MirrorTarget::Complete() {
  {
    std::lock_guard lock(mutex_);
    RequireLocked(Mode::kShipping, "complete");
    if (complete_) throw CodedError("MIRROR_STATE", "complete: it is complete already");
    for (Known& known : known_) known.EmitPutOff(append_);
    known_.clear();
    log_.Retain();
    for (DiskState& disk : disks_) disk.unbroken = disk.connected.load();
    interventions_at_complete_ = Interventions();
    complete_ = true;
  }
  // The put-off zeroes' time is the server's to keep.
  server_->Wake();
}

bool MirrorTarget::Committed(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  // A word that comes late, when the backup is away: what is kept twice does no harm.
  if (mode_ != Mode::kShipping) return false;
  log_.Committed(epoch);
  return epoch >= replay_epoch_ && std::exchange(holds_replayed_, false);
}

void MirrorTarget::Remember() {
  std::lock_guard lock(mutex_);
  RequireLocked(Mode::kShipping, "remember");
  // Before, parts are let go when they are taken, and what is known need not be in the log at all.
  if (!complete_) throw CodedError("MIRROR_STATE", "remember: the first copy is not complete");
  mode_ = Mode::kRemembering;
  reader_ = log_.SetConsumer(Consumer::kStore);
  log_.Rewind();
}

void MirrorTarget::Replay(uint64_t epoch) {
  uint64_t reader;
  {
    std::lock_guard lock(mutex_);
    RequireLocked(Mode::kRemembering, "replay");
    mode_ = Mode::kShipping;
    reader = log_.SetConsumer(Consumer::kTaker);
    log_.Retag(epoch);
    replay_epoch_ = epoch;
    holds_replayed_ = true;
    reader_ = replay_reader_ = reader;
  }
  // Without the mutex: the store may be writing, and the guest must not wait for that.
  remembered_.Rewind(reader);
}

void MirrorTarget::Forget() {
  std::lock_guard lock(mutex_);
  ForgetLocked();
}

void MirrorTarget::ForgetLocked() {
  mode_ = Mode::kForgetting;
  complete_ = false;
  holds_replayed_ = false;
  reader_ = log_.SetConsumer(Consumer::kNone);
  log_.Clear();
  for (DiskState& disk : disks_) disk.unbroken = false;
  began_as_zeroes_.assign(options_.disks.size(), false);
  known_.clear();
  for (size_t i = 0; i < options_.disks.size(); ++i) {
    known_.emplace_back(static_cast<uint8_t>(i), options_.disks[i].bytes);
  }
}

bool MirrorTarget::IsShipping() {
  std::lock_guard lock(mutex_);
  return mode_ == Mode::kShipping;
}

void MirrorTarget::GuardGate(int fd) {
  std::lock_guard lock(guard_mutex_);
  if (guard_) guard_->WatchGate(fd);
}

void MirrorTarget::Stop() {
  closing_ = true;
  log_.SetConsumer(Consumer::kNone);
  server_->CloseConnections("the mirror target was closed");
}

Taken MirrorTarget::Take(uint64_t reader, uint8_t* into, size_t room) {
  if (replay_reader_ == reader) {
    const size_t bytes = remembered_.Replay(reader, into, room);
    if (bytes > 0) return {replay_epoch_, bytes, false, false};
    uint64_t given = reader;
    replay_reader_.compare_exchange_strong(given, 0);
  }
  return log_.Take(reader, into, room);
}

void MirrorTarget::FreeReplayed() noexcept {
  try {
    if (remembered_.FreeReplayed()) freed_ = true;
  } catch (const std::exception& failure) {
    Tell("storage", failure.what());
  }
}

void MirrorTarget::StoreRemembered(uint64_t reader) noexcept {
  try {
    std::vector<uint8_t> chunk;
    while (log_.NextToStore(reader, chunk)) {
      remembered_.Store(chunk.data(), chunk.size());
      log_.Stored(reader);
    }
  } catch (const CodedError& failure) {
    GiveUp(reader, "forgotten", failure.what());
  } catch (const std::exception& failure) {
    GiveUp(reader, "storage", failure.what());
  }
}

void MirrorTarget::ClearRemembered() noexcept {
  try {
    remembered_.Clear();
  } catch (const std::exception& failure) {
    Tell("storage", failure.what());
  }
}

void MirrorTarget::Close() {
  std::lock_guard closing(close_mutex_);
  // Null when the constructor failed.
  if (server_) {
    Stop();
    server_->Close();
  }
  std::unique_ptr<guard::Guard> ended;
  std::lock_guard lock(guard_mutex_);
  ended.swap(guard_);
}

TargetStats MirrorTarget::Stats() {
  TargetStats stats{};
  {
    std::lock_guard lock(mutex_);
    stats.mode = mode_;
  }
  for (const DiskState& disk : disks_) {
    stats.disks.push_back({disk.connected, disk.unbroken, disk.requests, disk.written_bytes});
  }
  stats.log = log_.Stats();
  stats.known_bytes = known_bytes_;
  stats.back_pressure = patience_.Stats();
  stats.remembered_bytes = remembered_.remaining_bytes();
  stats.interventions = Interventions();
  return stats;
}

void MirrorTarget::OnEpochClosed(uint64_t closed_epoch) {
  if (!closing_) log_.CloseEpoch(closed_epoch, IsIntact());
}

void MirrorTarget::RequireLocked(Mode mode, const char* call) const {
  if (mode_ == mode) return;
  static constexpr const char* kNames[] = {"forgetting", "shipping", "remembering"};
  throw CodedError("MIRROR_STATE", std::string(call) + " in mode " + kNames[static_cast<int>(mode_)] +
                                       ", not " + kNames[static_cast<int>(mode)]);
}

// The store cannot keep what it must: half of it would be worth nothing.
void MirrorTarget::GiveUp(uint64_t reader, const char* kind, const std::string& reason) {
  {
    std::lock_guard lock(mutex_);
    if (reader_ == reader) ForgetLocked();
  }
  ClearRemembered();
  Tell(kind, reason);
}

bool MirrorTarget::IsIntact() {
  const bool unbroken = std::all_of(disks_.begin(), disks_.end(),
                                    [](const DiskState& disk) { return disk.unbroken.load(); });
  return complete_ && unbroken && !guard_gone_ && Interventions() == interventions_at_complete_;
}

uint64_t MirrorTarget::Interventions() {
  std::lock_guard lock(guard_mutex_);
  return guard_ ? guard_->interventions() : interventions_at_complete_.load();
}

void MirrorTarget::Tell(const char* kind, const std::string& reason, std::optional<std::string> disk) {
  options_.on_trouble({kind, reason, std::move(disk)});
}

}  // namespace understudy::mirror
