#pragma once

// Servers, which are given a handler class (request_handler.hpp).
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
// and ThreadPoolTCPServer with its like, for a bounded number of threads. server_group.hpp has
// several servers on one address, fiber_server.hpp those that handle each request in a fiber.
//
// Hooks. Every step is a virtual function that a subclass may override, and calls as Python's:
//
//   opening   server_bind, server_activate
//   serving   get_request, verify_request, process_request -> finish_request, shutdown_request
//             -> close_request; service_actions each turn; handle_timeout, handle_error
//   closing   server_close
//
// A subclass. Opening and closing call hooks, which must not happen while a part of the subclass is
// not there yet, or no more. So a class of your own is wrapped in Server, which opens it once it is
// complete and closes it, with its threads joined and its children reaped, before any part of it is
// destroyed:
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
// The attributes (allow_reuse_address, request_queue_size ...) are members, which a subclass sets
// in its constructor. Without a subclass: construct with bind_and_activate = false, set them, and
// call server_bind() and server_activate().
//
// Errors. What is thrown while one request is handled goes to handle_error() and the server goes
// on; so does what is no std::exception. Only BaseException (error.hpp) and the end of a thread by
// pthread_exit(3) pass through. A client that is gone before it is accepted is passed over.
// pthread_cancel(3) is not for threads that use plug: where it hits a call that waits, or a
// destructor that closes a descriptor, the process ends by std::terminate().
//
// Ending. shutdown() and stop_serving() end the serving and leave alone what is being handled, as
// in Python. A program that is to end on SIGINT and SIGTERM, with some seconds for the requests
// that are being handled, calls serve_until_signal() in place of serve_forever():
//
//   server.serve_until_signal(10);
//
// Threads. One thread serves; shutdown() and stop_serving() may be called from any other, and where
// threads handle requests server_close() too. Attributes are set before serving.
//
// Python: https://docs.python.org/3/library/socketserver.html

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/error.hpp>
#include <plug/request_handler.hpp>
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

/// Where a server is to be: a {host, port} pair, which is looked up when the server binds, or any
/// address. Unlike an AddressLike it owns what it was made from.
class ServerAddress {
 public:
  /// Throws as HostPort's constructor does.
  ServerAddress(std::string_view host, int port, std::uint32_t flowinfo = 0,
                std::uint32_t scope_id = 0)
      : host_(host, port, flowinfo, scope_id) {}
  ServerAddress(HostPort address) : host_(std::move(address)) {}
  ServerAddress(const Address& address) : host_("", 0), address_(address), known_(true) {}
  /// Throws what the conversion throws.
  template <detail::ConvertsToAddress T>
  ServerAddress(const T& address) : ServerAddress(static_cast<Address>(address)) {}

  /// What bind() takes, for as long as this lives.
  operator AddressLike() const { return known_ ? AddressLike(address_) : AddressLike(host_); }

 private:
  HostPort host_;
  Address address_;
  bool known_ = false;
};

std::string to_string(const ServerAddress& address);

/// What all servers have. Not a server itself: fileno() and get_request() are a subclass's.
class BaseServer {
 public:
  BaseServer(const BaseServer&) = delete;
  BaseServer& operator=(const BaseServer&) = delete;
  virtual ~BaseServer();

  // --- attributes ---

  /// How long handle_request() waits. serve_forever() takes no notice of it.
  Timeout timeout;
  AF address_family = AF::INET;
  SOCK socket_type = SOCK::STREAM;
  /// How many clients may wait to be accepted: listen()'s backlog, of which the system takes what
  /// net.core.somaxconn allows. Python's is 5: when more clients come at once, some wait seconds.
  int request_queue_size = SOMAXCONN_;
  /// SO_REUSEADDR. True for servers over TCP, which may then begin again while connections of the
  /// last one linger; false in Python.
  bool allow_reuse_address = false;
  /// SO_REUSEPORT, which IPv4 and IPv6 have; no notice is taken of it in other families.
  bool allow_reuse_port = false;

  /// Where the server is, once server_bind() has bound it; empty before, unless an Address was
  /// given. With port 0 it holds the port that the system chose.
  Address server_address;
  /// The listening socket, or the one that datagrams come to. Serving puts the former into
  /// non-blocking mode, whatever its time-out; the latter, which handlers use, stays as it is.
  Socket socket;
  HandlerFactory RequestHandlerClass;

  // --- attributes beyond Python's; of connections, not of datagrams ---

  /// How many connections there may be at once; no limit when zero. At the limit no more are
  /// accepted until one has ended: clients wait in the queue.
  int max_connections = 0;
  /// How many of them may come from one host; no limit when zero. More are closed at once, before
  /// verify_request().
  int max_connections_per_address = 0;
  /// How many of the first bits of an address tell hosts apart for that; all of them when negative.
  /// An IPv6 host usually has a network of 64 bits, with any number of addresses. An IPv4 address
  /// counts as such in its IPv6 form too (::ffff:192.0.2.1). Link-local addresses count whole,
  /// together with their interface.
  int ipv4_prefix_length = 32;
  int ipv6_prefix_length = 64;
  /// The time-out of each call on a connection: a client that is silent for longer ends with
  /// TimeoutError in its handler.
  Timeout connection_timeout;
  /// How long a connection may last in all, however busy it is. The call that is under way then
  /// ends with TimeoutError, and the connection is closed: later calls fail with EBADF.
  Timeout connection_lifetime;

  // --- serving ---

  /// Handles requests until shutdown(), calling service_actions() after each, and at least every
  /// `poll_interval`. shutdown() does not have to wait for that.
  ///
  /// Throws ValueError without a descriptor; OSError EBADF when server_close() is called meanwhile;
  /// RuntimeError for a subclass that is not in a Server<>; whatever the hooks for opening a
  /// request throw (get_request() but for OSError, verify_request(), handle_error(),
  /// service_actions()).
  void serve_forever(Timeout poll_interval = 0.5);

  /// serve_forever() until one of the signals comes (by default SIGINT and SIGTERM), or shutdown()
  /// or stop_serving() is called. Returns the signal's number, or 0. Beyond Python.
  ///
  /// When it has been told to end, a server of connections closes its socket, so that clients are
  /// refused from then on; but one that is handling a request itself has to finish that one first,
  /// while clients wait in the queue. The requests that are being handled, and those in a pool's
  /// queue, may go on for `drain_timeout`: not at all when zero, without a limit when none. A
  /// datagram server's socket stays open for their answers. What is left when the time is over is
  /// ended: connections are shut down, so that calls on them fail or give the end of the stream;
  /// what was in a queue is closed unhandled; child processes get a SIGTERM. A second signal ends
  /// the time at once. After that signals have the effect again that they had before the call, so
  /// that another one may end the program. This does not wait for handlers that ignore their end;
  /// server_close(), which the destructor calls, does.
  ///
  /// Signals. They are taken for the length of this call from whoever had them, even if they were
  /// ignored, and then given back. They may come to any thread. Where this thread blocks them they
  /// are let through during the call, and a pending one ends it: a program that must not miss an
  /// early signal blocks it before it makes the server. Several servers may wait for the same
  /// signal, which then ends each of them. A child process that ForkingMixIn has made is ended by
  /// SIGTERM, and takes no notice of the other signals, which a terminal sends to it too.
  ///
  /// Throws as serve_forever() does; OSError EINVAL for a number that is not a signal's, or is one
  /// that cannot be taken; RuntimeError when there can be no thread, which this needs until it
  /// returns.
  int serve_until_signal(Timeout drain_timeout = 0, Timeout poll_interval = 0.5,
                         const std::vector<int>& signals = {2, 15});

  /// Waits for one request and handles it; handle_timeout() when none comes within the time-out of
  /// the server, or of its socket when that is less. Of a server that has been ended by
  /// serve_until_signal() it handles requests again. Throws as serve_forever() does.
  void handle_request();

  /// Ends serve_forever(), at once when it waits and after its request otherwise, and returns when
  /// it has ended; serve_until_signal() with its time for requests too, so that a handler's thread
  /// should rather call stop_serving(). When it does not run: its next call ends at once, and this
  /// returns at once (where Python's waits for that next call if there has not been any). Throws
  /// RuntimeError from the thread of serve_forever() itself, which would wait for ever, and in a
  /// forked child.
  void shutdown();

  /// As shutdown(), without waiting. For handlers of a server without threads, and for signal
  /// handlers: it is async-signal-safe. Does nothing in a forked child.
  void stop_serving() noexcept;

  /// What becomes readable when there is a request, such as for a selector; -1 when closed.
  virtual int fileno() const = 0;

  // --- hooks ---

  /// Binds the socket and sets server_address.
  virtual void server_bind() {}
  /// Begins to take requests.
  virtual void server_activate() {}
  /// Gives back what the server has. Idempotent. The destructor calls it (Server<>'s, for a
  /// subclass), so it has to be called only for what comes after it, such as its errors.
  virtual void server_close() {}

  /// The next request and its client's address, without waiting. Of what it throws, OSError means
  /// that there is none after all.
  virtual std::pair<Request, Address> get_request() = 0;
  /// Whether to process the request; it is closed otherwise.
  virtual bool verify_request(Request& request, const Address& client_address);
  /// finish_request() and shutdown_request(), here and now.
  virtual void process_request(Request& request, const Address& client_address);
  /// Calls the handler: RequestHandlerClass.
  virtual void finish_request(Request& request, const Address& client_address);
  /// Ends a request: close_request().
  virtual void shutdown_request(Request& request);
  virtual void close_request(Request& request);

  /// Called on each turn of serve_forever().
  virtual void service_actions() {}
  /// Called by handle_request() when there was none in time.
  virtual void handle_timeout() {}

  /// Called for what the processing of a request has thrown (std::current_exception()). Prints the
  /// client, the exception's type and its text on standard error, in one write.
  virtual void handle_error(Request& request, const Address& client_address);

  /// Called when no request can be accepted for want of descriptors or memory (EMFILE, ENFILE,
  /// ENOBUFS, ENOMEM), once until that succeeds again. Accepting pauses for 50 ms after each
  /// failure, while clients wait in the queue. Prints one line on standard error. Beyond Python,
  /// whose servers spin.
  virtual void handle_exhaustion(const OSError& error);

 protected:
  BaseServer(ServerAddress address, HandlerFactory handler);

  /// Called last in the constructor of a class that may be a server without being derived from:
  /// opens it, by server_bind() and server_activate(), or server_close() when one of those throws.
  /// From now on the server may serve, as this class and no other.
  void complete(bool bind_and_activate);

  /// Called first in the destructor of such a class: server_close(), whose errors are dropped; then
  /// shuts down the connections that are still being handled, and wait_for_handlers(). Once,
  /// however often it is called.
  void end() noexcept;

  /// Returns when no handler uses this server any more.
  virtual void wait_for_handlers() noexcept {}

  /// Calls `serving`, which takes requests, once, wherever its handlers can run: here.
  virtual void run_serving(const std::function<void()>& serving);

  /// Has `function`, which throws nothing, run beside what serves: in a thread, which takes no
  /// signals. The result waits for its end when it is destroyed. Throws RuntimeError when there can
  /// be no thread.
  virtual std::shared_ptr<void> run_beside(std::function<void()> function);

  /// Called when a serve_forever() takes no more requests, before shutdown() returns.
  virtual void serving_has_ended() noexcept {}

  /// What a thread does for one request: finish_request(), handle_error(), shutdown_request().
  void process_apart(Request& request, const Address& client_address);

  /// What the constructor was given.
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

/// Serves connections over TCP.
class TCPServer : public BaseServer {
 public:
  /// Makes the socket, binds it and listens, unless told not to. Throws ValueError without a
  /// handler, and OSError, naming the address.
  TCPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
  ~TCPServer() override;

  int fileno() const override { return socket.fileno(); }

  /// Sets what allow_reuse_address and allow_reuse_port say, binds to server_address, or, when that
  /// is empty, to what the constructor was given, and reads server_address back. The socket is made
  /// again first when address_family or socket_type have been changed since.
  void server_bind() override;
  /// listen(request_queue_size).
  void server_activate() override;
  /// Closes the socket.
  void server_close() override;

  /// accept(), without waiting.
  std::pair<Request, Address> get_request() override;
  /// shutdown(SHUT::WR), whose errors do not matter, then close_request().
  void shutdown_request(Request& request) override;
  /// Closes the connection.
  void close_request(Request& request) override;

 protected:
  /// Nothing is made but the object; the constructor of the class calls make_socket(), complete().
  TCPServer(AF family, SOCK type, ServerAddress address, HandlerFactory handler);

  void make_socket();
};

/// Serves datagrams over UDP. shutdown_request() and close_request() have nothing to do.
class UDPServer : public TCPServer {
 public:
  UDPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);

  /// What is longer is cut, and the rest of it lost.
  std::ptrdiff_t max_packet_size = 8192;

  /// One datagram, without waiting.
  std::pair<Request, Address> get_request() override;
  /// Datagrams come without listening.
  void server_activate() override {}
  void shutdown_request(Request& request) override;
  void close_request(Request& request) override;

 protected:
  /// Does not call complete().
  UDPServer(AF family, ServerAddress address, HandlerFactory handler);
};

/// Serves connections at a Unix address: UnixStreamServer server(UnixAddress{"/run/app"}, ...). The
/// path stays behind when the server closes, as in Python.
class UnixStreamServer : public TCPServer {
 public:
  UnixStreamServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
};

/// Serves datagrams at a Unix address.
class UnixDatagramServer : public UDPServer {
 public:
  UnixDatagramServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
};

/// What ThreadPoolMixIn does with a request when the queue is full.
enum class FullQueue {
  wait,         ///< accepts no more until there is room: clients wait in the system's queue
  refuse,       ///< closes the request
  close_oldest  ///< closes the request that has waited longest, and takes this one
};

namespace detail {

/// The threads of a server.
class HandlerThreads {
 public:
  HandlerThreads();
  HandlerThreads(const HandlerThreads&) = delete;
  HandlerThreads& operator=(const HandlerThreads&) = delete;
  ~HandlerThreads();

  using Main = void (*)(BaseServer& server, Request& request, const Address& client_address);
  /// Takes the request, unless it throws. `waited` is for join().
  void start(BaseServer& server, Main main, Request& request, const Address& client_address,
             bool waited);
  /// Gives back what threads that have ended have left.
  void collect() noexcept;
  /// Waits for the threads that are waited for.
  void join();
  /// Waits for those that are left too.
  void end() noexcept;

 private:
  struct Impl;

  /// In a forked child the threads are the parent's.
  void leave_to_parent();

  std::unique_ptr<Impl> impl_;
};

/// What ThreadPoolMixIn's attributes say.
struct PoolLimits {
  int max_workers;
  int max_queue;
  FullQueue when_full;
};

/// The workers of a server, and the queue before them.
class HandlerPool {
 public:
  HandlerPool();
  HandlerPool(const HandlerPool&) = delete;
  HandlerPool& operator=(const HandlerPool&) = delete;
  ~HandlerPool();

  using Main = HandlerThreads::Main;
  /// Takes the request, unless it throws or the request is closed for want of room.
  void submit(BaseServer& server, Main main, Request& request, const Address& client_address,
              const PoolLimits& limits);
  /// Waits until all that is in the queue has been handled, and ends the workers.
  void join();
  /// Drops the queue and ends the workers.
  void end() noexcept;

 private:
  struct Impl;

  /// In a forked child the threads are the parent's.
  void leave_to_parent();

  std::unique_ptr<Impl> impl_;
};

/// Handles a request in a child process, and returns that one's number.
int fork_request(BaseServer& server, Request& request, const Address& client_address);
/// Forgets children that have ended; before that waits until there are fewer than `most`, or until
/// all have ended.
void collect_children(BaseServer& server, std::vector<int>& children, std::size_t most,
                      bool blocking);

/// `false`, and nothing else that a false would convert to.
struct Unopened {
  template <std::same_as<bool> T>
  operator T() const noexcept {
    return false;
  }
};

/// Whether T is constructed from (address, handler, bind_and_activate, more...).
template <class T, class... More>
inline constexpr bool kTold =
    std::is_constructible_v<T, ServerAddress, HandlerFactory, Unopened, More...>;
/// Whether bind_and_activate is the first of these.
template <class T, class... More>
inline constexpr bool kTelling = false;
template <class T, class... More>
inline constexpr bool kTelling<T, bool, More...> = kTold<T, More...>;
/// Whether these begin with an address and a handler.
template <class... Any>
inline constexpr bool kServerArguments = false;
template <class A, class H, class... More>
inline constexpr bool kServerArguments<A, H, More...> =
    std::convertible_to<A, ServerAddress>&& std::convertible_to<H, HandlerFactory>;
/// Whether T is constructed from (address, handler, more...), without bind_and_activate.
template <class T, class... More>
concept Untold = !kTold<T, More...> && !kTelling<T, std::remove_cvref_t<More>...> &&
                 std::is_constructible_v<T, ServerAddress, HandlerFactory, More...>;

}  // namespace detail

/// A server that handles each request in a thread of its own: ThreadingMixIn<TCPServer>. Base may
/// be a server of your own too; what its constructor takes after bind_and_activate comes last.
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

  /// Whether server_close() leaves out the threads that begin from now on. They use the server, so
  /// its destructor waits for them all the same, after it has shut their connections down. A
  /// program that will not wait for a handler that never returns closes the server and then leaves
  /// by std::quick_exit() or std::_Exit().
  bool daemon_threads = false;
  /// Whether server_close() waits for the threads that begin from now on. Without it they are as
  /// daemon threads.
  bool block_on_close = true;

  /// Starts a thread. When there can be none it is this request that fails, with RuntimeError.
  void process_request(Request& request, const Address& client_address) override {
    threads_.start(
        *this,
        [](BaseServer& server, Request& theirs, const Address& from) {
          static_cast<ThreadingMixIn&>(server).process_request_thread(theirs, from);
        },
        request, client_address, block_on_close && !daemon_threads);
  }

  /// What the thread does: finish_request(), or handle_error() when that throws, then
  /// shutdown_request(). What leaves it is printed.
  virtual void process_request_thread(Request& request, const Address& client_address) {
    this->process_apart(request, client_address);
  }

  void service_actions() override {
    Base::service_actions();
    threads_.collect();
  }

  /// Also waits for the threads. Throws RuntimeError from one of them.
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

/// A server that handles its requests in a bounded number of threads: ThreadPoolMixIn<TCPServer>,
/// otherwise as ThreadingMixIn. Beyond Python.
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

  int max_workers = 16;  ///< threads, at least one; they start when they are needed
  int max_queue = 64;    ///< requests that wait for a worker
  FullQueue when_full = FullQueue::wait;

  /// Gives the request to a worker, or to the queue; RuntimeError when there can be no worker at
  /// all. A wait for room ends with shutdown() too, and closes the request then.
  void process_request(Request& request, const Address& client_address) override {
    pool_.submit(*this,
                 [](BaseServer& server, Request& theirs, const Address& from) {
                   static_cast<ThreadPoolMixIn&>(server).process_request_thread(theirs, from);
                 },
                 request, client_address, {max_workers, max_queue, when_full});
  }

  /// What a worker does for each request, as ThreadingMixIn's threads.
  virtual void process_request_thread(Request& request, const Address& client_address) {
    this->process_apart(request, client_address);
  }

  /// Also waits until all requests have been handled, those in the queue too. Throws RuntimeError
  /// from a worker.
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

/// A server that handles each request in a child process: ForkingMixIn<TCPServer>.
///
/// The child has a copy of everything. It ends by _exit(2), with status 0, or 1 when handling
/// threw: nothing of what the program has buffered is written, and no destructor of the program
/// runs. A connection is the child's alone, and of a stream server it closes the listener. Of the
/// process's threads the child has only the one that served: locks that others held stay locked in
/// it, so that a program with further threads should not share locks with its handlers.
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

  /// With that many (at least one), the server waits for one to end before it goes on.
  int max_children = 40;
  /// Whether server_close() waits for all children.
  bool block_on_close = true;
  /// The process numbers of the children that have not been reaped.
  std::vector<int> active_children;

  /// Reaps the children that have ended, and no other process's; waits as max_children says, and,
  /// when `blocking`, for all of them. Waiting for max_children ends with shutdown() too.
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

  /// Starts a child. When there can be none it is this request that fails, with OSError.
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

/// A server class of your own, opened when it is complete and closed before any part of it is
/// destroyed (the top of this file says why). It is constructed as T is:
///
///   Server<T> server(address, handler);                 T(address, handler, false)
///   Server<T> server(address, handler, false);          the same, and not opened
///   Server<T> server(address, handler, true, more...);  T(address, handler, false, more...)
///   Server<T> server(anything...);                      T(anything...)
///
/// where T passes the false on to its base. A T that takes no such argument passes false to its
/// base itself. Throws what T and its hooks throw; RuntimeError when T has opened itself.
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
