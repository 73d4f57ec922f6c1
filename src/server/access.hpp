#pragma once

// The private parts of servers and requests that this folder uses.

#include <plug/socketserver.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace plug::detail::server {

struct ServerAccess {
  /// Returns the socket that the address holds, or null.
  static Socket* listener(const ServerAddress& address) noexcept { return address.listener_.get(); }
  /// Decides the family of a TCP or UDP server: AF::INET6 for an IPv6 address or a numeric IPv6
  /// host, otherwise AF::INET.
  static AF inet_family(const ServerAddress& address) noexcept {
    // Only numeric IPv6 hosts contain a colon.
    const bool ipv6 = address.known_ ? address.address_.family() == AF::INET6
                                     : address.host_.host.find(':') != std::string::npos;
    return ipv6 ? AF::INET6 : AF::INET;
  }
  static ServerLoop& loop(BaseServer& server) noexcept { return *server.loop_; }
  static void check_shutdown(BaseServer& server) { server.check_shutdown(); }
  static std::shared_ptr<void> run_in_background(BaseServer& server,
                                                 std::function<void()> function) {
    return server.run_in_background(std::move(function));
  }
  static std::shared_ptr<const void>& entry(Request& request) noexcept { return request.entry_; }
  static const std::shared_ptr<const void>& entry(const Request& request) noexcept {
    return request.entry_;
  }
};

}  // namespace plug::detail::server
