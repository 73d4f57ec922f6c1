#pragma once

// Network servers. A server calls a handler class (request_handler.hpp) for each request.
//
//   struct Echo : StreamRequestHandler {
//     void handle() override {
//       for (Bytes& line : rfile) wfile.write(line);
//     }
//   };
//   ThreadingTCPServer server({"127.0.0.1", 8000}, handler<Echo>);
//   server.serve_forever();
//
//                    one at a time       a thread each                  a process each
//   TCP              TCPServer           ThreadingTCPServer             ForkingTCPServer
//   UDP              UDPServer           ThreadingUDPServer             ForkingUDPServer
//   Unix, stream     UnixStreamServer    ThreadingUnixStreamServer      ForkingUnixStreamServer
//   Unix, datagrams  UnixDatagramServer  ThreadingUnixDatagramServer    ForkingUnixDatagramServer
//
// ThreadPoolTCPServer and the other ThreadPool servers use a bounded number of threads.
// server_group.hpp has groups of servers on one address. fiber_server.hpp has servers that handle
// each request in a fiber.
//
// Hooks. Each step is a virtual function that a subclass may override, as in Python:
//
//   opening   server_bind, server_activate
//   serving   get_request, verify_request, process_request -> finish_request, shutdown_request
//             -> close_request; service_actions in each turn; handle_timeout, handle_error
//   closing   server_close
//
// Subclasses. Virtual hooks must not run before the subclass is constructed or after it is
// destroyed. Therefore wrap your class T in Server<T>. It opens the server once T is constructed.
// It closes the server, joins its threads and reaps its children before any part of T is destroyed:
//
//   class Counting : public ThreadingTCPServer {
//    public:
//     using ThreadingTCPServer::ThreadingTCPServer;
//     bool verify_request(Request&, const Address&) override { return ++seen_ < 100; }
//    private:
//     int seen_ = 0;
//   };
//   Server<Counting> server({"127.0.0.1", 8000}, handler<Echo>);
//
// The attributes (allow_reuse_address, request_queue_size ...) are data members. A subclass sets
// them in its constructor. Without a subclass, construct the server with bind_and_activate = false,
// set them, and call server_bind() and server_activate().
//
// Errors. If handling a request throws, the server calls handle_error() and continues, even if the
// exception is not a std::exception. Only BaseException (error.hpp) and pthread_exit(3) bypass
// handle_error(). A client that disconnects before it is accepted is skipped. Do not call
// pthread_cancel(3) on a thread that uses plug: if it interrupts a call that waits, or a destructor
// that closes a file descriptor, the process ends by std::terminate().
//
// Stopping. shutdown() and stop_serving() end serve_forever(). Requests that are being handled
// continue, as in Python. A program that should exit on SIGINT and SIGTERM, and give such requests
// some seconds to finish, calls serve_until_signal() instead of serve_forever():
//
//   server.serve_until_signal(10);
//
// Threads. One thread serves. Any other thread may call shutdown() and stop_serving(), and also
// server_close() if the handlers run in threads. Set the attributes before serving.
//
// Python: https://docs.python.org/3/library/socketserver.html

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/error.hpp>
#include <plug/server/request_handler.hpp>
#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace plug::detail {

class ServerLoop;
struct ServerAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

/// The address of a server: a {host, port} pair, which server_bind() resolves, or any other
/// address. Owns its value, unlike an AddressLike.
class ServerAddress {
 public:
  /// Throws as HostPort's constructor does.
  ServerAddress(std::string_view host, int port, std::uint32_t flowinfo = 0,
                std::uint32_t scope_id = 0)
      : host_(host, port, flowinfo, scope_id) {}
  ServerAddress(HostPort address) : host_(std::move(address)) {}
  ServerAddress(const Address& address) : host_("", 0), address_(address), known_(true) {}
  /// Throws if the conversion to Address throws.
  template <detail::ConvertsToAddress T>
  ServerAddress(const T& address) : ServerAddress(static_cast<Address>(address)) {}

  /// Returns the argument for bind(). It is valid while this object lives.
  operator AddressLike() const { return known_ ? AddressLike(address_) : AddressLike(host_); }

 private:
  HostPort host_;
  Address address_;
  bool known_ = false;
};

std::string to_string(const ServerAddress& address);

/// The base class of all servers. Abstract: a subclass defines fileno() and get_request().
class BaseServer {
 public:
  BaseServer(const BaseServer&) = delete;
  BaseServer& operator=(const BaseServer&) = delete;
  virtual ~BaseServer();

  // --- attributes ---

  /// The timeout of handle_request(). serve_forever() ignores it.
  Timeout timeout;
  AF address_family = AF::INET;
  SOCK socket_type = SOCK::STREAM;
  /// The backlog of listen(): how many clients may wait to be accepted. The system limits it to
  /// net.core.somaxconn. Python's default is 5; if more clients connect at once, some wait for
  /// seconds.
  int request_queue_size = SOMAXCONN_;
  /// Sets SO_REUSEADDR. True by default for TCP servers, which can then restart while connections
  /// of the previous process linger. Python's default is false.
  bool allow_reuse_address = false;
  /// Sets SO_REUSEPORT for IPv4 and IPv6. Ignored for other families.
  bool allow_reuse_port = false;

  /// The address that server_bind() has bound, with the port that the system chose for port 0.
  /// Empty before. If you assign an address earlier, server_bind() uses it instead of the
  /// constructor's.
  Address server_address;
  /// The listening socket, or the socket of a datagram server. Serving sets a listening socket to
  /// non-blocking mode, regardless of its timeout. A datagram socket keeps its mode, because
  /// handlers use it.
  Socket socket;
  HandlerFactory RequestHandlerClass;

  // --- attributes beyond Python's; for connections, not for datagrams ---

  /// The maximum number of connections at a time; 0 means no limit. At the limit the server accepts
  /// no more until one has ended: clients wait in the queue.
  int max_connections = 0;
  /// The maximum number of connections from one host; 0 means no limit. The server closes further
  /// connections at once, before verify_request().
  int max_connections_per_address = 0;
  /// How many leading bits of an address identify a host for that limit; negative means all. An
  /// IPv6 host usually has a /64 network, and any number of addresses in it. An IPv4-mapped IPv6
  /// address (::ffff:192.0.2.1) counts as IPv4. Link-local addresses count in full, with their
  /// interface.
  int ipv4_prefix_length = 32;
  int ipv6_prefix_length = 64;
  /// The timeout of each call on a connection. If the client is silent for longer, the call of the
  /// handler throws TimeoutError.
  Timeout connection_timeout;
  /// The maximum duration of a connection, however busy it is. When it has passed, the call in
  /// progress throws TimeoutError. The next call closes the connection and fails with EBADF, as
  /// later ones do.
  Timeout connection_lifetime;

  // --- serving ---

  /// Handles requests until shutdown(). Calls service_actions() after each request and at least
  /// every `poll_interval`. shutdown() does not wait for that interval.
  ///
  /// Throws ValueError if there is no file descriptor; OSError EBADF if server_close() is called
  /// meanwhile; RuntimeError if a subclass is not in a Server<>. Exceptions of these hooks
  /// propagate: get_request() (except OSError), verify_request(), handle_error(),
  /// handle_exhaustion(), service_actions(), and shutdown_request() of a request that was rejected
  /// or has failed.
  void serve_forever(Timeout poll_interval = 0.5);

  /// Serves as serve_forever() does, until one of `signals` arrives (by default SIGINT or SIGTERM),
  /// or shutdown() or stop_serving() is called. Returns the signal's number, or 0. Beyond Python.
  ///
  /// Stopping. A stream server closes its listening socket, so that clients are refused from then
  /// on. A server that handles requests one at a time first finishes the current one, while clients
  /// wait in the queue. Requests that are being handled, or wait in a pool's queue, may continue
  /// for `drain_timeout`: zero ends them at once, std::nullopt sets no limit. A datagram server
  /// keeps its socket open for their replies. A second signal ends this drain time at once. When it
  /// is over, the server shuts down the remaining connections, so that calls on them fail or return
  /// the end of the stream. It closes queued requests unhandled, and sends SIGTERM to child
  /// processes. From then on signals have their previous effect again, so that another one may end
  /// the program. This call does not wait for handlers that still do not return; server_close(),
  /// which the destructor calls, does.
  ///
  /// Signals. The call replaces the action of each signal, even if it was ignored, and restores it
  /// afterwards. A signal may arrive in any thread. If the calling thread blocks a signal, the call
  /// unblocks it, and a pending one ends the call: a program that must not miss an early signal
  /// blocks it before it creates the server. Several servers may wait for the same signal; it ends
  /// each of them. A child process of ForkingMixIn is ended by SIGTERM and ignores the other
  /// signals, which a terminal sends to it too.
  ///
  /// Throws as serve_forever() does; OSError EINVAL if a number is not a signal or cannot be
  /// caught; RuntimeError if the helper thread that runs during the call cannot be started.
  int serve_until_signal(Timeout drain_timeout = 0, Timeout poll_interval = 0.5,
                         const std::vector<int>& signals = {2, 15});

  /// Waits for one request and handles it. Calls handle_timeout() if none arrives within `timeout`
  /// or the socket's timeout, whichever is less. Works again after serve_until_signal(), once a
  /// stream server has been bound and activated again. Throws as serve_forever() does.
  void handle_request();

  /// Ends serve_forever(), and returns when it has ended: at once if it waits, else after the
  /// current request. For serve_until_signal() that includes the drain time, so a handler should
  /// call stop_serving() instead. If the server is not serving, returns at once, and the next call
  /// that serves ends at once (Python's shutdown() blocks until a serve_forever() has ended).
  ///
  /// Throws RuntimeError in the thread of serve_forever(), where it would deadlock, and in a forked
  /// child.
  void shutdown();

  /// Like shutdown(), but does not wait. For handlers of a server without threads, and for signal
  /// handlers: it is async-signal-safe. Does nothing in a forked child.
  void stop_serving() noexcept;

  /// Returns the file descriptor that becomes readable when a request arrives, for example for a
  /// selector; -1 if the server is closed.
  virtual int fileno() const = 0;

  // --- hooks ---

  /// Binds the socket and sets server_address.
  virtual void server_bind() {}
  /// Starts to accept requests.
  virtual void server_activate() {}
  /// Releases the server's resources. Idempotent. The destructor (for a subclass, that of Server<>)
  /// calls it, so call it only if something must happen after it, or to see its errors.
  virtual void server_close() {}

  /// Returns the next request and its client's address, without waiting. An OSError means that
  /// there is no request after all.
  virtual std::pair<Request, Address> get_request() = 0;
  /// Returns true to process the request, false to close it. The default returns true.
  virtual bool verify_request(Request& request, const Address& client_address);
  /// Calls finish_request() and shutdown_request() in this thread. The mixins override it.
  virtual void process_request(Request& request, const Address& client_address);
  /// Calls the handler, RequestHandlerClass.
  virtual void finish_request(Request& request, const Address& client_address);
  /// Ends a request: calls close_request().
  virtual void shutdown_request(Request& request);
  virtual void close_request(Request& request);

  /// Called in each turn of serve_forever().
  virtual void service_actions() {}
  /// Called by handle_request() if no request has arrived in time.
  virtual void handle_timeout() {}

  /// Called if processing a request has thrown; std::current_exception() is the exception. The
  /// default prints the client, the exception's type and its text to standard error, in one write.
  virtual void handle_error(Request& request, const Address& client_address);

  /// Called if accepting fails for lack of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM,
  /// for epoll ENOSPC), once until accepting succeeds again. After each failure the server stops
  /// accepting for 50 ms, while clients wait in the queue. The default prints one line to standard
  /// error. Beyond Python, whose servers retry in a busy loop.
  virtual void handle_exhaustion(const OSError& error);

 protected:
  BaseServer(ServerAddress address, HandlerFactory handler);

  /// Opens the server: calls server_bind() and server_activate(), and server_close() if one of them
  /// throws. Each class that can be used without deriving from it must call this last in its
  /// constructor. From then on an object of exactly that class can serve. Throws RuntimeError if a
  /// base class has opened the server already.
  void complete(bool bind_and_activate);

  /// Calls server_close(), ignoring its errors. Then shuts down the connections that are still
  /// being handled, and calls wait_for_handlers(). Each such class must call this first in its
  /// destructor. Further calls do nothing.
  void end() noexcept;

  /// Blocks until no handler uses this server any more.
  virtual void wait_for_handlers() noexcept {}

  /// Calls `serving`, the loop that takes requests, once, where the handlers can run. Here that is
  /// the calling thread.
  virtual void run_serving(const std::function<void()>& serving);

  /// Runs `function`, which must not throw, concurrently with serving: in a thread that blocks
  /// signals. Destroying the result waits for its end. Throws RuntimeError if no thread can be
  /// started.
  virtual std::shared_ptr<void> run_beside(std::function<void()> function);

  /// Called when serve_forever() stops taking requests, before shutdown() returns.
  virtual void serving_has_ended() noexcept {}

  /// Processes one request in its thread: calls finish_request(), handle_error() if that throws,
  /// and shutdown_request().
  void process_apart(Request& request, const Address& client_address);

  /// Returns the address that the constructor was given.
  const ServerAddress& requested_address() const noexcept { return requested_; }

 private:
  friend struct detail::ServerAccess;

  void check_complete(std::string_view call) const;
  void check_shutdown() const;
  void serve(const Timeout& poll_interval);
  void handle_one();
  bool handle_ready();
  int serve_and_drain(const Timeout& drain_timeout, const Timeout& poll_interval,
                      const std::vector<int>& signals);
  bool admit(Request& request, const Address& client_address);
  void process(Request& request, const Address& client_address);

  ServerAddress requested_;
  std::unique_ptr<detail::ServerLoop> loop_;
  const std::type_info* complete_as_ = nullptr;
  bool opened_ = false;
  bool ended_ = false;
};

/// Serves TCP connections.
class TCPServer : public BaseServer {
 public:
  /// Creates the socket; binds it and listens unless bind_and_activate is false. Throws ValueError
  /// without a handler; OSError, naming the address.
  TCPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
  ~TCPServer() override;

  int fileno() const override { return socket.fileno(); }

  /// Applies allow_reuse_address and allow_reuse_port. Binds to server_address or, if that is
  /// empty, to the constructor's address, and updates server_address. First creates a new socket if
  /// it is closed, or if address_family or socket_type has changed.
  void server_bind() override;
  /// Calls listen(request_queue_size).
  void server_activate() override;
  /// Closes the socket.
  void server_close() override;

  /// Accepts a connection, without waiting.
  std::pair<Request, Address> get_request() override;
  /// Calls shutdown(SHUT::WR), ignoring its errors, and close_request().
  void shutdown_request(Request& request) override;
  /// Closes the connection.
  void close_request(Request& request) override;

 protected:
  /// Creates no socket: the subclass's constructor must call make_socket() and complete().
  TCPServer(AF family, SOCK type, ServerAddress address, HandlerFactory handler);

  void make_socket();
};

/// Serves UDP datagrams. shutdown_request() and close_request() do nothing.
class UDPServer : public TCPServer {
 public:
  UDPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);

  /// The maximum size of a datagram, in bytes. A longer one is truncated.
  std::ptrdiff_t max_packet_size = 8192;

  /// Receives one datagram, without waiting.
  std::pair<Request, Address> get_request() override;
  /// Does nothing: datagrams arrive without listening.
  void server_activate() override {}
  void shutdown_request(Request& request) override;
  void close_request(Request& request) override;

 protected:
  /// Does not call complete().
  UDPServer(AF family, ServerAddress address, HandlerFactory handler);
};

/// Serves connections at a Unix address: UnixStreamServer server(UnixAddress{"/run/app"}, ...). The
/// path remains after the server has closed, as in Python.
class UnixStreamServer : public TCPServer {
 public:
  UnixStreamServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
};

/// Serves datagrams at a Unix address.
class UnixDatagramServer : public UDPServer {
 public:
  UnixDatagramServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
};

/// How ThreadPoolMixIn treats a request if the queue is full.
enum class FullQueue {
  wait,         ///< stops accepting until there is room; clients wait in the listen queue
  refuse,       ///< closes the request
  close_oldest  ///< closes the request that has waited longest, and queues this one
};

namespace detail {

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

/// Handles a request in a child process. Returns the child's process ID.
int fork_request(BaseServer& server, Request& request, const Address& client_address);
/// Reaps children that have ended. Waits until fewer than `most` are left or, if `blocking`, none.
void collect_children(BaseServer& server, std::vector<int>& children, std::size_t most,
                      bool blocking);

/// Converts to bool, with the value false, and to nothing else. A plain false converts to more
/// types.
struct Unopened {
  template <std::same_as<bool> T>
  operator T() const noexcept {
    return false;
  }
};

/// True if T can be constructed from (address, handler, bind_and_activate, more...).
template <class T, class... More>
inline constexpr bool kTold =
    std::is_constructible_v<T, ServerAddress, HandlerFactory, Unopened, More...>;
/// True if the first of these is bind_and_activate.
template <class T, class... More>
inline constexpr bool kTelling = false;
template <class T, class... More>
inline constexpr bool kTelling<T, bool, More...> = kTold<T, More...>;
/// True if these begin with an address and a handler.
template <class... Any>
inline constexpr bool kServerArguments = false;
template <class A, class H, class... More>
inline constexpr bool kServerArguments<A, H, More...> =
    std::convertible_to<A, ServerAddress>&& std::convertible_to<H, HandlerFactory>;
/// True if T can be constructed from (address, handler, more...), without bind_and_activate.
template <class T, class... More>
concept Untold = !kTold<T, More...> && !kTelling<T, std::remove_cvref_t<More>...> &&
                 std::is_constructible_v<T, ServerAddress, HandlerFactory, More...>;

}  // namespace detail

/// Handles each request in a new thread: ThreadingMixIn<TCPServer>. Base may be your own server
/// class; its further constructor arguments follow bind_and_activate.
template <class Base>
class ThreadingMixIn : public Base {
 public:
  template <class... More>
  ThreadingMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
                 More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    this->complete(bind_and_activate);
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
  void wait_for_handlers() noexcept override {
    threads_.end();
    Base::wait_for_handlers();
  }

 private:
  detail::HandlerThreads threads_;
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
  template <class... More>
  ForkingMixIn(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true,
               More&&... more)
      : Base(std::move(address), std::move(handler), false, std::forward<More>(more)...) {
    this->timeout = 300;
    this->complete(bind_and_activate);
  }
  ~ForkingMixIn() override { this->end(); }

  /// The maximum number of children, at least 1. With that many, the server waits until one has
  /// ended before it continues.
  int max_children = 40;
  /// Whether server_close() waits for all children.
  bool block_on_close = true;
  /// The process IDs of the children that have not been reaped.
  std::vector<int> active_children;

  /// Reaps children of this server that have ended, and no other processes. Blocks while there are
  /// max_children and, if `blocking`, until all have ended. shutdown() also ends the wait for
  /// max_children.
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
};

using ThreadingTCPServer = ThreadingMixIn<TCPServer>;
using ThreadingUDPServer = ThreadingMixIn<UDPServer>;
using ThreadingUnixStreamServer = ThreadingMixIn<UnixStreamServer>;
using ThreadingUnixDatagramServer = ThreadingMixIn<UnixDatagramServer>;
using ThreadPoolTCPServer = ThreadPoolMixIn<TCPServer>;
using ThreadPoolUDPServer = ThreadPoolMixIn<UDPServer>;
using ThreadPoolUnixStreamServer = ThreadPoolMixIn<UnixStreamServer>;
using ThreadPoolUnixDatagramServer = ThreadPoolMixIn<UnixDatagramServer>;
using ForkingTCPServer = ForkingMixIn<TCPServer>;
using ForkingUDPServer = ForkingMixIn<UDPServer>;
using ForkingUnixStreamServer = ForkingMixIn<UnixStreamServer>;
using ForkingUnixDatagramServer = ForkingMixIn<UnixDatagramServer>;

/// Opens a server of your class T once T is constructed, and closes it before any part of T is
/// destroyed (see the top of this file). Its constructor arguments are those of T:
///
///   Server<T> server(address, handler);                 T(address, handler, false)
///   Server<T> server(address, handler, false);          the same, but not opened
///   Server<T> server(address, handler, true, more...);  T(address, handler, false, more...)
///   Server<T> server(anything...);                      T(anything...)
///
/// T passes the false on to its base. If T has no such parameter, it passes false to its base
/// itself. Exceptions of T and its hooks propagate. Throws RuntimeError if T has opened itself.
template <std::derived_from<BaseServer> T>
class Server final : public T {
 public:
  template <class... More>
  requires detail::kTold<T, More...> Server(ServerAddress address, HandlerFactory handler,
                                            bool bind_and_activate = true, More&&... more)
      : T(std::move(address), std::move(handler), detail::Unopened{}, std::forward<More>(more)...) {
    this->complete(bind_and_activate);
  }

  template <class... More>
  requires detail::Untold<T, More...> Server(ServerAddress address, HandlerFactory handler,
                                             More&&... more)
      : T(std::move(address), std::move(handler), std::forward<More>(more)...) {
    this->complete(true);
  }

  template <class... Any>
  requires(!detail::kServerArguments<Any...> &&
           std::is_constructible_v<T, Any...>) explicit Server(Any&&... any)
      : T(std::forward<Any>(any)...) {
    this->complete(true);
  }

  ~Server() override { this->end(); }
};

}  // namespace plug

#pragma GCC visibility pop
