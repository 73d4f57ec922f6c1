#pragma once

// Servers that handle each request in a fiber (fiber.hpp). Handlers of socketserver.hpp work
// unchanged, thousands of them in one thread.
//
//   FiberTCPServer server({"127.0.0.1", 8000}, handler<Echo>);
//   server.serve_forever();
//
//   TCP  FiberTCPServer         Unix, stream     FiberUnixStreamServer
//   UDP  FiberUDPServer         Unix, datagrams  FiberUnixDatagramServer
//
// They have the same members as ThreadingTCPServer and the other threading servers. The differences
// follow from the single thread:
//
//  - serve_forever(), serve_until_signal() and handle_request() run fibers if a plain thread calls
//    them, and return only when the handlers have ended too. shutdown() returns earlier, when the
//    server takes no more requests. If a fiber calls them, the handlers are fibers of its thread,
//    and the calls return as those of a ThreadingMixIn do.
//  - A handler or hook that blocks in a call outside plug (sleep_for, reading a file) blocks all
//    handlers. fiber::offload() runs such a call in a helper thread.
//  - Where a threading server would shut down a handler's connection, this server cancels the
//    handler: the call in which it waits, or the next one that would wait, throws CancelledError.
//    Its finish() is called, and may send remaining data for one more second.
//
// One thread uses one CPU. ServerGroup<FiberTCPServer> (server/group.hpp) runs one thread per CPU.
//
// Link with plug::fiber.

#include <plug/address.hpp>
#include <plug/constants.hpp>
#include <plug/detail/handler_fibers.hpp>
#include <plug/fiber/fiber.hpp>
#include <plug/server/options.hpp>
#include <plug/server/request_handler.hpp>
#include <plug/socketserver.hpp>
#include <plug/timeout.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

/// The options of FiberTCPServer and the other fiber servers. FiberMixIn describes the first four,
/// BaseServer and BaseServerOptions the others.
struct FiberServerOptions {
  Option<bool> daemon_threads{};
  Option<bool> block_on_close{};
  Option<bool> defer_until_readable{};
  Option<fiber::RunOptions> run_options{};  ///< such as fiber::RunOptions{.stack_size = 65536}
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

/// Handles each request in a new fiber: FiberMixIn<TCPServer>. Base may be your own server class;
/// its further constructor arguments follow bind_and_activate.
template <class Base>
class FiberMixIn : public Base {
 public:
  using Options = FiberServerOptions;

  template <class... More>
  FiberMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
             More&&... more)
      : FiberMixIn(std::move(address), std::move(handler),
                   FiberServerOptions{.bind_and_activate = bind_and_activate},
                   std::forward<More>(more)...) {}
  template <class... More>
  FiberMixIn(ServerAddress address, HandlerFactory handler, const FiberServerOptions& options,
             More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    set_attributes(options);
    this->complete(options.bind_and_activate);
  }
  ~FiberMixIn() override { this->end(); }

  /// If true, server_close() does not wait for handlers that start from now on. They are cancelled
  /// when serving by a plain thread ends, or else by the destructor, which waits for them.
  bool daemon_threads = false;
  /// Whether server_close() waits for handlers that start from now on. If false, they are treated
  /// as with daemon_threads.
  bool block_on_close = true;

  /// If true, the handler of a connection starts only when the first byte or the end of the stream
  /// arrives. Until then the connection needs a few hundred bytes, instead of a fiber and a stack
  /// of some kilobytes. Do not use if the handler sends first: its clients would wait forever.
  ///
  /// Meanwhile the request has already passed process_request() and counts for the limits. If the
  /// client is silent for longer than the connection's timeout, if the connection's lifetime is
  /// over, or if serving ends, shutdown_request() closes the connection without a handler.
  ///
  /// handle_request() waits for the first client that sends, and calls handle_timeout() if none
  /// does in time. Silent connections are kept for the next call, or until server_close().
  bool defer_until_readable = false;

  /// The options with which a plain thread that serves runs fibers. Their `stop` ends serving with
  /// CancelledError, and cancels the handlers.
  fiber::RunOptions run_options;

  /// Starts a fiber. If that fails, this request alone fails, with std::bad_alloc. Throws
  /// RuntimeError outside of a fiber, where the server itself never calls it.
  void process_request(Request& request, const Address& client_address) override {
    fibers_.start(*this,
                  [](BaseServer& server, Request& theirs, const Address& from) {
                    static_cast<FiberMixIn&>(server).process_request_thread(theirs, from);
                  },
                  request, client_address,
                  {block_on_close && !daemon_threads, defer_until_readable});
  }

  /// Runs in the fiber: calls finish_request(), handle_error() if that throws, and
  /// shutdown_request(). An exception that leaves this function is printed, unless it is a
  /// BaseException such as CancelledError.
  virtual void process_request_thread(Request& request, const Address& client_address) {
    this->process_apart(request, client_address);
  }

  /// Also waits for the handlers. Throws RuntimeError if one of them calls it.
  void server_close() override {
    Base::server_close();
    fibers_.join();
  }

 protected:
  /// Assigns each given option to its attribute.
  void set_attributes(const FiberServerOptions& options) {
    detail::assign_options(*this, options);
    options.daemon_threads.assign_to(daemon_threads);
    options.block_on_close.assign_to(block_on_close);
    options.defer_until_readable.assign_to(defer_until_readable);
    options.run_options.assign_to(run_options);
  }

  void run_serving(const std::function<void()>& serving) override {
    fibers_.run(serving, run_options);
  }
  [[nodiscard]] std::shared_ptr<void> run_in_background(std::function<void()> function) override {
    return detail::HandlerFibers::run_in_background(std::move(function));
  }
  void serving_has_ended() noexcept override {
    Base::serving_has_ended();
    fibers_.close_deferred();
  }
  void wait_for_handlers() noexcept override {
    fibers_.end();
    Base::wait_for_handlers();
  }

 private:
  detail::HandlerFibers fibers_;
};

using FiberTCPServer = FiberMixIn<TCPServer>;
using FiberUDPServer = FiberMixIn<UDPServer>;
using FiberUnixStreamServer = FiberMixIn<UnixStreamServer>;
using FiberUnixDatagramServer = FiberMixIn<UnixDatagramServer>;

}  // namespace plug

#pragma GCC visibility pop
