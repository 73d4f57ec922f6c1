#pragma once

// What handles one request of a server (socketserver.hpp): a class of your own.
//
//   struct Echo : StreamRequestHandler {
//     void handle() override {
//       for (Bytes& line : rfile) wfile.write(line);
//     }
//   };
//   TCPServer server({"127.0.0.1", 8000}, handler<Echo>);
//
// For each request a server makes one object, and then calls setup(), handle() and finish(), in
// that order. finish() is called too when handle() throws; when setup() throws neither of the
// others is. The object is complete before setup() and until finish() has returned, so that members
// of its own are there all the time. What a handler throws ends its request and not the server
// (BaseServer::handle_error()).
//
// Threads. A handler object is used by one thread. What several of them share, such as the server,
// needs the caller's own order.
//
// Python: https://docs.python.org/3/library/socketserver.html#request-handler-objects

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>
#include <plug/timeout.hpp>

#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace plug::detail {

struct ServerAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

class BaseServer;

/// One request: of a stream server the connection, which it owns, and of a datagram server the pair
/// of the datagram and the server's socket, which it does not.
///
///   request->sendall("hello");               // a connection
///   auto& [data, sock] = request;            // a datagram
///
/// Movable; a moved-from request has a closed socket. Python: the request that get_request()
/// returns, a socket or a tuple.
class Request {
 public:
  /// Nothing: a closed connection.
  Request();
  Request(Socket connection);
  Request(Bytes data, Socket& socket);
  Request(Request&& other) noexcept
      : connection_(std::move(other.connection_)),
        data_(std::move(other.data_)),
        shared_(std::exchange(other.shared_, nullptr)),
        place_(std::move(other.place_)) {}
  Request& operator=(Request&& other) noexcept {
    connection_ = std::move(other.connection_);
    data_ = std::move(other.data_);
    shared_ = std::exchange(other.shared_, nullptr);
    place_ = std::move(other.place_);
    return *this;
  }
  ~Request() = default;

  /// The connection; of a datagram, the socket to answer through.
  Socket& socket() noexcept { return shared_ == nullptr ? connection_ : *shared_; }
  Socket& operator*() noexcept { return socket(); }
  Socket* operator->() noexcept { return &socket(); }
  operator Socket&() noexcept { return socket(); }

  /// Whether this is a datagram and not a connection.
  bool is_datagram() const noexcept { return shared_ != nullptr; }
  /// The datagram; empty for a connection.
  Bytes& data() noexcept { return data_; }

  /// The parts of structured bindings: data() and socket().
  template <std::size_t I>
  auto& get() noexcept {
    if constexpr (I == 0)
      return data();
    else
      return socket();
  }

 private:
  friend struct detail::ServerAccess;

  Socket connection_;
  Bytes data_;
  Socket* shared_ = nullptr;
  std::shared_ptr<const void> place_;  // among those that a server limits
};

/// Calls a handler for one request, and returns once the request has been handled. Any callable of
/// this form will do; handler<H> is the one for a class H.
using HandlerFactory =
    std::function<void(Request& request, const Address& client_address, BaseServer& server)>;

class BaseRequestHandler {
 public:
  BaseRequestHandler() = default;
  BaseRequestHandler(const BaseRequestHandler&) = delete;
  BaseRequestHandler& operator=(const BaseRequestHandler&) = delete;
  virtual ~BaseRequestHandler() = default;

  /// Does what a Python handler's constructor does: takes the request for as long as this runs,
  /// then setup(), handle(), finish(). For handlers that need arguments of their own:
  ///
  ///   TCPServer server(address, [&](auto&... request) { Greeter(text).run(request...); });
  void run(Request& given, const Address& from, BaseServer& by);

  virtual void setup() {}
  virtual void handle() {}
  virtual void finish() {}

  /// Of this request; from setup() to finish().
  Request request;
  Address client_address;
  BaseServer* server = nullptr;

  /// The server as the class that it is. Throws std::bad_cast when it is not.
  template <class S>
  S& server_as() const {
    return dynamic_cast<S&>(*server);
  }
};

/// The factory of handlers of the class H, which needs no arguments to be made.
template <class H>
void handler(Request& request, const Address& client_address, BaseServer& server) {
  H().run(request, client_address, server);
}

/// Handles a connection as two files (stream.hpp), which setup() opens and finish() flushes and
/// closes. A subclass sets the attributes in its constructor.
class StreamRequestHandler : public BaseRequestHandler {
 public:
  StreamRequestHandler();
  ~StreamRequestHandler() override;

  /// Applies the attributes and opens the files.
  void setup() override;
  /// Flushes wfile, ignoring an OSError, and closes both files. Throws OSError when what is
  /// buffered still cannot be sent. What ends the call from outside (CancelledError, the interrupt
  /// hook) is thrown, and both files are closed without another wait.
  void finish() override;

  int rbufsize = -1;  ///< of rfile, as FileOptions::buffering
  /// Of wfile, as FileOptions::buffering, but zero, which stands for no buffer, sends all that is
  /// written at once, as sendall() does.
  int wbufsize = 0;
  Timeout timeout;                       ///< of the connection, unless there is none
  bool disable_nagle_algorithm = false;  ///< TCP_NODELAY

  Socket* connection = nullptr;  ///< the request's
  File rfile;                    ///< "rb"
  File wfile;                    ///< "wb"
};

/// Bytes in memory, read and written as a file. Python: io.BytesIO.
class BytesIO {
 public:
  using iterator = detail::LineIterator<BytesIO>;

  explicit BytesIO(Bytes initial = {}) noexcept : bytes_(std::move(initial)) {}

  /// Up to `size` bytes from the position on; all of them when below zero.
  Bytes read(std::ptrdiff_t size = -1);
  /// One line with its newline; without it at the end; empty after it. At most `size` bytes when
  /// size >= 0.
  Bytes readline(std::ptrdiff_t size = -1);
  /// The remaining lines, or, when hint > 0, lines until their sizes together reach it.
  std::vector<Bytes> readlines(std::ptrdiff_t hint = -1);
  /// Overwrites from the position on, and grows. Returns the count.
  std::size_t write(BytesView data);
  template <class Lines>
  void writelines(const Lines& range) {
    for (const auto& line : range) write(line);
  }
  /// Nothing is held back.
  void flush() noexcept {}

  /// All of the bytes, wherever the position is.
  const Bytes& getvalue() const noexcept { return bytes_; }
  std::size_t tell() const noexcept { return position_; }
  /// Sets the position, which may be behind the end: what is then written comes after NULs.
  void seek(std::size_t position) noexcept { position_ = position; }

  /// Iterates over lines, newlines included.
  iterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  Bytes take(std::size_t size);

  Bytes bytes_;
  std::size_t position_ = 0;
};

inline BytesIO::iterator BytesIO::begin() { return iterator(*this); }

/// Handles a datagram: rfile has it, and finish() sends what was written to wfile back as one
/// datagram, an empty one when nothing was.
class DatagramRequestHandler : public BaseRequestHandler {
 public:
  void setup() override;
  /// Throws OSError as sendto() does, for a client without an address too.
  void finish() override;

  Bytes packet;
  Socket* socket = nullptr;  ///< the server's
  BytesIO rfile;
  BytesIO wfile;
};

}  // namespace plug

template <>
struct std::tuple_size<plug::Request> : std::integral_constant<std::size_t, 2> {};
template <>
struct std::tuple_element<0, plug::Request> {
  using type = plug::Bytes;
};
template <>
struct std::tuple_element<1, plug::Request> {
  using type = plug::Socket;
};

#pragma GCC visibility pop
