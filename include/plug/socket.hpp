#pragma once

// Socket: one end of a network connection. Python's socket.socket, typed and RAII.
//
//   Socket server = create_server({"127.0.0.1", 8000});
//   auto [conn, peer] = server.accept();
//   conn.settimeout(2.5);
//   for (Bytes data = conn.recv(4096); !data.empty(); data = conn.recv(4096)) conn.sendall(data);
//
// Every call that performs I/O has two forms. The plain form throws (see error.hpp). The form whose
// last parameter is a std::error_code& does not throw for a failed operation: it stores the error
// and returns the result so far: a count, an empty value, or a closed socket.
//
// Timeouts. Without a timeout, a call blocks. With a timeout, a call takes at most that long, even
// if it needs several system calls (sendall() has one deadline for all of its data), and then
// throws TimeoutError. With a timeout of zero, a call never blocks; it throws BlockingIOError
// instead. Inside a fiber, a blocking call suspends only that fiber. A signal does not end a call:
// the call continues with the remaining time (PEP 475, set_interrupt_hook()). SIGPIPE is never
// raised; sending to a closed peer throws BrokenPipeError.
//
// Thread safety. Several threads may use one socket at the same time; each call is as safe as the
// system call behind it. One thread may receive while another sends, and any thread may close().
// Moving or destroying the Socket object requires synchronization by the caller.
//
// Closing. close() ends the calls that other threads have in flight on this object: they throw
// OSError EBADF. The descriptor itself closes after the last of them has returned, so its number
// cannot be reused before. Calls with a timeout are woken directly. A call without one is blocked
// in the kernel; close() wakes it by shutting the connection down, which also affects duplicates of
// the descriptor in this and other processes. If no such call is in flight, close() does not shut
// down. A shutdown wakes calls on TCP, UDP and Unix sockets, including accept(). On raw, packet and
// netlink sockets, a call without a timeout stays blocked until something arrives.
//
// Python: https://docs.python.org/3/library/socket.html#socket-objects

#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/error.hpp>
#include <plug/resolve.hpp>
#include <plug/stream.hpp>
#include <plug/timeout.hpp>

#include <chrono>
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

namespace plug::detail {

class SocketState;
struct SocketAccess;

}  // namespace plug::detail

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
  Socket(AF family, SOCK type, Protocol proto, std::error_code& error);

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

  /// Binds the socket to a local address. Throws OSError naming the address.
  void bind(const AddressLike& address);
  void bind(const AddressLike& address, std::error_code& error);

  /// Starts to accept connections, with a queue of up to `backlog` of them. A negative backlog is
  /// taken as zero. The system silently limits the backlog (net.core.somaxconn).
  void listen(int backlog = 128);
  void listen(int backlog, std::error_code& error);

  /// Waits for a connection. Returns a new socket for it and the peer's address. The new socket is
  /// close-on-exec and has the default timeout (getdefaulttimeout()).
  std::pair<Socket, Address> accept();
  std::pair<Socket, Address> accept(std::error_code& error);

  /// Connects within the timeout, which includes the lookup of a host name. Throws OSError naming
  /// the address, gaierror if the name is not found. With a timeout of zero, throws
  /// BlockingIOError: EINPROGRESS, or EAGAIN if the queue of a Unix listener is full.
  void connect(const AddressLike& address);
  void connect(const AddressLike& address, std::error_code& error);

  /// Like connect(), but returns the error number: 0 when connected, EINPROGRESS when in progress,
  /// EAGAIN after a timeout. Still throws if a host name is not found.
  int connect_ex(const AddressLike& address);

  /// Shuts down one half of the connection or both. After SHUT::WR the peer reads end of stream.
  void shutdown(SHUT how);
  void shutdown(SHUT how, std::error_code& error);

  /// Closes the socket. Calling it again has no effect. If files made by makefile() are open, the
  /// descriptor closes with the last of them. Throws OSError if the system reports an error other
  /// than ECONNRESET; the descriptor is closed even then.
  void close();
  void close(std::error_code& error);

  /// Gives up the descriptor without closing it and returns it; -1 if already closed.
  int detach() noexcept;

  /// Returns a socket with a close-on-exec duplicate of the descriptor and the same timeout.
  Socket dup() const;
  Socket dup(std::error_code& error) const;

  // --- receiving ---

  /// Receives up to `size` bytes. Returns an empty result at the end of the stream, and at once if
  /// `size` is 0. With MSG::OOB and a timeout, waits for urgent data. With MSG::TRUNC, TCP discards
  /// the data, and recv() returns as many zeros. Throws ValueError if size < 0.
  Bytes recv(std::ptrdiff_t size, MSG flags = MSG{});
  Bytes recv(std::ptrdiff_t size, MSG flags, std::error_code& error);

  /// Receives into the caller's memory: up to `size` bytes, or the whole buffer if `size` is 0.
  /// Returns the number of bytes; 0 at the end of the stream, and at once if the buffer is empty.
  /// Throws ValueError if size < 0 or if the buffer is smaller than `size`.
  std::size_t recv_into(MutableBytes buffer, std::ptrdiff_t size = 0, MSG flags = MSG{});
  std::size_t recv_into(MutableBytes buffer, std::ptrdiff_t size, MSG flags,
                        std::error_code& error);

  /// Like recv() and recv_into(), but also return the sender's address (empty on a connected
  /// stream). The part of a datagram beyond `size` is lost. recvfrom(0), and recvfrom_into() with
  /// an empty buffer, wait for a datagram and discard it.
  std::pair<Bytes, Address> recvfrom(std::ptrdiff_t size, MSG flags = MSG{});
  std::pair<Bytes, Address> recvfrom(std::ptrdiff_t size, MSG flags, std::error_code& error);
  std::pair<std::size_t, Address> recvfrom_into(MutableBytes buffer, std::ptrdiff_t size = 0,
                                                MSG flags = MSG{});
  std::pair<std::size_t, Address> recvfrom_into(MutableBytes buffer, std::ptrdiff_t size, MSG flags,
                                                std::error_code& error);

  /// Receives up to `size` bytes of data, and ancillary data (ancillary.hpp) into a buffer of
  /// `ancsize` bytes: the sum of CMSG_SPACE_() of the expected items. The kernel closes file
  /// descriptors that do not fit. Received descriptors are inheritable unless `flags` contains
  /// MSG::CMSG_CLOEXEC. Throws ValueError if size < 0, or if ancsize is negative or exceeds a C
  /// int. recvmsg(2).
  ReceivedMessage recvmsg(std::ptrdiff_t size, std::ptrdiff_t ancsize = 0, MSG flags = MSG{});
  ReceivedMessage recvmsg(std::ptrdiff_t size, std::ptrdiff_t ancsize, MSG flags,
                          std::error_code& error);

  /// Like recvmsg(), but into the caller's memory: sock.recvmsg_into({header, body}). Throws
  /// OSError EMSGSIZE for more than 1024 buffers.
  ReceivedInto recvmsg_into(const MutableBuffers& buffers, std::ptrdiff_t ancsize = 0,
                            MSG flags = MSG{});
  ReceivedInto recvmsg_into(const MutableBuffers& buffers, std::ptrdiff_t ancsize, MSG flags,
                            std::error_code& error);

  // --- sending ---

  /// Sends as much as the system takes at once and returns the count. A stream may take only part.
  std::size_t send(BytesView data, MSG flags = MSG{});
  std::size_t send(BytesView data, MSG flags, std::error_code& error);

  /// Sends all of the data, with one deadline. If it throws, part of the data may have been sent;
  /// the form with an error code returns how much.
  void sendall(BytesView data, MSG flags = MSG{});
  std::size_t sendall(BytesView data, MSG flags, std::error_code& error);

  /// Sends one datagram to an address and returns the number of bytes sent.
  std::size_t sendto(BytesView data, const AddressLike& address);
  std::size_t sendto(BytesView data, MSG flags, const AddressLike& address);
  std::size_t sendto(BytesView data, MSG flags, const AddressLike& address, std::error_code& error);

  /// Sends the bytes of all `buffers` as one message, together with ancillary data (ancillary.hpp),
  /// to `address` unless that is empty (Address{}). Returns the number of bytes sent; a stream may
  /// take only part of them. Throws OSError: EMSGSIZE for more than 1024 buffers, "too much
  /// ancillary data" if its size exceeds a C int. sendmsg(2).
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata = {},
                      MSG flags = MSG{});
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                      std::error_code& error);
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                      const AddressLike& address);
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                      const AddressLike& address, std::error_code& error);

  /// Sends data to the kernel's crypto API, on a socket returned by accept() of an AF::ALG socket.
  /// `op` is ALG::OP_ENCRYPT or ALG::OP_DECRYPT (family/constants.hpp).
  std::size_t sendmsg_afalg(ALG op, const Buffers& buffers = {}, const AfalgOptions& options = {});
  std::size_t sendmsg_afalg(ALG op, const Buffers& buffers, const AfalgOptions& options,
                            std::error_code& error);

  /// Sends a file from `offset` to its end, or at most `count` bytes of it. Returns the number of
  /// bytes sent; the form with an error code does so after a failure, too. The kernel copies large
  /// files and pipes where it can (sendfile(2), splice(2)); otherwise the bytes are read and sent.
  /// The timeout applies to each wait, not to the whole transfer. The caller still owns the
  /// descriptor. If anything was sent, the file position is offset + sent afterwards, even after an
  /// error. A file without a position, such as a pipe or a socket, requires an offset of 0; bytes
  /// that were read from it but not sent are lost, except those of a pipe.
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

  /// Sets an option to an integer, to bytes, or, with nullopt, to a null pointer and `length`.
  /// Throws OverflowError if an integer does not fit a C int. SO::RCVTIMEO, SO::SNDTIMEO and
  /// SO::RCVLOWAT take effect in fibers, too: on this socket, and on sockets that are accepted or
  /// duplicated from it afterwards.
  template <std::integral T>
  void setsockopt(OptionLevel level, OptionName name, T value) {
    using Widest = std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>;
    set_integer_option(level, name, static_cast<Widest>(value));
  }
  void setsockopt(OptionLevel level, OptionName name, BytesView value);
  void setsockopt(OptionLevel level, OptionName name, std::nullopt_t, std::size_t length);
  void setsockopt(OptionLevel level, OptionName name, int value, std::error_code& error);
  void setsockopt(OptionLevel level, OptionName name, BytesView value, std::error_code& error);

  /// Returns an option as an integer, or as up to `length` bytes. Throws OSError, without a number
  /// if `length` is not in 1..1024.
  int getsockopt(OptionLevel level, OptionName name) const;
  Bytes getsockopt(OptionLevel level, OptionName name, std::ptrdiff_t length) const;
  int getsockopt(OptionLevel level, OptionName name, std::error_code& error) const;
  Bytes getsockopt(OptionLevel level, OptionName name, std::ptrdiff_t length,
                   std::error_code& error) const;

  // --- waiting ---

  /// Sets the timeout of each call. Any timeout except none puts the descriptor itself into
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
  friend struct detail::SocketAccess;

  Socket(std::shared_ptr<detail::SocketState> state) noexcept;
  void set_integer_option(OptionLevel level, OptionName name, long long value);
  void set_integer_option(OptionLevel level, OptionName name, unsigned long long value);

  void close_quietly() noexcept;

  std::shared_ptr<detail::SocketState> state_;
};

/// Another name for Socket, as in Python.
using SocketType = Socket;

/// Returns Python's text: "<plug.Socket fd=3, family=2, type=1, proto=0, laddr=('127.0.0.1', 80),
/// raddr=...>", with " [closed]" after the name if it is closed.
std::string to_string(const Socket& sock);
std::ostream& operator<<(std::ostream& out, const Socket& sock);

/// Returns two sockets that are connected to each other. Throws as the constructor does.
std::pair<Socket, Socket> socketpair(AF family = AF::UNIX, SOCK type = SOCK::STREAM,
                                     Protocol proto = 0);
std::pair<Socket, Socket> socketpair(AF family, SOCK type, Protocol proto, std::error_code& error);

/// Returns a socket with a close-on-exec duplicate of `fileno`; the caller still owns `fileno`.
/// Throws OSError (EBADF, ENOTSOCK) if it is not a socket.
Socket fromfd(int fileno, AF family, SOCK type, Protocol proto = 0);
Socket fromfd(int fileno, AF family, SOCK type, Protocol proto, std::error_code& error);

/// Returns a close-on-exec duplicate of any file descriptor. Python: socket.dup().
OwnedFd dup(Fileno fileno);
OwnedFd dup(Fileno fileno, std::error_code& error);

/// Closes a file descriptor that no object owns. Throws OSError, but not for ECONNRESET. The
/// descriptor is closed even after an error; do not close it again. Python: socket.close().
void close(Fileno fileno);
void close(Fileno fileno, std::error_code& error);

/// The delay that RFC 8305 recommends between two connection attempts.
inline constexpr std::chrono::milliseconds kHappyEyeballsDelay{250};

/// Options of create_connection(). Python: the arguments of socket.create_connection(), and for
/// happy eyeballs those of asyncio's loop.create_connection().
struct ConnectOptions {
  /// Applies to the lookup, then to each attempt. The new socket keeps it.
  Timeout timeout = getdefaulttimeout();
  /// The local address to bind first. A host name is looked up in the family of each attempt.
  std::optional<HostPort> source{};
  /// If true, throws an ExceptionGroup with the errors of all attempts instead of the last error.
  bool all_errors = false;
  /// If none, an attempt starts when the previous one has failed; otherwise also after this delay.
  /// The first connection made is returned; the other attempts are abandoned.
  Timeout happy_eyeballs_delay = std::nullopt;
  /// If above zero, the addresses alternate by family, starting with that many of the first family.
  /// Default: 1 with happy_eyeballs_delay, otherwise 0. A negative value is a ValueError.
  std::optional<int> interleave{};
};

/// Looks up a host and connects a stream socket to the first of its addresses that answers. If none
/// does, throws the error of the last attempt, naming the address. Throws TimeoutError naming the
/// host if the lookup times out, OSError if the lookup finds no address. `timeout` (if omitted, the
/// default timeout) applies to the lookup and to each attempt, and the new socket keeps it. If it
/// is zero, the lookup blocks, as in Python, and the attempts do not wait. If `source` is given, it
/// is bound first; an error then names it. Arguments are checked before the lookup.
///
///   create_connection({"example.org", 80}, {.timeout = 5, .all_errors = true,
///                                           .happy_eyeballs_delay = kHappyEyeballsDelay});
///
/// Python: socket.create_connection(); RFC 8305.
Socket create_connection(const HostPort& address);
Socket create_connection(const HostPort& address, Timeout timeout);
Socket create_connection(const HostPort& address, Timeout timeout,
                         const std::optional<HostPort>& source);
Socket create_connection(const HostPort& address, Timeout timeout,
                         const std::optional<HostPort>& source, std::error_code& error);
Socket create_connection(const HostPort& address, const ConnectOptions& options);
/// Stores the error of the last attempt, even with all_errors.
Socket create_connection(const HostPort& address, const ConnectOptions& options,
                         std::error_code& error);

/// Returns whether a TCP socket can serve both IPv4 and IPv6, by creating one. Python:
/// socket.has_dualstack_ipv6().
bool has_dualstack_ipv6();

/// Options of create_server().
struct ServerOptions {
  AF family = AF::INET;
  int backlog = 128;
  bool reuse_port = false;      ///< SO_REUSEPORT
  bool dualstack_ipv6 = false;  ///< with AF::INET6: serve IPv4 as well
};

/// Returns a bound and listening TCP socket. Sets SO_REUSEADDR, so that a restarted server can bind
/// its port at once. With AF::INET6 it serves IPv6 only, unless dualstack_ipv6 is set. Throws
/// ValueError if dualstack_ipv6 is set for another family or the system does not support it, and
/// OSError naming the address. Python: socket.create_server().
Socket create_server(const AddressLike& address, const ServerOptions& options = {});
Socket create_server(const AddressLike& address, const ServerOptions& options,
                     std::error_code& error);

/// Called in the thread of a call that a signal has interrupted, before that call continues with
/// the remaining time (PEP 475). Also called between the parts of a transfer (sendall(),
/// sendfile(), files), because a signal may be why the system took only a part. The hook returns
/// std::errc{} to continue, or an error to end the call, which then reports it in
/// std::generic_category(). It may also throw; the exception leaves the call, in both of its forms.
/// An error or exception ends the whole call: create_connection() tries no other address.
///
/// set_interrupt_hook() sets the hook of the process and returns the previous one. At first there
/// is no hook (null).
using InterruptHook = std::errc (*)();
InterruptHook set_interrupt_hook(InterruptHook hook) noexcept;

}  // namespace plug

#pragma GCC visibility pop
