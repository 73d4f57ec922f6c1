#pragma once

// Socket: one end of a network conversation. Python's socket.socket, typed and RAII.
//
//   Socket server = create_server({"127.0.0.1", 8000});
//   auto [conn, peer] = server.accept();
//   conn.settimeout(2.5);
//   for (Bytes data = conn.recv(4096); !data.empty(); data = conn.recv(4096)) conn.sendall(data);
//
// Every call that does I/O comes twice: the plain form throws (error.hpp says what); the form whose
// last parameter is a std::error_code& does not throw for a failed operation, stores the error, and
// returns what was done: the count so far, an empty value, or a closed socket.
//
// Waiting. A call on a socket without a time-out blocks. With a time-out of t each call takes t at
// most, however many pieces it needs (sendall has one deadline for all of its data), and ends in
// TimeoutError; with zero it never waits and ends in BlockingIOError. A signal that interrupts a
// call does not end it: the call goes on with the time that is left (PEP 475,
// set_interrupt_hook()). SIGPIPE is never raised: writing to a closed peer is BrokenPipeError.
//
// Threads. Different threads may use one socket at once, each call as safe as the system call
// behind it: one may receive while another sends, and any may close(). Moving or destroying the
// Socket object itself needs the caller's own order.
//
// Closing while others wait. close() ends what other threads have in flight on this very object
// with OSError EBADF, and the descriptor's number is not given back to the system before the last
// of them has left. Calls that have a time-out are woken directly. A call without one sits in the
// kernel; close() wakes it by shutting the connection down, which also ends it for duplicates of
// the descriptor in this or other processes; close() never shuts down when no such call is in
// flight. Shutting down wakes TCP, UDP and Unix sockets, accept() included; on raw, packet and
// netlink sockets a call without a time-out stays until something arrives.
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

/// A descriptor that a Socket is to take over. Python: the fileno argument of socket.socket().
struct Fileno {
  int value;
};

class Socket {
 public:
  /// A new socket, close-on-exec, with the default time-out (getdefaulttimeout(); zero when `type`
  /// has SOCK::NONBLOCK). Throws OSError.
  explicit Socket(AF family = AF::INET, SOCK type = SOCK::STREAM, Protocol proto = 0);
  Socket(AF family, SOCK type, Protocol proto, std::error_code& error);

  /// Takes over a descriptor, which is left as it is (inheritability included) and is closed with
  /// this object. What is not given is read from it. Throws ValueError for a negative number,
  /// OSError (EBADF, ENOTSOCK) for one that is no socket; the descriptor then stays the caller's.
  explicit Socket(Fileno fileno, std::optional<AF> family = {}, std::optional<SOCK> type = {},
                  std::optional<Protocol> proto = {});
  Socket(Fileno fileno, std::optional<AF> family, std::optional<SOCK> type,
         std::optional<Protocol> proto, std::error_code& error);

  /// A moved-from socket is closed.
  Socket(Socket&& other) noexcept = default;
  Socket& operator=(Socket&& other) noexcept {
    const Socket old(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
  }
  /// close(), without its errors.
  ~Socket() {
    if (state_) close_quietly();
  }

  // --- naming and connecting ---

  /// Gives the socket its own address. Throws OSError naming the address.
  void bind(const AddressLike& address);
  void bind(const AddressLike& address, std::error_code& error);

  /// Takes connections from now on; up to `backlog` of them wait for accept(). Below zero is zero;
  /// the system caps it silently (net.core.somaxconn).
  void listen(int backlog = 128);
  void listen(int backlog, std::error_code& error);

  /// The next connection and its peer's address. The new socket is close-on-exec; it has the
  /// default time-out when one is set, and blocks otherwise.
  std::pair<Socket, Address> accept();
  std::pair<Socket, Address> accept(std::error_code& error);

  /// Connects, within the time-out. Throws OSError naming the address; a name that is not found is
  /// gaierror. Without a time-out to wait (zero): BlockingIOError EINPROGRESS, or EAGAIN where a
  /// Unix listener has no room.
  void connect(const AddressLike& address);
  void connect(const AddressLike& address, std::error_code& error);

  /// As connect(), but the system's number is returned: 0 when connected, EINPROGRESS when begun,
  /// EAGAIN when the time-out ran out. Names that are not found still throw.
  int connect_ex(const AddressLike& address);

  /// Ends one half of the connection or both: the peer reads the end of the stream after WR.
  void shutdown(SHUT how);
  void shutdown(SHUT how, std::error_code& error);

  /// Idempotent. The descriptor closes now, or, while files of makefile() are open, with the last
  /// of them. Throws OSError when the system reports an error (except ECONNRESET); the descriptor
  /// is gone all the same.
  void close();
  void close(std::error_code& error);

  /// Gives the descriptor to the caller and forgets it; -1 when closed already.
  int detach() noexcept;

  /// A second socket over a duplicate of the descriptor, close-on-exec, with the same time-out.
  Socket dup() const;
  Socket dup(std::error_code& error) const;

  // --- receiving ---

  /// Up to `size` bytes; empty at the end of the stream, and at once when `size` is 0. With
  /// MSG::OOB and a time-out it waits for the urgent byte. With MSG::TRUNC a TCP socket drops what
  /// it would have returned: as many zeros are. Throws ValueError when size < 0.
  Bytes recv(std::ptrdiff_t size, MSG flags = MSG{});
  Bytes recv(std::ptrdiff_t size, MSG flags, std::error_code& error);

  /// Receives into the caller's memory; `size` 0 is the whole buffer. Returns the count, 0 at the
  /// end of the stream, and at once for an empty buffer. Throws ValueError when size < 0 or above
  /// the buffer's.
  std::size_t recv_into(MutableBytes buffer, std::ptrdiff_t size = 0, MSG flags = MSG{});
  std::size_t recv_into(MutableBytes buffer, std::ptrdiff_t size, MSG flags,
                        std::error_code& error);

  /// As recv() and recv_into(), with the sender's address (not there on a connected stream). Of a
  /// datagram longer than `size` the rest is lost. Of size 0 they wait for a datagram and drop it.
  std::pair<Bytes, Address> recvfrom(std::ptrdiff_t size, MSG flags = MSG{});
  std::pair<Bytes, Address> recvfrom(std::ptrdiff_t size, MSG flags, std::error_code& error);
  std::pair<std::size_t, Address> recvfrom_into(MutableBytes buffer, std::ptrdiff_t size = 0,
                                                MSG flags = MSG{});
  std::pair<std::size_t, Address> recvfrom_into(MutableBytes buffer, std::ptrdiff_t size, MSG flags,
                                                std::error_code& error);

  /// Receives up to `size` bytes and, in room for `ancsize` bytes (the sum of the CMSG_SPACE_() of
  /// what is expected), ancillary data (ancillary.hpp). Descriptors that arrive are inheritable
  /// unless `flags` have MSG::CMSG_CLOEXEC; without room for them the kernel closes them. Throws
  /// ValueError when size < 0, or ancsize < 0 or beyond a C int. recvmsg(2).
  ReceivedMessage recvmsg(std::ptrdiff_t size, std::ptrdiff_t ancsize = 0, MSG flags = MSG{});
  ReceivedMessage recvmsg(std::ptrdiff_t size, std::ptrdiff_t ancsize, MSG flags,
                          std::error_code& error);

  /// As recvmsg(), into the caller's memory: sock.recvmsg_into({header, body}). More than 1024
  /// buffers are OSError EMSGSIZE.
  ReceivedInto recvmsg_into(const MutableBuffers& buffers, std::ptrdiff_t ancsize = 0,
                            MSG flags = MSG{});
  ReceivedInto recvmsg_into(const MutableBuffers& buffers, std::ptrdiff_t ancsize, MSG flags,
                            std::error_code& error);

  // --- sending ---

  /// Sends what fits now and returns how much that was: on a stream it may be less than all.
  std::size_t send(BytesView data, MSG flags = MSG{});
  std::size_t send(BytesView data, MSG flags, std::error_code& error);

  /// Sends everything, within one deadline. When it throws, how much was sent is not known; the
  /// form with an error code returns it.
  void sendall(BytesView data, MSG flags = MSG{});
  std::size_t sendall(BytesView data, MSG flags, std::error_code& error);

  /// Sends one datagram to an address. Returns the count.
  std::size_t sendto(BytesView data, const AddressLike& address);
  std::size_t sendto(BytesView data, MSG flags, const AddressLike& address);
  std::size_t sendto(BytesView data, MSG flags, const AddressLike& address, std::error_code& error);

  /// Sends the bytes of all `buffers` as one message, with ancillary data (ancillary.hpp) beside
  /// them; on a stream it may send less than all of the bytes. To an address, unless that is not
  /// there (Address{}). Returns the count of bytes. Throws OSError: EMSGSIZE for more than 1024
  /// buffers, "too much ancillary data" for more than a C int counts. sendmsg(2).
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata = {},
                      MSG flags = MSG{});
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                      std::error_code& error);
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                      const AddressLike& address);
  std::size_t sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags,
                      const AddressLike& address, std::error_code& error);

  /// Sends data to the kernel's cryptography, on what accept() of an AF::ALG socket gave: `op` is
  /// ALG::OP_ENCRYPT or ALG::OP_DECRYPT (family_constants.hpp).
  std::size_t sendmsg_afalg(ALG op, const Buffers& buffers = {}, const AfalgOptions& options = {});
  std::size_t sendmsg_afalg(ALG op, const Buffers& buffers, const AfalgOptions& options,
                            std::error_code& error);

  /// Sends a file, from `offset` on, up to its end or `count` bytes, and returns how many that
  /// were; the form with an error code also says so when it fails. The kernel moves the bytes
  /// (sendfile(2), splice(2) from a pipe); where it cannot, they are read and sent. The time-out is
  /// for each wait, not for the whole. The descriptor stays the caller's; its position is
  /// offset + sent afterwards, also after an error, when anything was sent. What cannot be
  /// positioned, such as a pipe, is sent from where it is; bytes read from it that could not be
  /// sent are lost, except for those of a pipe.
  ///
  /// Throws ValueError unless this is a stream socket, with a time-out other than zero, count > 0
  /// and fileno >= 0; OSError as send() does, and for the file (EISDIR, EBADF, ESPIPE, EINVAL for
  /// an offset below zero). Unlike Python's, sends what is not a regular file too, which has no
  /// size.
  std::int64_t sendfile(int fileno, std::int64_t offset = 0,
                        std::optional<std::int64_t> count = {});
  std::int64_t sendfile(int fileno, std::int64_t offset, std::optional<std::int64_t> count,
                        std::error_code& error);

  // --- names and options ---

  /// The address of this end, or of the other (OSError ENOTCONN when there is none).
  Address getsockname() const;
  Address getsockname(std::error_code& error) const;
  Address getpeername() const;
  Address getpeername(std::error_code& error) const;

  /// Sets an option to an integer (OverflowError when it does not fit a C int), to bytes as they
  /// are, or (nullopt) to no value with a length. SO::RCVTIMEO, SO::SNDTIMEO and SO::RCVLOWAT count
  /// in fibers too, on this socket, what it accepts, and duplicates that are made afterwards.
  template <std::integral T>
  void setsockopt(OptionLevel level, OptionName name, T value) {
    using Widest = std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>;
    set_integer_option(level, name, static_cast<Widest>(value));
  }
  void setsockopt(OptionLevel level, OptionName name, BytesView value);
  void setsockopt(OptionLevel level, OptionName name, std::nullopt_t, std::size_t length);
  void setsockopt(OptionLevel level, OptionName name, int value, std::error_code& error);
  void setsockopt(OptionLevel level, OptionName name, BytesView value, std::error_code& error);

  /// An option as an integer, or as up to `length` bytes (1..1024, else OSError without a number).
  int getsockopt(OptionLevel level, OptionName name) const;
  Bytes getsockopt(OptionLevel level, OptionName name, std::ptrdiff_t length) const;
  int getsockopt(OptionLevel level, OptionName name, std::error_code& error) const;
  Bytes getsockopt(OptionLevel level, OptionName name, std::ptrdiff_t length,
                   std::error_code& error) const;

  // --- waiting ---

  /// How long each call may wait. Any time-out but none puts the descriptor itself into
  /// non-blocking mode, which its duplicates share.
  void settimeout(Timeout timeout);
  void settimeout(Timeout timeout, std::error_code& error);
  Timeout gettimeout() const noexcept;

  /// true is settimeout(nullopt), false is settimeout(0).
  void setblocking(bool blocking);
  /// False only when the time-out is zero.
  bool getblocking() const noexcept;

  /// Whether child processes that exec keep the descriptor. Sockets are made without.
  bool get_inheritable() const;
  void set_inheritable(bool inheritable);

  // --- the rest ---

  /// The descriptor; -1 once it is closed or detached. Still open while files of makefile() are.
  int fileno() const noexcept;

  AF family() const noexcept;
  /// Without SOCK::NONBLOCK and SOCK::CLOEXEC.
  SOCK type() const noexcept;
  int proto() const noexcept;

  /// The socket as a buffered file; mode is any of r, w and b. See stream.hpp. A closed socket's
  /// file fails with EBADF when it first needs the descriptor.
  File makefile(std::string_view mode = "r", const FileOptions& options = {});

 private:
  friend struct detail::SocketAccess;

  Socket(std::shared_ptr<detail::SocketState> state) noexcept;
  void set_integer_option(OptionLevel level, OptionName name, long long value);
  void set_integer_option(OptionLevel level, OptionName name, unsigned long long value);

  void close_quietly() noexcept;

  std::shared_ptr<detail::SocketState> state_;
};

/// Another name of Socket, as in Python.
using SocketType = Socket;

/// As Python prints a socket: "<plug.Socket fd=3, family=2, type=1, proto=0, laddr=('127.0.0.1',
/// 80), raddr=...>", with "[closed]" after the name when it is.
std::string to_string(const Socket& sock);
std::ostream& operator<<(std::ostream& out, const Socket& sock);

/// Two sockets connected to each other. The forms and errors of the constructor.
std::pair<Socket, Socket> socketpair(AF family = AF::UNIX, SOCK type = SOCK::STREAM,
                                     Protocol proto = 0);
std::pair<Socket, Socket> socketpair(AF family, SOCK type, Protocol proto, std::error_code& error);

/// A socket over a close-on-exec duplicate of `fileno`, which stays the caller's. Throws OSError
/// (EBADF, ENOTSOCK) for one that is no socket.
Socket fromfd(int fileno, AF family, SOCK type, Protocol proto = 0);
Socket fromfd(int fileno, AF family, SOCK type, Protocol proto, std::error_code& error);

/// A close-on-exec duplicate of any descriptor. Python: socket.dup().
OwnedFd dup(Fileno fileno);
OwnedFd dup(Fileno fileno, std::error_code& error);

/// Closes a descriptor that no object owns. ECONNRESET is no error; nothing is tried again, since
/// the descriptor is gone whatever is reported. Python: socket.close().
void close(Fileno fileno);
void close(Fileno fileno, std::error_code& error);

/// What RFC 8305 recommends between two attempts to connect.
inline constexpr std::chrono::milliseconds kHappyEyeballsDelay{250};

/// What create_connection() takes beside the address. Python: the arguments of
/// socket.create_connection(), and of asyncio's for those of happy eyeballs.
struct ConnectOptions {
  /// Of the look-up, then of each attempt; it stays the new socket's.
  Timeout timeout = getdefaulttimeout();
  /// Bound before connecting; looked up in each attempt's own family.
  std::optional<HostPort> source{};
  /// Whether to throw what each attempt failed with, in an ExceptionGroup, instead of the last.
  bool all_errors = false;
  /// None: an attempt begins when the one before has failed. Otherwise it begins after this delay
  /// as well; the first connection that is made wins, and the other attempts are given up.
  Timeout happy_eyeballs_delay = std::nullopt;
  /// Above zero the addresses take turns by family, after that many of the first family. By default
  /// 1 with happy_eyeballs_delay and 0 without. Throws ValueError below zero.
  std::optional<int> interleave{};
};

/// Connects a stream to a host and port: looks the host up, tries each address in order, and throws
/// the last error, naming the address, when none answers. A look-up out of time is TimeoutError
/// naming the host, one without an address OSError. `timeout` (the default time-out when absent) is
/// for the look-up and for each attempt, and stays the new socket's time-out; with zero the look-up
/// takes its time, as in Python, and the attempts do not wait. `source` is bound first when given,
/// and named by the error when that fails. All arguments are checked before anything is looked up.
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
/// The error is the last attempt's, with all_errors too.
Socket create_connection(const HostPort& address, const ConnectOptions& options,
                         std::error_code& error);

/// Whether one TCP socket can serve IPv4 and IPv6 here, which is tried. Python:
/// socket.has_dualstack_ipv6().
bool has_dualstack_ipv6();

/// What create_server() takes beside the address.
struct ServerOptions {
  AF family = AF::INET;
  int backlog = 128;
  bool reuse_port = false;      ///< SO_REUSEPORT
  bool dualstack_ipv6 = false;  ///< with AF::INET6: serve IPv4 as well
};

/// A bound and listening TCP socket, with SO_REUSEADDR set, so that a restarted server gets its
/// port back at once. An AF::INET6 one takes IPv6 alone unless dualstack_ipv6. Throws ValueError
/// when dualstack_ipv6 is asked of another family, or of a system without it; OSError, naming the
/// address. Python: socket.create_server().
Socket create_server(const AddressLike& address, const ServerOptions& options = {});
Socket create_server(const AddressLike& address, const ServerOptions& options,
                     std::error_code& error);

/// Called when a signal has interrupted a call, in its thread, before the call goes on with the
/// time that is left (PEP 475); and between the parts of what the system takes in several (sendall,
/// sendfile, files), since a signal may have parted them. Returns std::errc{} to go on, or the
/// error to end the call with, which is then of std::generic_category(); it may also throw, and the
/// exception leaves the call, whichever form it has. Either ends the whole call:
/// create_connection() tries no other address. No hook at first. Process-wide; returns the hook
/// that was there.
using InterruptHook = std::errc (*)();
InterruptHook set_interrupt_hook(InterruptHook hook) noexcept;

}  // namespace plug

#pragma GCC visibility pop
