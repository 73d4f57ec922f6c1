#pragma once

// Servers that handle each request in a new process.

#include <plug/constants.hpp>
#include <plug/detail/forking.hpp>
#include <plug/server/options.hpp>
#include <plug/server/servers.hpp>
#include <plug/timeout.hpp>

#include <cstddef>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// The options of ForkingTCPServer and the other forking servers. ForkingMixIn describes the first
/// two, BaseServer and BaseServerOptions the others.
struct ForkingOptions {
  Option<int> max_children{};
  Option<bool> block_on_close{};
  // Those of BaseServerOptions:
  Option<Timeout> timeout{};
  Option<AF> address_family{};
  Option<SOCK> socket_type{};
  Option<int> request_queue_size{};
  Option<bool> allow_reuse_address{};
  Option<bool> allow_reuse_port{};
  Option<int> max_connections{};
  Option<int> max_connections_per_address{};
  Option<int> ipv4_prefix_length{};
  Option<int> ipv6_prefix_length{};
  Option<Timeout> connection_timeout{};
  Option<Timeout> connection_lifetime{};
  Option<std::ptrdiff_t> max_packet_size{};
  bool bind_and_activate = true;
};

/// Handles each request in a child process: ForkingMixIn<TCPServer>. Sets `timeout` to 300 seconds.
///
/// The child is a copy of the process. It ends by _exit(2), with status 0, or 1 if handling threw:
/// the program's buffers are not flushed and its destructors do not run. The parent closes its copy
/// of the connection; the child of a stream server closes the listening socket. The child has only
/// the thread that served. Locks that other threads held stay locked in it, so handlers should not
/// share locks with other threads.
template <class Base>
class ForkingMixIn : public Base {
 public:
  using Options = ForkingOptions;

  template <class... More>
  ForkingMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
               More&&... more)
      : ForkingMixIn(std::move(address), std::move(handler),
                     ForkingOptions{.bind_and_activate = bind_and_activate},
                     std::forward<More>(more)...) {}
  template <class... More>
  ForkingMixIn(ServerAddress address, HandlerFactory handler, const ForkingOptions& options,
               More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    this->timeout = 300;
    set_attributes(options);
    this->complete(options.bind_and_activate);
  }
  ~ForkingMixIn() override { this->end(); }

  /// The maximum number of children, at least 1. With that many, the server waits until one has
  /// ended before it continues.
  int max_children = 40;
  /// Whether server_close() waits for all children.
  bool block_on_close = true;
  /// The process IDs of the children that have not been reaped.
  std::vector<int> active_children;

  /// Reaps (waitpid(2)) the children of this server that have ended, and no other processes. Blocks
  /// until fewer than max_children are left, or, if `blocking`, none. shutdown() ends the wait
  /// for max_children.
  void collect_children(bool blocking = false) {
    const auto most = static_cast<std::size_t>(max_children > 1 ? max_children : 1);
    detail::collect_children(*this, active_children, most, blocking);
  }

  void handle_timeout() override {
    Base::handle_timeout();
    collect_children();
  }
  void service_actions() override {
    Base::service_actions();
    collect_children();
  }

  /// Starts a child. If that fails, this request alone fails, with OSError.
  void process_request(Request& request, const Address& client_address) override {
    active_children.reserve(active_children.size() + 1);
    active_children.push_back(detail::fork_request(*this, request, client_address));
    this->close_request(request);
  }

  /// Also reaps the children.
  void server_close() override {
    Base::server_close();
    collect_children(block_on_close);
  }

 protected:
  /// Assigns each given option to its attribute.
  void set_attributes(const ForkingOptions& options) {
    detail::assign_options(*this, options);
    options.max_children.assign_to(max_children);
    options.block_on_close.assign_to(block_on_close);
  }
};

using ForkingTCPServer = ForkingMixIn<TCPServer>;
using ForkingUDPServer = ForkingMixIn<UDPServer>;
using ForkingUnixStreamServer = ForkingMixIn<UnixStreamServer>;
using ForkingUnixDatagramServer = ForkingMixIn<UnixDatagramServer>;

}  // namespace plug

#pragma GCC visibility pop
