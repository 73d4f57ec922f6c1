#pragma once

#include <plug/address.hpp>
#include <plug/server/base.hpp>
#include <plug/server/request_handler.hpp>

#include <memory>

#pragma GCC visibility push(default)

namespace plug::detail {

/// The handler threads of a server.
class HandlerThreads {
 public:
  HandlerThreads();
  HandlerThreads(const HandlerThreads&) = delete;
  HandlerThreads& operator=(const HandlerThreads&) = delete;
  ~HandlerThreads();

  using Main = void (*)(BaseServer& server, Request& request, const Address& client_address);
  /// Starts a thread for the request. Takes the request unless it throws. `waited`: whether join()
  /// waits for the thread.
  void start(BaseServer& server, Main main, Request& request, const Address& client_address,
             bool waited);
  /// Releases threads that have ended.
  void collect() noexcept;
  /// Blocks until the threads with `waited` have ended.
  void join();
  /// Blocks until all threads have ended.
  void end() noexcept;

 private:
  struct Impl;

  /// Abandons the threads in a forked child: only the parent has them.
  void leave_to_parent();

  std::unique_ptr<Impl> impl_;
};

}  // namespace plug::detail

#pragma GCC visibility pop
