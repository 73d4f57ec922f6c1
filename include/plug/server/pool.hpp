#pragma once

// Servers that handle requests in a bounded number of threads.

#include <plug/constants.hpp>
#include <plug/detail/handler_pool.hpp>
#include <plug/server/options.hpp>
#include <plug/server/servers.hpp>
#include <plug/timeout.hpp>

#include <cstddef>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

/// How ThreadPoolMixIn treats a request if the queue is full.
enum class FullQueue {
  wait,         ///< stops accepting until there is room; clients wait in the listen queue
  refuse,       ///< closes the request
  close_oldest  ///< closes the request that has waited longest, and queues this one
};

/// The options of ThreadPoolTCPServer and the other pool servers. ThreadPoolMixIn describes the
/// first three, BaseServer and BaseServerOptions the others.
struct ThreadPoolOptions {
  Option<int> max_workers{};
  Option<int> max_queue{};
  Option<FullQueue> when_full{};
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

/// Handles requests in a bounded number of threads: ThreadPoolMixIn<TCPServer>. Otherwise like
/// ThreadingMixIn. Not in Python.
template <class Base>
class ThreadPoolMixIn : public Base {
 public:
  using Options = ThreadPoolOptions;

  template <class... More>
  ThreadPoolMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
                  More&&... more)
      : ThreadPoolMixIn(std::move(address), std::move(handler),
                        ThreadPoolOptions{.bind_and_activate = bind_and_activate},
                        std::forward<More>(more)...) {}
  template <class... More>
  ThreadPoolMixIn(ServerAddress address, HandlerFactory handler, const ThreadPoolOptions& options,
                  More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    set_attributes(options);
    this->complete(options.bind_and_activate);
  }
  ~ThreadPoolMixIn() override { this->end(); }

  int max_workers = 16;  ///< the maximum number of threads, at least 1; started on demand
  int max_queue = 64;    ///< the maximum number of requests that wait for a thread
  FullQueue when_full = FullQueue::wait;

  /// Passes the request to a worker thread, or adds it to the queue. If the queue is full, does
  /// what `when_full` says; shutdown() ends a wait for room and closes the request. Throws
  /// RuntimeError if there is no worker and none can be started.
  void process_request(Request& request, const Address& client_address) override {
    pool_.submit(*this,
                 [](BaseServer& server, Request& theirs, const Address& from) {
                   static_cast<ThreadPoolMixIn&>(server).process_request_thread(theirs, from);
                 },
                 request, client_address, {max_workers, max_queue, when_full});
  }

  /// Runs in a worker thread for each request, as in ThreadingMixIn.
  virtual void process_request_thread(Request& request, const Address& client_address) {
    this->process_apart(request, client_address);
  }

  /// Also waits until all requests, queued ones included, have been handled. Throws RuntimeError if
  /// a worker calls it.
  void server_close() override {
    Base::server_close();
    pool_.join();
  }

 protected:
  /// Assigns each given option to its attribute.
  void set_attributes(const ThreadPoolOptions& options) {
    detail::assign_options(*this, options);
    options.max_workers.assign_to(max_workers);
    options.max_queue.assign_to(max_queue);
    options.when_full.assign_to(when_full);
  }

  void wait_for_handlers() noexcept override {
    pool_.end();
    Base::wait_for_handlers();
  }

 private:
  detail::HandlerPool pool_;
};

using ThreadPoolTCPServer = ThreadPoolMixIn<TCPServer>;
using ThreadPoolUDPServer = ThreadPoolMixIn<UDPServer>;
using ThreadPoolUnixStreamServer = ThreadPoolMixIn<UnixStreamServer>;
using ThreadPoolUnixDatagramServer = ThreadPoolMixIn<UnixDatagramServer>;

}  // namespace plug

#pragma GCC visibility pop
