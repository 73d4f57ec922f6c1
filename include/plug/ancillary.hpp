#pragma once

// Ancillary data: items that a message carries beside its bytes. Processes exchange file
// descriptors and credentials; the kernel reports where and when a datagram arrived, and its TTL.
//
//   send_fds(sock, {"here"}, {file.fileno()});
//   auto [data, fds, flags, address] = recv_fds(sock, 100, 1);
//
//   sock.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);
//   auto [data, ancdata, flags, sender] = sock.recvmsg(2048, CMSG::SPACE(64));
//   if (const ControlMessage* item = ancdata.find(IPPROTO::IP_, IP_::PKTINFO))
//     std::cout << item->packet_info().local;
//
// Socket::sendmsg(), recvmsg() and recvmsg_into() are in socket.hpp.
//
// Python: sendmsg, recvmsg, CMSG_LEN, send_fds and recv_fds of
// https://docs.python.org/3/library/socket.html; cmsg(3), unix(7), ip(7), ipv6(7), socket(7)

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/detail/control_length.hpp>
#include <plug/detail/forward.hpp>
#include <plug/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

class Socket;
enum class ALG : int;  // family/constants.hpp

/// A file descriptor that closes with this object. Move-only. Not thread-safe.
class OwnedFd {
 public:
  OwnedFd() noexcept = default;
  /// Takes over a file descriptor; a negative number means none.
  explicit OwnedFd(int fileno) noexcept : fileno_(fileno < 0 ? -1 : fileno) {}
  OwnedFd(OwnedFd&& other) noexcept : fileno_(other.detach()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    const OwnedFd old(std::exchange(fileno_, other.detach()));
    return *this;
  }
  /// Closes the descriptor, ignoring errors.
  ~OwnedFd();

  /// Returns the descriptor; -1 if there is none.
  int fileno() const noexcept { return fileno_; }
  explicit operator bool() const noexcept { return fileno_ >= 0; }

  /// Gives up the descriptor without closing it and returns it; -1 if there is none.
  int detach() noexcept { return std::exchange(fileno_, -1); }

  /// Closes the descriptor. Calling it again has no effect. Throws OSError if the system reports an
  /// error; the descriptor is closed even then.
  void close();
  void close(std::error_code& error);

 private:
  int fileno_ = -1;
};

/// The sizes of control messages. Both functions throw OverflowError if `length` is negative or the
/// size exceeds a C int.
struct CMSG {
  /// Returns the size of a control message with `length` bytes of data, without trailing padding.
  /// Python: CMSG_LEN().
  static constexpr std::size_t LEN(std::int64_t length) {
    constexpr auto kHeader = static_cast<std::int64_t>(detail::kControlHeader);
    if (length < 0 || length > detail::kLargestControl - kHeader)
      detail::throw_control_length("CMSG_LEN()", length);
    return static_cast<std::size_t>(kHeader + length);
  }

  /// Like LEN(), but with padding. The `ancsize` argument of recvmsg() is the sum of the SPACE() of
  /// the expected messages. Python: CMSG_SPACE().
  static constexpr std::size_t SPACE(std::int64_t length) {
    constexpr auto kHeader = static_cast<std::int64_t>(detail::kControlHeader);
    if (length < 0 || length > detail::kLargestControl - kHeader - detail::control_aligned(1))
      detail::throw_control_length("CMSG_SPACE()", length);
    return static_cast<std::size_t>(kHeader + detail::control_aligned(length));
  }
};

/// The type of a control message: an SCM, the option whose value it carries, or a number.
using ControlType = detail::IntOr<detail::kControl | detail::kOption>;

/// The sender of a message (SCM_CREDENTIALS).
struct Credentials {
  int pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  friend bool operator==(const Credentials&, const Credentials&) noexcept = default;
};

/// Returns the credentials of the peer of a Unix socket, from the time when that process called
/// connect(), listen() or socketpair(). Throws OSError, also for a socket of another family.
/// SO_PEERCRED of unix(7).
Credentials peer_credentials(const Socket& sock);
Credentials peer_credentials(const Socket& sock, std::error_code& error);

/// The interface and address at which a datagram arrived, or from which to send one (IP_PKTINFO,
/// IPV6_PKTINFO). The addresses have port 0.
struct PacketInfo {
  int interface_index = 0;  ///< 0 when sending: the routing table decides
  Address local{};          ///< the address of this host that received the datagram, or sends it
  /// The destination in the datagram's header, such as a multicast group; not used when sending.
  /// With IPv6 the same as `local`.
  Address destination{};

  friend bool operator==(const PacketInfo&, const PacketInfo&) noexcept = default;
};

using Timestamp = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

/// The times at which the kernel and the network card saw a packet (SO_TIMESTAMPING).
struct Timestamps {
  std::optional<Timestamp> software;
  std::optional<Timestamp> hardware;  ///< by the clock of the card
};

/// An item of ancillary data, as in Python: level, type and data.
///
/// The static functions make items of the types known here; the member functions of the same name
/// read them. A reader throws ValueError, naming level, type and size, if the item is of another
/// type, or if its data has the wrong size, for instance because the kernel truncated it.
struct ControlMessage {
  ControlMessage() = default;
  ControlMessage(OptionLevel item_level, ControlType item_type, BytesView item_data)
      : level(item_level), type(item_type), data(item_data.data(), item_data.size()) {}

  int level = 0;
  int type = 0;
  Bytes data;

  bool is(OptionLevel that_level, ControlType that_type) const noexcept {
    return level == that_level && type == that_type;
  }

  /// Makes an item that passes file descriptors over a Unix socket (SCM_RIGHTS). The caller still
  /// owns them.
  static ControlMessage rights(const detail::ListOf<int>& filenos);
  /// Returns the descriptors that arrived whole, as numbers only: AncillaryData owns them.
  std::vector<int> rights() const;

  /// SCM_CREDENTIALS. The kernel rejects false credentials of an unprivileged process (EPERM).
  static ControlMessage credentials(const Credentials& sender);
  Credentials credentials() const;

  /// IP_PKTINFO or IPV6_PKTINFO, by the family of `info.local`, whose port is ignored. Throws
  /// ValueError if it is neither IPv4 nor IPv6.
  static ControlMessage packet_info(const PacketInfo& info);
  PacketInfo packet_info() const;

  /// The hop limit of a datagram: IP_TTL and IPV6_HOPLIMIT. ttl() reads both.
  static ControlMessage ttl(int hops);
  static ControlMessage hop_limit(int hops);
  int ttl() const;

  /// The traffic class: IP_TOS and IPV6_TCLASS. tos() reads both.
  static ControlMessage tos(int value);
  static ControlMessage traffic_class(int value);
  int tos() const;

  /// Returns the arrival time of a packet: SO_TIMESTAMP (in microseconds) or SO_TIMESTAMPNS. Throws
  /// ValueError if a Timestamp cannot express it.
  Timestamp timestamp() const;
  /// Returns the times of SO_TIMESTAMPING. Throws like timestamp().
  Timestamps timestamps() const;

  friend bool operator==(const ControlMessage&, const ControlMessage&) noexcept = default;
};

/// Returns "(level, type, b'data')", as Python prints it.
std::string to_string(const ControlMessage& item);

/// Ancillary data to send: a braced list, or a contiguous range.
using ControlMessages = detail::ListOf<ControlMessage>;

/// Received ancillary data: its items, in order. It owns the descriptors in them (SCM_RIGHTS) and
/// closes them with this object, unless they are taken or released. Move-only. Not thread-safe.
class AncillaryData {
 public:
  AncillaryData() noexcept = default;
  AncillaryData(AncillaryData&& other) noexcept;
  AncillaryData& operator=(AncillaryData&& other) noexcept;
  ~AncillaryData();

  std::size_t size() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.empty(); }
  const ControlMessage* data() const noexcept { return items_.data(); }
  const ControlMessage& operator[](std::size_t n) const noexcept { return items_[n]; }
  std::vector<ControlMessage>::const_iterator begin() const noexcept { return items_.begin(); }
  std::vector<ControlMessage>::const_iterator end() const noexcept { return items_.end(); }

  /// Returns the first item of a type; null if there is none.
  const ControlMessage* find(OptionLevel level, ControlType type) const noexcept;

  /// Returns the descriptors of all SCM_RIGHTS items and transfers their ownership. Returns none if
  /// they were taken before. The items keep the numbers.
  std::vector<OwnedFd> take_fds();

  /// Returns the items and gives up their descriptors, which the caller must close by number.
  std::vector<ControlMessage> release() noexcept;

 private:
  friend struct detail::socket::AncillaryAccess;

  std::vector<ControlMessage> items_;
  bool owns_ = true;
};

/// The result of Socket::recvmsg().
struct ReceivedMessage {
  Bytes data;
  AncillaryData ancdata;
  MSG flags{};      ///< MSG::TRUNC: data was truncated; MSG::CTRUNC: ancillary data was truncated
  Address address;  ///< of the sender; empty on a connected stream
};

/// The result of Socket::recvmsg_into().
struct ReceivedInto {
  std::size_t count = 0;
  AncillaryData ancdata;
  MSG flags{};
  Address address;
};

/// The result of recv_fds().
struct ReceivedFds {
  Bytes data;
  std::vector<OwnedFd> fds;
  MSG flags{};
  Address address;
};

/// Sends file descriptors over a Unix socket, together with the bytes of `buffers`; a stream needs
/// at least one byte. The caller still owns the descriptors. Returns the number of bytes sent.
/// `flags` and `address` are passed to sendmsg(); Python ignores them. Throws OSError. Python:
/// socket.send_fds().
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags = MSG{});
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     std::error_code& error, MSG flags = MSG{});
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     const AddressLike& address, MSG flags = MSG{});
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     const AddressLike& address, std::error_code& error, MSG flags = MSG{});

/// Receives up to `bufsize` bytes and `maxfds` file descriptors, which are close-on-exec from the
/// start. If more descriptors were sent, they are lost and the flags contain MSG::CTRUNC. `flags`
/// are passed to recvmsg(); Python ignores them. Throws ValueError if bufsize < 0, OverflowError if
/// maxfds < 0 or the ancillary data would exceed a C int, OSError. Python: socket.recv_fds().
[[nodiscard]] ReceivedFds recv_fds(Socket& sock, ByteCount bufsize, std::ptrdiff_t maxfds,
                                   MSG flags = MSG{});
[[nodiscard]] ReceivedFds recv_fds(Socket& sock, ByteCount bufsize, std::ptrdiff_t maxfds,
                                   std::error_code& error, MSG flags = MSG{});

/// Options of Socket::sendmsg_afalg().
struct AfalgOptions {
  BytesView iv{};                           ///< ALG_SET_IV, unless empty
  std::optional<std::uint32_t> assoclen{};  ///< ALG_SET_AEAD_ASSOCLEN, in bytes
  MSG flags{};                              ///< MSG::MORE: more data follows
};

}  // namespace plug

#pragma GCC visibility pop
