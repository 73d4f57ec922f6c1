#pragma once

// Servers that handle each request in a new thread.

#include <plug/constants.hpp>
#include <plug/detail/handler_threads.hpp>
#include <plug/server/options.hpp>
#include <plug/server/servers.hpp>
#include <plug/timeout.hpp>

#include <cstddef>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

/// The options of ThreadingTCPServer and the other threading servers. ThreadingMixIn describes the
/// first two, BaseServer and BaseServerOptions the others.
struct ThreadingOptions {
  Option<bool> daemon_threads{};
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

/// Handles each request in a new thread: ThreadingMixIn<TCPServer>. Base may be your own server
/// class; its further constructor arguments follow bind_and_activate.
template <class Base>
class ThreadingMixIn : public Base {
 public:
  using Options = ThreadingOptions;

  template <class... More>
  ThreadingMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
                 More&&... more)
      : ThreadingMixIn(std::move(address), std::move(handler),
                       ThreadingOptions{.bind_and_activate = bind_and_activate},
                       std::forward<More>(more)...) {}
  template <class... More>
  ThreadingMixIn(ServerAddress address, HandlerFactory handler, const ThreadingOptions& options,
                 More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    set_attributes(options);
    this->complete(options.bind_and_activate);
  }
  ~ThreadingMixIn() override { this->end(); }

  /// If true, server_close() does not wait for threads that start from now on. The destructor shuts
  /// down their connections and then waits for them, because they use the server. If a handler may
  /// never return, close the server and exit by std::quick_exit() or std::_Exit().
  bool daemon_threads = false;
  /// Whether server_close() waits for threads that start from now on. If false, they are daemon
  /// threads.
  bool block_on_close = true;

  /// Starts a thread. If that fails, this request alone fails, with RuntimeError.
  void process_request(Request& request, const Address& client_address) override {
    threads_.start(
        *this,
        [](BaseServer& server, Request& theirs, const Address& from) {
          static_cast<ThreadingMixIn&>(server).process_request_thread(theirs, from);
        },
        request, client_address, block_on_close && !daemon_threads);
  }

  /// Runs in the thread: calls finish_request(), handle_error() if that throws, and
  /// shutdown_request(). An exception that leaves this function is printed, unless it is a
  /// BaseException.
  virtual void process_request_thread(Request& request, const Address& client_address) {
    this->process_apart(request, client_address);
  }

  void service_actions() override {
    Base::service_actions();
    threads_.collect();
  }

  /// Also waits for the threads. Throws RuntimeError if one of them calls it.
  void server_close() override {
    Base::server_close();
    threads_.join();
  }

 protected:
  /// Assigns each given option to its attribute.
  void set_attributes(const ThreadingOptions& options) {
    detail::assign_options(*this, options);
    options.daemon_threads.assign_to(daemon_threads);
    options.block_on_close.assign_to(block_on_close);
  }

  void wait_for_handlers() noexcept override {
    threads_.end();
    Base::wait_for_handlers();
  }

 private:
  detail::HandlerThreads threads_;
};

using ThreadingTCPServer = ThreadingMixIn<TCPServer>;
using ThreadingUDPServer = ThreadingMixIn<UDPServer>;
using ThreadingUnixStreamServer = ThreadingMixIn<UnixStreamServer>;
using ThreadingUnixDatagramServer = ThreadingMixIn<UnixDatagramServer>;

}  // namespace plug

#pragma GCC visibility pop
