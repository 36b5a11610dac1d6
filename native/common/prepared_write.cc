#include "common/prepared_write.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "common/async.h"
#include "common/js_lane.h"
#include "common/prepared_call.h"
#include "memory/owned.h"

namespace understudy {
namespace {

// prepareWrite(fd, text, onFailed): the socket's descriptor is duplicated, as its owner may close it meanwhile.
Napi::Value PrepareWrite(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto socket = std::make_shared<memory::UniqueFd>(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!*socket) throw ToJsError(env, SyscallError("dup", errno, std::to_string(fd)));
  auto begin = [socket, text = info[1].As<Napi::String>().Utf8Value(),
                on_failed = std::make_shared<JsCallback>(info[2].As<Napi::Function>())](Trigger::Sign sign) {
    if (sign == Trigger::Sign::kCancel) return;
    const ssize_t sent = send(socket->get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(text.size())) return;
    const std::string why = sent < 0 ? strerror(errno) : "the socket is full";
    on_failed->Post([why](Napi::Env js, const Napi::Function& failed) { failed.Call({Napi::String::New(js, why)}); });
  };
  return PreparedCallToJs(env, std::make_shared<Trigger>(std::move(begin)));
}

// peerProcess(fd): the process that connected a UNIX socket, as the kernel noted it then (unix(7), SO_PEERCRED).
Napi::Value PeerProcess(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    throw ToJsError(info.Env(), SyscallError("SO_PEERCRED", errno, std::to_string(fd)));
  return Napi::Number::New(info.Env(), peer.pid);
}

}  // namespace

void InitPreparedWrite(Napi::Env env, Napi::Object exports) {
  exports.Set("prepareWrite", Napi::Function::New(env, PrepareWrite, "prepareWrite"));
  exports.Set("peerProcess", Napi::Function::New(env, PeerProcess, "peerProcess"));
}

}  // namespace understudy
