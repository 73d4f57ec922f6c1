#pragma once

// The servers for TCP, UDP and Unix sockets, which handle one request at a time.

#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/server/base.hpp>
#include <plug/server/options.hpp>
#include <plug/socket.hpp>

#include <cstddef>
#include <optional>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

/// Serves TCP connections.
class TCPServer : public BaseServer {
 public:
  /// Creates the socket, or takes the one that `address` holds; binds it and listens unless
  /// bind_and_activate is false. A socket that was given must be a bound stream socket; it may
  /// listen already. Throws ValueError otherwise, or without a handler; OSError, naming the
  /// address.
  TCPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
  TCPServer(ServerAddress address, HandlerFactory handler, const BaseServerOptions& options);
  ~TCPServer() override;

  [[nodiscard]] int fileno() const override { return socket.fileno(); }

  /// Applies allow_reuse_address and allow_reuse_port. Binds to server_address or, if that is
  /// empty, to the constructor's address, and updates server_address. First creates a new socket if
  /// it is closed, or if address_family or socket_type has changed. A socket that the constructor
  /// was given is bound already: only sets server_address.
  void server_bind() override;
  /// Calls listen(request_queue_size), unless the constructor was given a socket that listens.
  void server_activate() override;
  /// Closes the socket.
  void server_close() override;

  /// Accepts a connection, without waiting while the server serves. Before that, a socket in
  /// blocking mode waits, as in Python.
  std::optional<std::pair<Request, Address>> try_get_request() override;
  /// Calls shutdown(SHUT::WR), ignoring its errors, and close_request().
  void shutdown_request(Request& request) override;
  /// Closes the connection.
  void close_request(Request& request) override;

 protected:
  /// Creates no socket: the subclass's constructor must call make_socket() and complete().
  TCPServer(AF family, SOCK type, ServerAddress address, HandlerFactory handler);

  /// Creates the socket, or takes and checks the one that the constructor was given.
  void make_socket();

 private:
  bool given_ = false;  // the socket is one that the constructor was given
};

/// Serves UDP datagrams. shutdown_request() and close_request() do nothing.
class UDPServer : public TCPServer {
 public:
  UDPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
  UDPServer(ServerAddress address, HandlerFactory handler, const BaseServerOptions& options);

  /// The maximum size of a datagram, in bytes. A longer one is truncated.
  std::ptrdiff_t max_packet_size = 8192;

  /// Receives one datagram, without waiting.
  std::optional<std::pair<Request, Address>> try_get_request() override;
  /// Does nothing: datagrams arrive without listening.
  void server_activate() override {}
  void shutdown_request(Request& request) override;
  void close_request(Request& request) override;

 protected:
  /// Does not call complete().
  UDPServer(AF family, ServerAddress address, HandlerFactory handler);

  void set_attributes(const BaseServerOptions& options) { detail::assign_options(*this, options); }
};

/// Serves connections at a Unix address: UnixStreamServer server(UnixAddress{"/run/app"}, ...). The
/// path remains after the server has closed, as in Python.
class UnixStreamServer : public TCPServer {
 public:
  UnixStreamServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
  UnixStreamServer(ServerAddress address, HandlerFactory handler, const BaseServerOptions& options);
};

/// Serves datagrams at a Unix address.
class UnixDatagramServer : public UDPServer {
 public:
  UnixDatagramServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate = true);
  UnixDatagramServer(ServerAddress address, HandlerFactory handler,
                     const BaseServerOptions& options);
};

}  // namespace plug

#pragma GCC visibility pop
