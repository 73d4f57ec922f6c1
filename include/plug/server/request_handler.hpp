#pragma once

// Request handlers: classes that handle one request of a server (socketserver.hpp).
//
//   struct Echo : StreamRequestHandler {
//     void handle() override {
//       for (Bytes& line : rfile) wfile.write(line);
//     }
//   };
//   TCPServer server({"127.0.0.1", 8000}, handler<Echo>);
//
// For each request the server creates one handler object and calls setup(), handle() and finish(),
// in that order. It also calls finish() if handle() throws. If setup() throws, it calls neither of
// the others. The object is fully constructed before setup() and lives until finish() has returned,
// so all three may use the members of a subclass. An exception in a handler ends its request, not
// the server (BaseServer::handle_error()).
//
// server(), the socket() of a datagram handler and the timeout are member functions and not, as in
// Python, attributes, so that local variables of these names do not warn under -Wshadow.
//
// Threads. Each handler object is used by one thread. The program must synchronize access to
// objects that handlers share, such as the server.
//
// Python: https://docs.python.org/3/library/socketserver.html#request-handler-objects

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/detail/forward.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

class BaseServer;

/// A request. A stream server's request owns its connection. A datagram server's request owns the
/// datagram and refers to the server's socket.
///
///   request->sendall("hello");               // a connection
///   auto& [data, sock] = request;            // a datagram
///
/// Movable; a moved-from request has a closed socket. Python: the request that get_request()
/// returns, a socket or a tuple.
class Request {
 public:
  /// Creates an empty request: a closed connection.
  Request();
  Request(Socket connection);
  Request(Bytes data, Socket& socket);
  Request(Request&& other) noexcept
      : connection_(std::move(other.connection_)),
        data_(std::move(other.data_)),
        shared_(std::exchange(other.shared_, nullptr)),
        entry_(std::move(other.entry_)) {}
  Request& operator=(Request&& other) noexcept {
    connection_ = std::move(other.connection_);
    data_ = std::move(other.data_);
    shared_ = std::exchange(other.shared_, nullptr);
    entry_ = std::move(other.entry_);
    return *this;
  }
  ~Request() = default;

  /// Returns the connection, or the socket through which to answer a datagram.
  Socket& socket() noexcept { return shared_ == nullptr ? connection_ : *shared_; }
  Socket& operator*() noexcept { return socket(); }
  Socket* operator->() noexcept { return &socket(); }
  operator Socket&() noexcept { return socket(); }

  /// Returns true for a datagram, false for a connection.
  [[nodiscard]] bool is_datagram() const noexcept { return shared_ != nullptr; }
  /// Returns the datagram; empty for a connection.
  Bytes& data() noexcept { return data_; }

  /// Returns the elements of structured bindings: data() and socket().
  template <std::size_t I>
  auto& get() noexcept {
    if constexpr (I == 0)
      return data();
    else
      return socket();
  }

 private:
  friend struct detail::server::ServerAccess;

  Socket connection_;
  Bytes data_;
  Socket* shared_ = nullptr;
  std::shared_ptr<const void> entry_;  // its entry in the server's counts
};

/// Handles one request, and returns once it has been handled. Any callable with this signature
/// works. handler<H> is the factory for a class H.
using HandlerFactory =
    std::function<void(Request& request, const Address& client_address, BaseServer& server)>;

/// The base class of all handlers.
class BaseRequestHandler {
 public:
  BaseRequestHandler() = default;
  BaseRequestHandler(const BaseRequestHandler&) = delete;
  BaseRequestHandler& operator=(const BaseRequestHandler&) = delete;
  virtual ~BaseRequestHandler() = default;

  /// Does the work of a Python handler's constructor: calls setup(), handle() and finish(). Moves
  /// `given` into `request` before, and back afterwards. For handlers whose constructors need
  /// arguments:
  ///
  ///   TCPServer server(address, [&](auto&... request) { Greeter(text).run(request...); });
  void run(Request& given, const Address& from, BaseServer& by);

  virtual void setup() {}
  virtual void handle() = 0;
  virtual void finish() {}

  /// The current request and its client. Valid from setup() to finish().
  Request request;
  Address client_address;

  /// Returns the server. Must be called from setup() to finish() only.
  [[nodiscard]] BaseServer& server() const noexcept { return *server_; }
  /// Returns the server as its class S. Throws std::bad_cast if it is of another class.
  template <class S>
  [[nodiscard]] S& server_as() const {
    return dynamic_cast<S&>(server());
  }

 private:
  BaseServer* server_ = nullptr;
};

/// The factory for handlers of class H, which must be default-constructible.
template <class H>
void handler(Request& request, const Address& client_address, BaseServer& server) {
  constexpr bool kDerives = std::derived_from<H, BaseRequestHandler>;
  constexpr bool kHandles = !std::is_abstract_v<H>;
  constexpr bool kNeedsNothing = std::default_initializable<H>;
  static_assert(kDerives,
                "a handler class must derive publicly from plug::StreamRequestHandler, "
                "plug::DatagramRequestHandler or plug::BaseRequestHandler");
  static_assert(!kDerives || kHandles, "a handler class must define 'void handle() override'");
  static_assert(!kDerives || !kHandles || kNeedsNothing,
                "a handler class must be default-constructible; if not, pass a lambda instead of "
                "handler<H>: [](auto&... request) { H(arguments).run(request...); }");
  if constexpr (kDerives && kHandles && kNeedsNothing) H().run(request, client_address, server);
}

/// Handles a connection through two files (stream.hpp). setup() opens them; finish() flushes and
/// closes them. A subclass sets the attributes, and the timeout, in its constructor.
class StreamRequestHandler : public BaseRequestHandler {
 public:
  StreamRequestHandler();
  ~StreamRequestHandler() override;

  /// Applies the attributes and opens the files.
  void setup() override;
  /// Flushes wfile, ignoring an OSError, and closes both files. Throws OSError if closing cannot
  /// send the buffered data either. If CancelledError or the interrupt hook ends the call, throws
  /// that, and closes both files without waiting again.
  void finish() override;

  int rbufsize = -1;  ///< the buffering of rfile in bytes, as FileOptions::buffering
  /// The buffering of wfile, as FileOptions::buffering, except for zero (no buffer): each write()
  /// then sends all of its data, as sendall() does.
  int wbufsize = 0;
  bool disable_nagle_algorithm = false;  ///< sets TCP_NODELAY

  /// Returns the timeout that setup() gives to the connection. Default: std::nullopt, with which
  /// the connection keeps its own.
  [[nodiscard]] Timeout gettimeout() const noexcept { return timeout_; }
  void settimeout(Timeout timeout) noexcept { timeout_ = timeout; }

  Socket* connection = nullptr;  ///< the request's socket
  File rfile;                    ///< mode "rb"
  File wfile;                    ///< mode "wb"

 private:
  Timeout timeout_;
};

/// A file in memory. Python: io.BytesIO.
class BytesIO {
 public:
  using iterator = detail::LineIterator<BytesIO>;

  explicit BytesIO(Bytes initial = {}) noexcept : bytes_(std::move(initial)) {}

  /// Reads up to `size` bytes from the position on; all that remain if `size` is negative.
  Bytes read(std::ptrdiff_t size = -1);
  /// Reads one line with its newline, which the last line may lack. Returns an empty value at the
  /// end. At most `size` bytes if size >= 0.
  Bytes readline(std::ptrdiff_t size = -1);
  /// Returns the remaining lines; if hint > 0, only until their total size reaches it.
  std::vector<Bytes> readlines(std::ptrdiff_t hint = -1);
  /// Writes at the position: overwrites bytes and appends the rest. Returns the number of bytes.
  std::size_t write(BytesView data);
  template <class Lines>
  void writelines(const Lines& range) {
    for (const auto& line : range) write(line);
  }
  /// Does nothing: there is no buffer.
  void flush() noexcept {}

  /// Returns all bytes, regardless of the position.
  [[nodiscard]] const Bytes& getvalue() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t tell() const noexcept { return position_; }
  /// Sets the position. It may be beyond the end: the next write() fills the gap with NULs.
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

/// Handles a datagram. rfile contains it. finish() sends the contents of wfile back as one
/// datagram, an empty one if nothing was written.
class DatagramRequestHandler : public BaseRequestHandler {
 public:
  void setup() override;
  /// Throws OSError as sendto() does, also if the client has no address.
  void finish() override;

  Bytes packet;
  BytesIO rfile;
  BytesIO wfile;

  /// Returns the server's socket. Must be called from setup() to finish() only.
  [[nodiscard]] Socket& socket() const noexcept { return *socket_; }

 private:
  Socket* socket_ = nullptr;
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
