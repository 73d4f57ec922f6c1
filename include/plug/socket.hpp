#pragma once

// Socket: one end of a network connection. Python's socket.socket, typed and RAII.
//
//   Socket server = create_server({"127.0.0.1", 8000});
//   auto [conn, peer] = server.accept();
//   conn.settimeout(2.5);
//   for (Bytes data = conn.recv(4096); !data.empty(); data = conn.recv(4096)) conn.sendall(data);
//
// Every call that performs I/O has two forms, except connect_ex(), which returns its error. The
// plain form, recv(4096), throws (see error.hpp). The other form, recv(4096, error), takes a
// std::error_code& and does not throw if the operation fails: it stores the error and returns the
// result so far, which is a count, an empty value or a closed socket. Flags come last in both.
//
// Timeouts. Without a timeout, a call blocks. With a timeout, a call takes at most that long and
// then throws TimeoutError, even if it needs several system calls: sendall() has one deadline for
// all of its data. Only sendfile() applies the timeout to each wait. With a timeout of zero, a call
// that would block throws BlockingIOError, but the lookup of a host name still blocks, as in
// Python. Inside a fiber, a blocking call suspends only that fiber. A signal does not end a call:
// the call continues with the remaining time (PEP 475, set_interrupt_hook()). SIGPIPE is never
// raised; sending to a closed peer throws BrokenPipeError.
//
// Thread safety. Several threads may use one socket at the same time; each call is as safe as the
// system call behind it. One thread may receive while another sends, and any thread may close().
// Moving or destroying the Socket object requires synchronization by the caller.
//
// Closing. close() ends the calls that other threads have in flight on this object: they throw
// OSError EBADF. If a file of makefile() is still open, close() does nothing yet, as in Python: the
// last close() of a file then ends the calls. The descriptor itself closes after the last call has
// returned, and until then the system cannot reuse its number. Fibers, and calls with a timeout,
// are woken directly. On a plain thread, a call without a timeout is blocked in the kernel; close()
// wakes it by shutting the connection down, which also affects duplicates of the descriptor in this
// and other processes. If no such call is in flight, close() does not shut down. A shutdown wakes
// calls on TCP, UDP and Unix sockets, including accept(). On raw, packet and netlink sockets, such
// a call stays blocked until something arrives.
//
// Python: https://docs.python.org/3/library/socket.html#socket-objects

#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/detail/forward.hpp>
#include <plug/error.hpp>
#include <plug/resolve.hpp>
#include <plug/socket/connect.hpp>
#include <plug/stream.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

/// A file descriptor for a Socket to take over. Python: the fileno argument of socket.socket().
struct Fileno {
  int value;
};

class Socket {
 public:
  /// Creates a socket that is close-on-exec and has the default timeout (getdefaulttimeout(), or
  /// zero if `type` contains SOCK::NONBLOCK). Throws OSError.
  explicit Socket(AF family = AF::INET, SOCK type = SOCK::STREAM, Protocol proto = 0);
  Socket(AF family, SOCK type, std::error_code& error) : Socket(family, type, 0, error) {}
  Socket(AF family, SOCK type, Protocol proto, std::error_code& error);

  /// Returns a closed socket: the initial value of a variable to which a socket is assigned later.
  static Socket closed() noexcept { return Socket(nullptr); }

  /// Takes over a file descriptor and closes it with this object. The socket has the default
  /// timeout; the descriptor's inheritability does not change. Reads family, type and proto from it
  /// unless they are given. Throws ValueError if the number is negative, OSError (EBADF, ENOTSOCK)
  /// if it is not a socket; the caller then still owns it.
  explicit Socket(Fileno fileno, std::optional<AF> family = {}, std::optional<SOCK> type = {},
                  std::optional<Protocol> proto = {});
  Socket(Fileno fileno, std::optional<AF> family, std::optional<SOCK> type,
         std::optional<Protocol> proto, std::error_code& error);

  /// Leaves `other` closed.
  Socket(Socket&& other) noexcept = default;
  Socket& operator=(Socket&& other) noexcept {
    const Socket old(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
  }
  /// Closes the socket, ignoring errors.
  ~Socket() {
    if (state_) close_quietly();
  }

  // --- naming and connecting ---

  /// Binds the socket to a local address. Looks up a host name within the timeout, as connect()
  /// does. Throws OSError naming the address, gaierror if the name is not found.
  void bind(const AddressLike& address);
  void bind(const AddressLike& address, std::error_code& error);

  /// Starts to accept connections, with a queue of up to `backlog` of them. A negative backlog is
  /// taken as zero. The system silently limits the backlog (net.core.somaxconn).
  void listen(int backlog = 128);
  void listen(int backlog, std::error_code& error);

  /// Waits for a connection. Returns a new socket for it and the peer's address. The new socket is
  /// close-on-exec and has the default timeout (getdefaulttimeout()).
  [[nodiscard]] std::pair<Socket, Address> accept();
  [[nodiscard]] std::pair<Socket, Address> accept(std::error_code& error);

  /// Connects within the timeout, which includes the lookup of a host name. Throws OSError naming
  /// the address, gaierror if the name is not found. With a timeout of zero, the lookup has no
  /// limit. If the connection is not made at once, throws BlockingIOError: EINPROGRESS, or EAGAIN
  /// if the queue of a Unix listener is full.
  void connect(const AddressLike& address);
  void connect(const AddressLike& address, std::error_code& error);

  /// Like connect(), but returns the error number: 0 when connected, EINPROGRESS when in progress,
  /// EAGAIN after a timeout. Still throws if a host name is not found.
  [[nodiscard]] int connect_ex(const AddressLike& address);

  /// Shuts down one half of the connection or both. After SHUT::WR the peer reads end of stream.
  void shutdown(SHUT how);
  void shutdown(SHUT how, std::error_code& error);

  /// Closes the socket. Calling it again has no effect. If files made by makefile() are open, the
  /// descriptor closes with the last of them. Throws OSError if the system reports an error other
  /// than ECONNRESET; the descriptor is closed even then.
  void close();
  void close(std::error_code& error);

  /// Gives up the descriptor without closing it and returns it; -1 if already closed.
  [[nodiscard]] int detach() noexcept;

  /// Returns a socket with a close-on-exec duplicate of the descriptor and the same timeout.
  [[nodiscard]] Socket dup() const;
  [[nodiscard]] Socket dup(std::error_code& error) const;

  // --- receiving ---

  /// Receives up to `size` bytes. Returns an empty result at the end of the stream, and at once if
  /// `size` is 0. With MSG::OOB and a timeout, waits for urgent data. With MSG::TRUNC, TCP discards
  /// the data, and recv() returns as many zeros. Throws ValueError if size < 0.
  Bytes recv(ByteCount size, MSG flags = MSG{});
  Bytes recv(ByteCount size, std::error_code& error, MSG flags = MSG{});

  /// Like recv(), but receives into the caller's memory, at most as much as it holds. Returns the
  /// number of bytes: 0 at the end of the stream, and at once if the buffer is empty.
  std::size_t recv_into(MutableBytes buffer, MSG flags = MSG{});
  std::size_t recv_into(MutableBytes buffer, std::error_code& error, MSG flags = MSG{});

  /// Like recv() and recv_into(), but also return the sender's address (empty on a connected
  /// stream). The part of a datagram beyond `size` is lost. recvfrom(0), and recvfrom_into() with
  /// an empty buffer, wait for a datagram and discard it.
  std::pair<Bytes, Address> recvfrom(ByteCount size, MSG flags = MSG{});
  std::pair<Bytes, Address> recvfrom(ByteCount size, std::error_code& error, MSG flags = MSG{});
  std::pair<std::size_t, Address> recvfrom_into(MutableBytes buffer, MSG flags = MSG{});
  std::pair<std::size_t, Address> recvfrom_into(MutableBytes buffer, std::error_code& error,
                                                MSG flags = MSG{});

  /// Receives up to `size` bytes of data, and ancillary data (ancillary.hpp) into a buffer of
  /// `ancsize` bytes: the sum of CMSG::SPACE() of the expected items. The kernel closes file
  /// descriptors that do not fit. Received descriptors are inheritable unless `flags` contains
  /// MSG::CMSG_CLOEXEC. Throws ValueError if size < 0, or if ancsize is negative or exceeds a C
  /// int. recvmsg(2).
  ReceivedMessage recvmsg(ByteCount size, ByteCount ancsize = 0, MSG flags = MSG{});
  ReceivedMessage recvmsg(ByteCount size, ByteCount ancsize, std::error_code& error,
                          MSG flags = MSG{});

  /// Like recvmsg(), but into the caller's memory: sock.recvmsg_into({header, body}). Throws
  /// OSError EMSGSIZE for more than 1024 buffers.
  ReceivedInto recvmsg_into(const MutableBuffers& buffers, ByteCount ancsize = 0,
                            MSG flags = MSG{});
  ReceivedInto recvmsg_into(const MutableBuffers& buffers, ByteCount ancsize,
                            std::error_code& error, MSG flags = MSG{});

  // --- sending ---

  /// Sends as much as the system takes at once and returns the count. A stream may take only part.
  [[nodiscard]] std::size_t send(BytesView data, MSG flags = MSG{});
  [[nodiscard]] std::size_t send(BytesView data, std::error_code& error, MSG flags = MSG{});

  /// Sends all of the data, with one deadline, and returns its size. If it throws, part of the data
  /// may have been sent; the form with an error code returns how much.
  std::size_t sendall(BytesView data, MSG flags = MSG{});
  std::size_t sendall(BytesView data, std::error_code& error, MSG flags = MSG{});

  /// Sends one datagram to an address and returns the number of bytes sent. Looks up a host name
  /// within the timeout, as connect() does.
  std::size_t sendto(BytesView data, const AddressLike& address, MSG flags = MSG{});
  std::size_t sendto(BytesView data, const AddressLike& address, std::error_code& error,
                     MSG flags = MSG{});

  /// Sends the bytes of all `buffers` as one message, together with ancillary data (ancillary.hpp),
  /// to `address` unless that is omitted or empty (Address{}). Returns the number of bytes sent; a
  /// stream may take only part of them. Throws OSError: EMSGSIZE for more than 1024 buffers, "too
  /// much ancillary data" if its size exceeds a C int. sendmsg(2).
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata = {},
                      MSG flags = MSG{});
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata,
                      std::error_code& error, MSG flags = MSG{});
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata,
                      const AddressLike& address, MSG flags = MSG{});
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata,
                      const AddressLike& address, std::error_code& error, MSG flags = MSG{});

  /// Sends data to the kernel's crypto API, on a socket returned by accept() of an AF::ALG socket.
  /// `op` is ALG::OP_ENCRYPT or ALG::OP_DECRYPT (family/constants.hpp).
  std::size_t sendmsg_afalg(ALG op, const Buffers& buffers = {}, const AfalgOptions& options = {});
  std::size_t sendmsg_afalg(ALG op, const Buffers& buffers, const AfalgOptions& options,
                            std::error_code& error);

  /// Sends a file from `offset` to its end, or at most `count` bytes of it. Returns the number of
  /// bytes sent; the form with an error code also returns the count sent before an error. The
  /// kernel copies large files and pipes where it can (sendfile(2), splice(2)); otherwise the bytes
  /// are read and sent. The timeout applies to each wait, not to the whole transfer. The caller
  /// still owns the descriptor. If anything was sent, the file position is offset + sent
  /// afterwards, even after an error. A file without a position, such as a pipe or a socket,
  /// requires an offset of 0; bytes that were read from it but not sent are lost, except those of a
  /// pipe.
  ///
  /// Throws ValueError if this is not a stream socket, if its timeout is zero, if count <= 0, or if
  /// fileno < 0. Throws OSError as send() does, and for the file (EISDIR, EBADF, ESPIPE, EINVAL for
  /// a negative offset). Unlike Python's, also sends from pipes and other files without a size.
  std::int64_t sendfile(int fileno, std::int64_t offset = 0,
                        std::optional<std::int64_t> count = {});
  std::int64_t sendfile(int fileno, std::int64_t offset, std::optional<std::int64_t> count,
                        std::error_code& error);

  // --- names and options ---

  /// Returns the local address, or the peer's. Throws OSError, ENOTCONN if there is no peer.
  Address getsockname() const;
  Address getsockname(std::error_code& error) const;
  Address getpeername() const;
  Address getpeername(std::error_code& error) const;

  /// Sets an option to an integer, to bytes, or, with nullopt, to no value: setsockopt(2) then gets
  /// a null pointer and `length`. Throws OSError; OverflowError if an integer does not fit a C int.
  /// SO::RCVTIMEO, SO::SNDTIMEO and SO::RCVLOWAT also take effect in fibers: on this socket, and on
  /// sockets that are accepted or duplicated from it afterwards.
  template <std::integral T>
  void setsockopt(OptionLevel level, OptionName name, T value) {
    using Widest = std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>;
    set_integer_option(level, name, static_cast<Widest>(value));
  }
  void setsockopt(OptionLevel level, OptionName name, BytesView value);
  void setsockopt(OptionLevel level, OptionName name, std::nullopt_t, std::size_t length);
  void setsockopt(OptionLevel level, OptionName name, int value, std::error_code& error);
  void setsockopt(OptionLevel level, OptionName name, BytesView value, std::error_code& error);

  /// Returns an option as an integer, or as up to `length` bytes. Throws OSError. If `length` is
  /// not in 1..1024, the OSError has no number.
  int getsockopt(OptionLevel level, OptionName name) const;
  Bytes getsockopt(OptionLevel level, OptionName name, ByteCount length) const;
  int getsockopt(OptionLevel level, OptionName name, std::error_code& error) const;
  Bytes getsockopt(OptionLevel level, OptionName name, ByteCount length,
                   std::error_code& error) const;

  // --- waiting ---

  /// Sets the timeout of each call from now on: seconds as a number, a std::chrono duration, a
  /// Deadline, or std::nullopt for none. Any timeout except none puts the descriptor itself into
  /// non-blocking mode, which it shares with its duplicates.
  void settimeout(Timeout timeout);
  void settimeout(Timeout timeout, std::error_code& error);
  Timeout gettimeout() const noexcept;

  /// setblocking(true) is settimeout(nullopt), setblocking(false) is settimeout(0).
  void setblocking(bool blocking);
  /// Returns false only if the timeout is zero.
  bool getblocking() const noexcept;

  /// Return or set whether child processes keep the descriptor after exec. By default they do not.
  bool get_inheritable() const;
  void set_inheritable(bool inheritable);

  // --- the rest ---

  /// Returns the descriptor; -1 once it is closed or detached. Open files of makefile() keep it
  /// open.
  int fileno() const noexcept;

  AF family() const noexcept;
  /// Returns the type without SOCK::NONBLOCK and SOCK::CLOEXEC.
  SOCK type() const noexcept;
  int proto() const noexcept;

  /// Returns the socket as a buffered file (stream.hpp). `mode` contains any of 'r', 'w' and 'b'.
  /// The file of a closed socket fails with EBADF when it first needs the descriptor.
  File makefile(std::string_view mode = "r", const FileOptions& options = {});

 private:
  friend struct detail::socket::SocketAccess;

  Socket(std::shared_ptr<detail::socket::SocketState> state) noexcept;
  void set_integer_option(OptionLevel level, OptionName name, long long value);
  void set_integer_option(OptionLevel level, OptionName name, unsigned long long value);

  void close_quietly() noexcept;

  std::shared_ptr<detail::socket::SocketState> state_;
};

/// Another name for Socket, as in Python.
using SocketType = Socket;

/// Returns Python's text: "<plug.Socket fd=3, family=2, type=1, proto=0, laddr=('127.0.0.1', 80),
/// raddr=...>", with " [closed]" after the name if it is closed.
std::string to_string(const Socket& sock);
std::ostream& operator<<(std::ostream& out, const Socket& sock);

/// Returns two sockets that are connected to each other. Throws as the constructor does.
[[nodiscard]] std::pair<Socket, Socket> socketpair(AF family = AF::UNIX, SOCK type = SOCK::STREAM,
                                                   Protocol proto = 0);
[[nodiscard]] std::pair<Socket, Socket> socketpair(AF family, SOCK type, Protocol proto,
                                                   std::error_code& error);

/// Returns a socket with a close-on-exec duplicate of `fileno`; the caller still owns `fileno`.
/// Throws OSError (EBADF, ENOTSOCK) if it is not a socket.
[[nodiscard]] Socket fromfd(int fileno, AF family, SOCK type, Protocol proto = 0);
[[nodiscard]] Socket fromfd(int fileno, AF family, SOCK type, Protocol proto,
                            std::error_code& error);

/// Returns a close-on-exec duplicate of any file descriptor. Python: socket.dup().
[[nodiscard]] OwnedFd dup(Fileno fileno);
[[nodiscard]] OwnedFd dup(Fileno fileno, std::error_code& error);

/// Closes a file descriptor that no object owns. Throws OSError, but not for ECONNRESET. The
/// descriptor is closed even after an error; do not close it again. Python: socket.close().
void close(Fileno fileno);
void close(Fileno fileno, std::error_code& error);

}  // namespace plug

#pragma GCC visibility pop
