#pragma once

// The base class of all servers. plug/socketserver.hpp describes them.

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/detail/forward.hpp>
#include <plug/server/options.hpp>
#include <plug/server/request_handler.hpp>
#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// The address argument of a server: a {host, port} pair, whose host server_bind() looks up; any
/// other address; or a socket that is bound already. Owns its value, unlike an AddressLike.
class ServerAddress {
 public:
  /// Throws OverflowError or ValueError, as HostPort's constructor does.
  ServerAddress(std::string_view host, int port, std::uint32_t flowinfo = 0,
                std::uint32_t scope_id = 0)
      : host_(host, port, flowinfo, scope_id) {}
  ServerAddress(HostPort address) : host_(std::move(address)) {}
  ServerAddress(const Address& address) : host_("", 0), address_(address), known_(true) {}
  /// Throws if the conversion to Address throws.
  template <detail::ConvertsToAddress T>
  ServerAddress(const T& address) : ServerAddress(static_cast<Address>(address)) {}
  /// Takes a socket that is bound, for example one that the program inherited, or the result of
  /// create_server(). Copies of this object refer to the same socket. The first server that is
  /// constructed with one of them owns the socket; a second one throws ValueError.
  template <std::same_as<Socket> T>
  ServerAddress(T listener)
      : host_("", 0), listener_(std::make_shared<Socket>(std::move(listener))) {}

  /// Returns the argument for bind(). It is valid while this object lives.
  operator AddressLike() const { return known_ ? AddressLike(address_) : AddressLike(host_); }

 private:
  friend struct detail::server::ServerAccess;

  HostPort host_;
  Address address_;
  bool known_ = false;
  std::shared_ptr<Socket> listener_;
};

[[nodiscard]] std::string to_string(const ServerAddress& address);

/// The base class of all servers. Abstract: a subclass defines fileno() and try_get_request().
class BaseServer {
 public:
  BaseServer(const BaseServer&) = delete;
  BaseServer& operator=(const BaseServer&) = delete;
  virtual ~BaseServer();

  /// The type of the constructor's options.
  using Options = BaseServerOptions;

  // --- attributes ---

  /// The timeout of handle_request(); none by default. serve_forever() ignores it.
  Timeout timeout;
  /// The address family of the socket. By default that of the constructor's address: AF::INET6 for
  /// a numeric IPv6 host, AF::INET for names and IPv4, AF::UNIX for Unix servers; or that of the
  /// socket that the constructor was given. To serve an IPv6 host by name, set AF::INET6.
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

  // --- attributes that Python does not have; for connections, not for datagrams ---

  /// The maximum number of connections at a time; 0 means no limit. At the limit the server accepts
  /// no more until one has ended: clients wait in the listen queue.
  int max_connections = 0;
  /// The maximum number of connections from one host; 0 means no limit. The server closes further
  /// connections at once, before verify_request().
  int max_connections_per_address = 0;
  /// How many leading bits of an address identify a host for max_connections_per_address; negative
  /// means all. An IPv6 host usually has a /64 network, and any number of addresses in it. An
  /// IPv4-mapped IPv6 address (::ffff:192.0.2.1) counts as IPv4. Link-local addresses count in
  /// full, with their interface.
  int ipv4_prefix_length = 32;
  int ipv6_prefix_length = 64;
  /// The timeout of each call on a connection; none by default. If the client is silent for longer,
  /// the handler's call throws TimeoutError.
  Timeout connection_timeout;
  /// The maximum duration of a connection, however busy it is; no limit by default. When it has
  /// passed, the call in progress throws TimeoutError. The next call closes the connection and
  /// fails with EBADF, as later ones do.
  Timeout connection_lifetime;

  // --- serving ---

  /// Handles requests until shutdown() or stop_serving() is called. Calls service_actions() after
  /// each request, and at least every `poll_interval` (a number is in seconds). shutdown() does not
  /// wait for that interval.
  ///
  /// Throws ValueError if there is no file descriptor; OSError EBADF if server_close() is called
  /// meanwhile; RuntimeError if a subclass is not wrapped in Server<>. Exceptions of these
  /// hooks propagate: try_get_request() (except OSError), verify_request(), handle_error(),
  /// handle_exhaustion(), service_actions(), and shutdown_request() of a request that was rejected
  /// or has failed.
  void serve_forever(Timeout poll_interval = 0.5);

  /// Serves as serve_forever() does, until one of `options.signals` (by default SIGINT and SIGTERM)
  /// arrives, or until shutdown() or stop_serving() is called. Returns the signal's number, or 0.
  /// Not in Python.
  ///
  ///   server.serve_until_signal({.drain = 10s});
  ///
  /// Stopping. A stream server closes its listening socket, so that clients are refused from then
  /// on. A server that handles requests one at a time first finishes the current one, while clients
  /// wait in the queue. Requests that are being handled, or wait in a pool's queue, may continue
  /// for `options.drain`, by default not at all. A datagram server keeps its socket open for their
  /// replies. A second signal ends this drain time at once. At its end the server shuts down the
  /// remaining connections, so that calls on them fail or return the end of the stream. It
  /// closes queued requests unhandled, and sends SIGTERM to child processes. From then on signals
  /// have their previous effect again, so that another one may end the program. This call does not
  /// wait for handlers that still do not return; server_close(), which the destructor calls, does.
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
  int serve_until_signal(const UntilSignalOptions& options = {});

  /// Waits for one request and handles it. Calls handle_timeout() if none arrives within `timeout`
  /// or the socket's timeout, whichever is less. Works again after serve_until_signal(), once a
  /// stream server has been bound and activated again. Throws as serve_forever() does.
  void handle_request();

  /// Ends serve_forever(), and blocks until it has returned: at once if it waits for a request,
  /// otherwise after the current request. serve_until_signal() returns only when no handler runs
  /// any more or the drain time is over, so a handler should call stop_serving() instead. If the
  /// server is not serving, shutdown() returns at once, and the next call that serves ends at once
  /// (Python's shutdown() then blocks until a serve_forever() has ended).
  ///
  /// Throws RuntimeError in the thread of serve_forever(), where it would deadlock, and in a forked
  /// child.
  void shutdown();

  /// Like shutdown(), but does not wait. For handlers of a server without threads, and for signal
  /// handlers: it is async-signal-safe. Does nothing in a forked child.
  void stop_serving() noexcept;

  /// Returns the file descriptor that becomes readable when a request arrives, for example for a
  /// selector; -1 if the server is closed.
  [[nodiscard]] virtual int fileno() const = 0;

  // --- hooks ---

  /// Binds the socket and sets server_address.
  virtual void server_bind() {}
  /// Starts to accept requests.
  virtual void server_activate() {}
  /// Releases the server's resources. Idempotent. The destructor (for a subclass, that of Server<>)
  /// calls it, so call it only if something must happen after it, or to see its errors.
  virtual void server_close() {}

  /// Returns the next request and its client's address if one is waiting; nullopt if there is none.
  /// Must not wait. If it throws an OSError, the server goes on without a request. Not in Python,
  /// whose servers override get_request().
  virtual std::optional<std::pair<Request, Address>> try_get_request() = 0;
  /// Returns what try_get_request() returns; throws BlockingIOError (EAGAIN) if there is no
  /// request. Serving does not call it, and it is final: override try_get_request().
  virtual std::pair<Request, Address> get_request() final;
  /// Returns true to process the request, false to close it. The default returns true.
  virtual bool verify_request(Request& request, const Address& client_address);
  /// Calls finish_request() and shutdown_request() in this thread. The mixins override it.
  virtual void process_request(Request& request, const Address& client_address);
  /// Calls RequestHandlerClass, which handles the request.
  virtual void finish_request(Request& request, const Address& client_address);
  /// Ends a request. The default calls close_request(), whose default does nothing.
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
  /// for epoll ENOSPC), and again only after accepting has succeeded. After each failure the server
  /// stops accepting for 50 ms, while clients wait in the queue. The default prints one line to
  /// standard error. Not in Python, whose servers retry in a busy loop.
  virtual void handle_exhaustion(const OSError& error);

 protected:
  /// Throws ValueError without a handler.
  BaseServer(ServerAddress address, HandlerFactory handler);

  /// Assigns each given option to its attribute. A subclass with further options defines a function
  /// of this name for them, and the type Options: Server<> uses both.
  void set_attributes(const BaseServerOptions& options) { detail::assign_options(*this, options); }

  /// Opens the server: calls server_bind() and server_activate(), and server_close() if one of them
  /// throws. Each class that can be used without deriving from it must call this last in its
  /// constructor. From then on an object of exactly that class can serve. Throws RuntimeError if a
  /// base class has opened the server already.
  void complete(bool bind_and_activate);

  /// Calls server_close(), ignoring its errors. Then shuts down the connections that are still
  /// being handled, and calls wait_for_handlers(). Each class that calls complete() must call this
  /// first in its destructor. Further calls do nothing.
  void end() noexcept;

  /// Blocks until no handler uses this server any more.
  virtual void wait_for_handlers() noexcept {}

  /// Calls `serving`, the loop that takes requests, exactly once, in a place where handlers can
  /// run. The default calls it in the calling thread; FiberMixIn calls it in a fiber.
  virtual void run_serving(const std::function<void()>& serving);

  /// Runs `function`, which must not throw, concurrently with serving: in a thread that blocks
  /// signals. Destroying the result waits for its end. Throws RuntimeError if no thread can be
  /// started.
  [[nodiscard]] virtual std::shared_ptr<void> run_in_background(std::function<void()> function);

  /// Called when serve_forever() stops taking requests, before shutdown() returns.
  virtual void serving_has_ended() noexcept {}

  /// Processes one request in its thread: calls finish_request(), handle_error() if that throws,
  /// and shutdown_request().
  void process_apart(Request& request, const Address& client_address);

  /// Returns the address that the constructor was given.
  [[nodiscard]] const ServerAddress& requested_address() const noexcept { return requested_; }

 private:
  friend struct detail::server::ServerAccess;

  void check_complete(std::string_view call) const;
  void check_shutdown() const;
  void serve(const Timeout& poll_interval);
  void handle_one();
  std::optional<std::pair<Request, Address>> next_request();
  bool handle_ready();
  int serve_and_drain(const UntilSignalOptions& options);
  bool admit(Request& request, const Address& client_address);
  void process(Request& request, const Address& client_address);

  ServerAddress requested_;
  std::unique_ptr<detail::server::ServerLoop> loop_;
  const std::type_info* complete_as_ = nullptr;
  bool opened_ = false;
  bool ended_ = false;
};

}  // namespace plug

#pragma GCC visibility pop
