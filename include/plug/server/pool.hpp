#pragma once

// Servers that handle requests in a bounded number of threads.

#include <plug/detail/handler_pool.hpp>
#include <plug/server/servers.hpp>

#include <utility>

#pragma GCC visibility push(default)

namespace plug {

/// How ThreadPoolMixIn treats a request if the queue is full.
enum class FullQueue {
  wait,         ///< stops accepting until there is room; clients wait in the listen queue
  refuse,       ///< closes the request
  close_oldest  ///< closes the request that has waited longest, and queues this one
};

/// Handles requests in a bounded number of threads: ThreadPoolMixIn<TCPServer>. Otherwise like
/// ThreadingMixIn. Beyond Python.
template <class Base>
class ThreadPoolMixIn : public Base {
 public:
  template <class... More>
  ThreadPoolMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
                  More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    this->complete(bind_and_activate);
  }
  ~ThreadPoolMixIn() override { this->end(); }

  int max_workers = 16;  ///< the maximum number of threads, at least 1; started on demand
  int max_queue = 64;    ///< the maximum number of requests that wait for a worker
  FullQueue when_full = FullQueue::wait;

  /// Passes the request to a worker or to the queue. Throws RuntimeError if there is no worker and
  /// none can be started. shutdown() ends a wait for room and closes the request.
  void process_request(Request& request, const Address& client_address) override {
    pool_.submit(*this,
                 [](BaseServer& server, Request& theirs, const Address& from) {
                   static_cast<ThreadPoolMixIn&>(server).process_request_thread(theirs, from);
                 },
                 request, client_address, {max_workers, max_queue, when_full});
  }

  /// Runs in a worker for each request, as in ThreadingMixIn.
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
