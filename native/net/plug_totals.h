// What a hold has counted over all the plugs it has had: each new one counts from zero. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "traffic_control.h"

namespace understudy {

class PlugTotals {
 public:
  // What the present plug says now. Returns how many frames it has refused since it was asked last.
  uint64_t See(const QdiscStats& stats) {
    const uint32_t refused = stats.dropped_frames - now_.dropped_frames;
    now_ = stats;
    overflow_packets_ += refused;
    packets_max_ = std::max<uint64_t>(packets_max_, stats.queued_frames);
    bytes_max_ = std::max<uint64_t>(bytes_max_, stats.backlog_bytes);
    return refused;
  }

  // A new plug is in the place of the present one; what that one still held is lost.
  void Restart() {
    dropped_packets_ += now_.queued_frames;
    released_bytes_ += now_.bytes_left;
    passed_segments_ += passing_ ? now_.segments_left - passing_from_ : 0;
    now_ = {};
    passing_from_ = 0;
  }

  void Released(uint64_t frames) { released_packets_ += frames; }
  // While frames pass nobody counts them one by one; the qdisc's own count stands in (GSO frames as segments).
  void Passing(bool passing) {
    if (passing_) passed_segments_ += now_.segments_left - passing_from_;
    passing_ = passing;
    passing_from_ = now_.segments_left;
  }

  const QdiscStats& now() const { return now_; }
  // Bytes that have ever come into the present plug.
  uint64_t entered_bytes() const { return now_.bytes_left + now_.backlog_bytes; }
  uint64_t released_packets() const {
    return released_packets_ + passed_segments_ + (passing_ ? now_.segments_left - passing_from_ : 0);
  }
  uint64_t released_bytes() const { return released_bytes_ + now_.bytes_left; }
  uint64_t overflow_packets() const { return overflow_packets_; }
  uint64_t dropped_packets() const { return dropped_packets_; }
  uint64_t packets_max() const { return packets_max_; }
  uint64_t bytes_max() const { return bytes_max_; }

 private:
  QdiscStats now_;
  uint64_t released_packets_ = 0;
  uint64_t released_bytes_ = 0;
  uint64_t passed_segments_ = 0;
  uint64_t overflow_packets_ = 0;
  uint64_t dropped_packets_ = 0;
  uint64_t packets_max_ = 0;
  uint64_t bytes_max_ = 0;
  bool passing_ = false;
  uint64_t passing_from_ = 0;
};

}  // namespace understudy
