// One virConnectPtr, for one call at a time.
//
// libvirt lets threads share a connection: while one waits for its reply, it serves the others
// (src/rpc/virnetclient.c, virNetClientIOEventLoop). In libvirt 9.0, which Debian 12 ships, two
// waiting callers are not safe when the daemon hangs:
//  - keepalive ends only the first call; the next polls without a timeout, waits for ever, and
//    the close callback never runs;
//  - the first caller leaves a poll source that points into its dead stack frame, which crashes
//    the process when the daemon speaks again (CVE-2024-4418).
// With a single caller neither can happen.
#pragma once

#include <libvirt/libvirt.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/js_lane.h"
#include "libvirt/handles.h"

namespace understudy::libvirt {

struct OpenOptions {
  std::string uri;
  int keepalive_interval_s = 0;
  unsigned int keepalive_count = 0;
};

struct DomainIdentity {
  std::string name;
  std::string uuid;
};
DomainIdentity IdentityOf(virDomainPtr domain);

// What a connection tells about its domains without being asked.
enum class EventKind : size_t { kLifecycle, kBlockJob, kDeviceAdded, kDeviceRemoved };
inline constexpr size_t kEventKinds = 4;

// Told by the channels of one connection that libvirt reports one of them dead.
struct Loss {
  explicit Loss(std::shared_ptr<JsCallback> callback) : on_closed(std::move(callback)) {}
  std::atomic<bool> happened{false};
  const std::shared_ptr<JsCallback> on_closed;  // called once
};

// Worker threads only, one at a time.
class Channel {
 public:
  // Throws LibvirtError. Not bounded when the daemon accepts but does not answer: keepalive
  // begins after the handshake.
  Channel(const OpenOptions& options, const std::shared_ptr<Loss>& loss);
  // Asks the daemon; takes at most as long as keepalive takes to give it up.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  virConnectPtr connection() const { return connection_; }
  // Valid until the next call on this channel. Throws LibvirtError (VIR_ERR_NO_DOMAIN, …).
  virDomainPtr DomainOf(const std::string& uuid);
  // Keeps a domain that libvirt has just returned.
  DomainIdentity Remember(DomainRef domain);
  // Events of all domains until the channel is destroyed.
  void Subscribe(EventKind kind, const std::shared_ptr<JsCallback>& listener);

 private:
  virConnectPtr connection_;
  std::vector<int> subscriptions_;
  std::unordered_map<std::string, DomainRef> domains_;
};

}  // namespace understudy::libvirt
