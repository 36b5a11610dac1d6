// The server thread's part of the mirror target: requests, connections, turns.
#include <algorithm>
#include <cerrno>

#include "common/async.h"
#include "mirror/limits.h"
#include "mirror/target.h"

namespace understudy::mirror {

using disk::RecordKind;

int MirrorTarget::Write(size_t disk, uint64_t offset, const uint8_t* data, uint32_t bytes) {
  if (!Account(disk, offset, bytes)) return EINVAL;
  {
    std::lock_guard lock(mutex_);
    if (mode_ == Mode::kForgetting) return 0;
    if (complete_) {
      EmitWrite(static_cast<uint8_t>(disk), offset, data, bytes, append_);
    } else {
      known_bytes_ += known_[disk].Write(offset, data, bytes, append_);
    }
  }
  MakeRoom();
  return 0;
}

int MirrorTarget::Zero(size_t disk, uint64_t offset, uint64_t bytes, bool may_punch) {
  return PutZeroes(may_punch ? RecordKind::kTrim : RecordKind::kZero, disk, offset, bytes);
}

int MirrorTarget::Trim(size_t disk, uint64_t offset, uint64_t bytes) {
  return PutZeroes(RecordKind::kTrim, disk, offset, bytes);
}

int MirrorTarget::PutZeroes(RecordKind kind, size_t disk, uint64_t offset, uint64_t bytes) {
  if (!Account(disk, offset, bytes)) return EINVAL;
  {
    std::lock_guard lock(mutex_);
    if (mode_ == Mode::kForgetting || bytes == 0) return 0;
    if (complete_) {
      log_.Append({kind, static_cast<uint8_t>(disk), offset, bytes, nullptr});
    } else {
      known_bytes_ += known_[disk].Zero(kind, offset, bytes, append_);
    }
  }
  MakeRoom();
  return 0;
}

int MirrorTarget::Read(size_t disk, uint64_t offset, uint8_t* into, uint32_t bytes) {
  ++disks_[disk].requests;
  bool absent_is_zero;
  {
    std::lock_guard lock(mutex_);
    if (mode_ != Mode::kRemembering) return EIO;
    absent_is_zero = began_as_zeroes_[disk] && !log_.HasLetGo() && !freed_;
  }
  if (!log_.WaitStored(static_cast<uint64_t>(options_.freeze_ms_max * kReadWaitShare * 1'000'000))) return EIO;
  try {
    return remembered_.Read(disk, offset, into, bytes, absent_is_zero) ? 0 : EIO;
  } catch (const SyscallError& failure) {
    return failure.error();
  }
}

int MirrorTarget::Flush(size_t disk) {
  ++disks_[disk].requests;
  return 0;
}

void MirrorTarget::OnConnected(size_t disk) { disks_[disk].connected = true; }

void MirrorTarget::OnDisconnected(size_t disk, const std::string& why) {
  disks_[disk].connected = false;
  disks_[disk].unbroken = false;
  const bool nobody = std::none_of(disks_.begin(), disks_.end(),
                                   [](const DiskState& state) { return state.connected.load(); });
  if (nobody) patience_.End();
  LookAtGuard();
  if (!closing_) Tell("disconnected", why, options_.disks[disk].name);
}

void MirrorTarget::OnProtocolError(const std::string& why) {
  if (!closing_) Tell("protocol", why);
}

bool MirrorTarget::MustWait() {
  if (!log_.Full()) {
    patience_.End();
    return false;
  }
  patience_.Begin();
  return true;
}

int MirrorTarget::OnTurn() {
  LookAtGuard();
  const int due_ms = log_.WakeDue();
  if (!patience_.IsWaiting()) return due_ms;
  if (const uint64_t left_ns = patience_.LeftNs(); left_ns > 0) {
    const int left_ms = static_cast<int>(left_ns / 1'000'000) + 1;
    return due_ms < 0 ? left_ms : std::min(due_ms, left_ms);
  }
  patience_.End();
  const std::string reason = "the write log is full and the guest has waited too long";
  Tell("overflow", reason);
  server_->CloseConnections(reason);
  return due_ms;
}

bool MirrorTarget::Account(size_t disk, uint64_t offset, uint64_t bytes) {
  ++disks_[disk].requests;
  const uint64_t end = offset + bytes;
  if (offset % kSectorBytes != 0 || (end % kSectorBytes != 0 && end != options_.disks[disk].bytes)) return false;
  disks_[disk].written_bytes += bytes;
  return true;
}

void MirrorTarget::MakeRoom() {
  try {
    log_.MakeRoom();
  } catch (const SyscallError& failure) {
    Tell("storage", std::string("the spill file: ") + failure.what());
  }
}

// The guard acts when this process stands still, so it is noticed when the process goes on.
void MirrorTarget::LookAtGuard() {
  const uint64_t interventions = Interventions();
  if (interventions == interventions_told_) return;
  interventions_told_ = interventions;
  Tell("frozen", "this process stood still, so its guard ended the connections");
}

void MirrorTarget::OnGuardGone(const std::string& why) {
  guard_gone_ = true;
  if (closing_) return;
  Tell("guard", why);
  server_->CloseConnections(why);
}

}  // namespace understudy::mirror
