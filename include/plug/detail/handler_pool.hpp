#pragma once

#include <plug/address.hpp>
#include <plug/detail/handler_threads.hpp>
#include <plug/server/base.hpp>
#include <plug/server/request_handler.hpp>

#include <memory>

#pragma GCC visibility push(default)

namespace plug {

enum class FullQueue;

namespace detail {

/// The attributes of ThreadPoolMixIn.
struct PoolLimits {
  int max_workers;
  int max_queue;
  FullQueue when_full;
};

/// The worker threads of a server, and their queue.
class HandlerPool {
 public:
  HandlerPool();
  HandlerPool(const HandlerPool&) = delete;
  HandlerPool& operator=(const HandlerPool&) = delete;
  ~HandlerPool();

  using Main = HandlerThreads::Main;
  /// Passes the request to a worker or to the queue. Takes the request unless it throws or, for
  /// lack of room, closes it.
  void submit(BaseServer& server, Main main, Request& request, const Address& client_address,
              const PoolLimits& limits);
  /// Blocks until all queued requests have been handled, and ends the workers.
  void join();
  /// Drops the queue and ends the workers.
  void end() noexcept;

 private:
  struct Impl;

  /// Abandons the threads in a forked child: only the parent has them.
  void leave_to_parent();

  std::unique_ptr<Impl> impl_;
};

}  // namespace detail

}  // namespace plug

#pragma GCC visibility pop
