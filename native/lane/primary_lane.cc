#include "lane/primary_lane.h"

#include <utility>

#include "common/monotonic.h"
#include "lane/lane_thread.h"
#include "lane/records.h"
#include "memory/state_delta.h"

namespace understudy::lane {

PrimaryLane::PrimaryLane(UniqueFd socket, const Secret& secret, Events events)
    : link_(std::move(socket), secret, End::kPrimary), events_(std::move(events)) {
  const RecordHeader hello = HeaderOf(RecordKind::kHello, 0);
  link_.Send({BytesOf(hello)});
  thread_ = std::thread([this] { Run(); });
}

bool PrimaryLane::SendChunk(uint64_t epoch, Bytes chunk) {
  const RecordHeader header = HeaderOf(RecordKind::kChunk, epoch);
  return Send({BytesOf(header), chunk});
}

bool PrimaryLane::SendCheckpoint(const Checkpoint& checkpoint) {
  const Bytes state = checkpoint.state;
  RecordHeader header = HeaderOf(RecordKind::kCheckpoint, checkpoint.epoch);
  std::optional<std::vector<uint8_t>> delta;
  {
    std::lock_guard lock(mutex_);
    if (!base_.empty()) delta = memory::StateDelta(base_, state);
    // Before it leaves: the answer may be faster than the return of the call that sends it.
    sent_ = Sent{checkpoint.epoch, {state.begin(), state.end()}, checkpoint.holds};
  }
  const Bytes body = delta ? Bytes(*delta) : state;
  header.is_delta = delta.has_value();
  header.chunks = checkpoint.chunks;
  header.state_hash = StateHash(state);
  header.state_bytes = static_cast<uint32_t>(body.size());
  header.address_bytes = static_cast<uint32_t>(checkpoint.addresses.size());
  const Bytes addresses(reinterpret_cast<const uint8_t*>(checkpoint.addresses.data()), checkpoint.addresses.size());
  return Send({BytesOf(header), body, addresses});
}

void PrimaryLane::SetBase(Bytes state) {
  std::lock_guard lock(mutex_);
  base_.assign(state.begin(), state.end());
}

void PrimaryLane::Close() {
  ended_ = true;
  link_.Shutdown();
  if (thread_.joinable()) thread_.join();
}

bool PrimaryLane::Send(std::initializer_list<Bytes> parts) {
  if (ended_) return false;
  try {
    link_.Send(parts);
    return true;
  } catch (const std::exception& failure) {
    End(failure.what());
    return false;
  }
}

void PrimaryLane::End(const std::string& why) {
  if (ended_.exchange(true)) return;
  link_.Shutdown();
  events_.on_ended(why);
}

void PrimaryLane::Run() {
  const LaneThread here;
  try {
    while (const std::optional<Bytes> record = link_.Receive()) {
      const std::optional<RecordHeader> header = ReadHeader(*record);
      if (!header || header->kind != RecordKind::kCommitted)
        throw CodedError("LANE_MALFORMED", "the backup sent something else than a commit");
      OnCommitted(header->epoch);
    }
    End("the backup hung up");
  } catch (const std::exception& failure) {
    End(failure.what());
  }
}

void PrimaryLane::OnCommitted(uint64_t epoch) {
  const uint64_t now_ns = MonotonicNs();
  std::vector<std::shared_ptr<BoundaryListener>> holds;
  {
    std::lock_guard lock(mutex_);
    if (!sent_ || sent_->epoch != epoch)
      throw CodedError("LANE_MALFORMED", "commit of epoch " + std::to_string(epoch) + ", which is not awaited");
    base_ = std::move(sent_->state);
    holds = std::move(sent_->holds);
    sent_.reset();
  }
  if (!ended_ && now_ns < lease_until_ns_) {
    for (const auto& hold : holds) hold->OnEpochCommitted(epoch);
  }
  events_.on_committed(epoch, now_ns);
}

}  // namespace understudy::lane
