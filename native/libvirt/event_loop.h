// The thread that runs libvirt's default event loop: keepalive, close callbacks and domain
// events happen on it. One per process, because libvirt has one event implementation per process.
#pragma once

namespace understudy::libvirt {

// Starts the thread for the first user. Must come before the first virConnectOpen: a connection
// opened without an event loop has no keepalive and no events. Throws LibvirtError.
void RetainEventLoop();

// Ends the thread, and waits for it, after the last user.
void ReleaseEventLoop();

}  // namespace understudy::libvirt
