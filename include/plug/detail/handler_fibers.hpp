#pragma once

// The handler fibers of a server: the internal part of plug/fiber/server.hpp.

#include <plug/address.hpp>
#include <plug/detail/handler_threads.hpp>
#include <plug/fiber/fiber.hpp>
#include <plug/server/base.hpp>
#include <plug/server/request_handler.hpp>

#include <functional>
#include <memory>

#pragma GCC visibility push(default)

namespace plug::detail {

/// The handler fibers of a server.
class HandlerFibers {
 public:
  HandlerFibers();
  HandlerFibers(const HandlerFibers&) = delete;
  HandlerFibers& operator=(const HandlerFibers&) = delete;
  ~HandlerFibers();

  using Main = HandlerThreads::Main;
  struct How {
    bool waited;    // join() and run() wait for it
    bool deferred;  // starts when the first byte arrives
  };
  /// Starts a fiber for the request. Takes the request unless it throws.
  void start(BaseServer& server, Main main, Request& request, const Address& client_address,
             How how);
  /// Calls `serving` in a fiber. On a plain thread it runs fibers, and returns when the handlers
  /// have ended too.
  void run(const std::function<void()>& serving, const plug::fiber::RunOptions& options);
  /// Calls `function` in a new fiber. Destroying the result waits for its end.
  [[nodiscard]] static std::shared_ptr<void> run_in_background(std::function<void()> function);
  /// Closes the connections of the caller's thread on which nothing has arrived yet.
  void close_deferred() noexcept;
  /// Blocks until the handlers with `waited` have ended.
  void join();
  /// Blocks until all handlers have ended.
  void end() noexcept;

 private:
  struct Impl;

  /// Abandons the handlers in a forked child: only the parent has them.
  void leave_to_parent();

  std::unique_ptr<Impl> impl_;
};

}  // namespace plug::detail

#pragma GCC visibility pop
