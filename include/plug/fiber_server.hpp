#pragma once

// Servers whose handlers run in fibers (fiber.hpp): the handlers of socketserver.hpp, unchanged, by
// the thousand in one thread.
//
//   FiberTCPServer server({"127.0.0.1", 8000}, handler<Echo>);
//   server.serve_forever();
//
//   TCP  FiberTCPServer         Unix, stream     FiberUnixStreamServer
//   UDP  FiberUDPServer         Unix, datagrams  FiberUnixDatagramServer
//
// They have what ThreadingTCPServer and its like have, under the same names. What differs comes
// from there being one thread:
//
//  - serve_forever(), serve_until_signal() and handle_request(), when they are called by a plain
//    thread, run fibers in it, and return only when the handlers have ended as well. shutdown()
//    returns before that, when no more requests are taken. Called in a fiber they are a part of
//    that thread's fibers, and return as those of a ThreadingMixIn do.
//  - A handler that blocks in anything but plug (sleep_for, reading a file) holds up all others.
//    So do the hooks.
//  - A handler whose time is over is cancelled: CancelledError in the call in which it waits, or in
//    the next that would. Its finish() is called, and may send what is left for a second more.
//
// A processor runs one thread: ServerGroup<FiberTCPServer> (server_group.hpp) has one for each.
//
// Link with plug::fiber.

#include <plug/address.hpp>
#include <plug/fiber.hpp>
#include <plug/request_handler.hpp>
#include <plug/socketserver.hpp>

#include <functional>
#include <memory>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

namespace detail {

/// The fibers of a server.
class HandlerFibers {
 public:
  HandlerFibers();
  HandlerFibers(const HandlerFibers&) = delete;
  HandlerFibers& operator=(const HandlerFibers&) = delete;
  ~HandlerFibers();

  using Main = HandlerThreads::Main;
  struct How {
    bool waited;         // for join() and run()
    bool at_first_byte;  // not before
  };
  /// Takes the request, unless it throws.
  void start(BaseServer& server, Main main, Request& request, const Address& client_address,
             How how);
  /// Calls `serving` in a fiber; where there has not been any before, returns when the handlers
  /// have ended too.
  void run(const std::function<void()>& serving, const fiber::RunOptions& options);
  /// Calls `function` in a fiber of its own, whose end the result waits for when it is destroyed.
  static std::shared_ptr<void> run_beside(std::function<void()> function);
  /// Closes the connections on which nothing has come yet, of the caller's thread.
  void close_silent() noexcept;
  /// Waits for the handlers that are waited for.
  void join();
  /// Waits for all.
  void end() noexcept;

 private:
  struct Impl;

  /// In a forked child the handlers are the parent's.
  void leave_to_parent();

  std::unique_ptr<Impl> impl_;
};

}  // namespace detail

/// A server that handles each request in a fiber of its own: FiberMixIn<TCPServer>. Base may be a
/// server of your own too; what its constructor takes after bind_and_activate comes last.
template <class Base>
class FiberMixIn : public Base {
 public:
  template <class... More>
  FiberMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
             More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    this->complete(bind_and_activate);
  }
  ~FiberMixIn() override { this->end(); }

  /// Whether server_close() leaves out the handlers that begin from now on. Those are cancelled
  /// when the serving by a plain thread ends; and else by the destructor, which waits for them.
  bool daemon_threads = false;
  /// Whether server_close() waits for the handlers that begin from now on. Without it they are as
  /// those of daemon_threads.
  bool block_on_close = true;

  /// Whether the handler of a connection begins with the first byte that comes, or with the end of
  /// the stream: a silent client then takes neither a fiber nor its stack, a few hundred bytes in
  /// place of some kilobytes. Not for handlers that speak first, whose clients would wait for ever.
  ///
  /// Until then the request has been processed as far as process_request(), and counts for the
  /// limits. When the client is silent for longer than the connection's time-out, its lifetime is
  /// over, or the serving ends, the connection is closed by shutdown_request() without a handler.
  ///
  /// handle_request() waits for the first client that speaks, and handle_timeout() is called when
  /// none does in time. Silent ones stay for the next call, or until server_close().
  bool start_at_first_byte = false;

  /// Of the fibers, where a plain thread serves. Their `stop` ends the serving with CancelledError,
  /// and cancels the handlers.
  fiber::RunOptions run_options;

  /// Starts a fiber. When there can be none it is this request that fails, with std::bad_alloc.
  /// Throws RuntimeError outside of a fiber, where nothing but a call of one's own is.
  void process_request(Request& request, const Address& client_address) override {
    fibers_.start(*this,
                  [](BaseServer& server, Request& theirs, const Address& from) {
                    static_cast<FiberMixIn&>(server).process_request_thread(theirs, from);
                  },
                  request, client_address,
                  {block_on_close && !daemon_threads, start_at_first_byte});
  }

  /// What the fiber does: finish_request(), or handle_error() when that throws, then
  /// shutdown_request(). What leaves it is printed, but for a BaseException, as CancelledError is.
  virtual void process_request_thread(Request& request, const Address& client_address) {
    this->process_apart(request, client_address);
  }

  /// Also waits for the handlers. Throws RuntimeError from one of them.
  void server_close() override {
    Base::server_close();
    fibers_.join();
  }

 protected:
  void run_serving(const std::function<void()>& serving) override {
    fibers_.run(serving, run_options);
  }
  std::shared_ptr<void> run_beside(std::function<void()> function) override {
    return detail::HandlerFibers::run_beside(std::move(function));
  }
  void serving_has_ended() noexcept override {
    Base::serving_has_ended();
    fibers_.close_silent();
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
