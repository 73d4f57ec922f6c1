#pragma once

// Ancillary data: what travels beside the bytes of a message. Descriptors and credentials between
// processes, and what the kernel knows of a datagram: where it arrived, when, and with what TTL.
//
//   send_fds(sock, {"here"}, {file.fileno()});
//   auto [data, fds, flags, address] = recv_fds(sock, 100, 1);
//
//   sock.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);
//   auto [data, ancdata, flags, sender] = sock.recvmsg(2048, CMSG_SPACE_(64));
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

namespace plug::detail {

struct AncillaryAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

class Socket;
enum class ALG : int;  // family_constants.hpp

/// A descriptor that closes with its owner. Move-only. No two threads may use one at once.
class OwnedFd {
 public:
  OwnedFd() noexcept = default;
  /// Takes over a descriptor; below zero is none.
  explicit OwnedFd(int fileno) noexcept : fileno_(fileno < 0 ? -1 : fileno) {}
  OwnedFd(OwnedFd&& other) noexcept : fileno_(other.detach()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    const OwnedFd old(std::exchange(fileno_, other.detach()));
    return *this;
  }
  /// close(), without its errors.
  ~OwnedFd();

  /// The number; -1 when there is none.
  int fileno() const noexcept { return fileno_; }
  explicit operator bool() const noexcept { return fileno_ >= 0; }

  /// Gives the descriptor to the caller and forgets it; -1 when there is none.
  int detach() noexcept { return std::exchange(fileno_, -1); }

  /// Idempotent. Throws OSError when the system reports an error; the descriptor is gone all the
  /// same.
  void close();
  void close(std::error_code& error);

 private:
  int fileno_ = -1;
};

namespace detail {
inline constexpr std::size_t kControlHeader = sizeof(std::size_t) + 2 * sizeof(int);
inline constexpr std::int64_t kLargestControl = std::numeric_limits<int>::max();

constexpr std::int64_t control_aligned(std::int64_t length) noexcept {
  constexpr auto kUnit = static_cast<std::int64_t>(sizeof(std::size_t));
  return (length + kUnit - 1) / kUnit * kUnit;
}
[[noreturn]] void throw_control_length(const char* call, std::int64_t length);
}  // namespace detail

/// The size of a control message with `length` bytes of data, without padding after it. Throws
/// OverflowError below zero and where the size is beyond a C int. Python: CMSG_LEN().
constexpr std::size_t CMSG_LEN_(std::int64_t length) {
  constexpr auto kHeader = static_cast<std::int64_t>(detail::kControlHeader);
  if (length < 0 || length > detail::kLargestControl - kHeader)
    detail::throw_control_length("CMSG_LEN()", length);
  return static_cast<std::size_t>(kHeader + length);
}

/// As CMSG_LEN_(), with the padding: the room that the message takes among others. The sum of the
/// CMSG_SPACE_() of the messages expected is what recvmsg() takes. Python: CMSG_SPACE().
constexpr std::size_t CMSG_SPACE_(std::int64_t length) {
  constexpr auto kHeader = static_cast<std::int64_t>(detail::kControlHeader);
  if (length < 0 || length > detail::kLargestControl - kHeader - detail::control_aligned(1))
    detail::throw_control_length("CMSG_SPACE()", length);
  return static_cast<std::size_t>(kHeader + detail::control_aligned(length));
}

/// The type of a control message: SCM, an option whose value it carries, or a number.
using ControlType = detail::IntOr<detail::kControl | detail::kOption>;

/// Who sent a message (SCM_CREDENTIALS).
struct Credentials {
  int pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  friend bool operator==(const Credentials&, const Credentials&) noexcept = default;
};

/// Who is at the other end of a Unix socket: who connected, listened, or made the pair, as it was
/// then. Throws OSError, for sockets that are no such ones too. SO_PEERCRED of unix(7).
Credentials peer_credentials(const Socket& sock);
Credentials peer_credentials(const Socket& sock, std::error_code& error);

/// Where a datagram arrived, or from where it is to be sent (IP_PKTINFO, IPV6_PKTINFO). Addresses
/// have port 0.
struct PacketInfo {
  int interface_index = 0;  ///< 0 to send: the routing table decides
  Address local{};          ///< the address of this host that received it, or is to send it
  /// What its header was addressed to, a group for instance; not used to send. With IPv6 the same
  /// as `local`.
  Address destination{};

  friend bool operator==(const PacketInfo&, const PacketInfo&) noexcept = default;
};

using Timestamp = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

/// When a packet was seen, by the kernel and by the network card (SO_TIMESTAMPING).
struct Timestamps {
  std::optional<Timestamp> software;
  std::optional<Timestamp> hardware;  ///< of the card's own clock
};

/// One item of ancillary data, as Python has it: level, type, and data. A value type.
///
/// The named functions make the items that are known here, and read them. A reader throws
/// ValueError, naming level, type and size, for an item of another kind, or one whose data the
/// kernel cut or that has another size than its kind has.
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

  /// Descriptors for another process, over a Unix socket (SCM_RIGHTS). These stay the caller's.
  static ControlMessage rights(const detail::ListOf<int>& filenos);
  /// The numbers in it, as many as arrived whole. Numbers only: AncillaryData owns what arrived.
  std::vector<int> rights() const;

  /// SCM_CREDENTIALS. The kernel checks what a process without privileges claims (EPERM).
  static ControlMessage credentials(const Credentials& sender);
  Credentials credentials() const;

  /// IP_PKTINFO or IPV6_PKTINFO, by the family of `info.local`, for which an address of any port
  /// will do. Throws ValueError when that is neither IPv4 nor IPv6.
  static ControlMessage packet_info(const PacketInfo& info);
  PacketInfo packet_info() const;

  /// The hops that a datagram may make: IP_TTL and IPV6_HOPLIMIT. One reader reads both.
  static ControlMessage ttl(int hops);
  static ControlMessage hop_limit(int hops);
  int ttl() const;

  /// The traffic class: IP_TOS and IPV6_TCLASS. One reader reads both.
  static ControlMessage tos(int value);
  static ControlMessage traffic_class(int value);
  int tos() const;

  /// When a packet arrived: SO_TIMESTAMP (to the microsecond) and SO_TIMESTAMPNS. A time that the
  /// type cannot hold is ValueError.
  Timestamp timestamp() const;
  /// SO_TIMESTAMPING.
  Timestamps timestamps() const;

  friend bool operator==(const ControlMessage&, const ControlMessage&) noexcept = default;
};

/// "(level, type, b'data')", as Python prints it.
std::string to_string(const ControlMessage& item);

/// Ancillary data to send: a list in braces, or a contiguous range.
using ControlMessages = detail::ListOf<ControlMessage>;

/// Ancillary data that was received: its items, in order. It owns the descriptors among them
/// (SCM_RIGHTS) until they are taken or released: those that nobody asks for are closed with it.
/// Move-only. No two threads may use one at once.
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

  /// The first item of a kind; null when there is none.
  const ControlMessage* find(OptionLevel level, ControlType type) const noexcept;

  /// The descriptors of all SCM_RIGHTS items, which from then on are the caller's. The items keep
  /// their numbers. Nothing when they have been taken before.
  std::vector<OwnedFd> take_fds();

  /// Forgets the descriptors, which are the caller's to close by number, and gives the items away.
  std::vector<ControlMessage> release() noexcept;

 private:
  friend struct detail::AncillaryAccess;

  std::vector<ControlMessage> items_;
  bool owns_ = true;
};

/// What Socket::recvmsg() gives.
struct ReceivedMessage {
  Bytes data;
  AncillaryData ancdata;
  MSG flags{};      ///< MSG::TRUNC: data was cut; MSG::CTRUNC: ancillary data was cut
  Address address;  ///< the sender's; not there on a connected stream
};

/// What Socket::recvmsg_into() gives.
struct ReceivedInto {
  std::size_t count = 0;
  AncillaryData ancdata;
  MSG flags{};
  Address address;
};

/// What recv_fds() gives.
struct ReceivedFds {
  Bytes data;
  std::vector<OwnedFd> fds;
  MSG flags{};
  Address address;
};

/// Sends descriptors over a Unix socket, beside the bytes of `buffers`, of which a stream needs one
/// at least. They stay the caller's. Returns the count of bytes. `flags` and `address` go to
/// sendmsg(); Python takes them and leaves them out. Throws OSError. Python: socket.send_fds().
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags = MSG{});
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags, std::error_code& error);
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags, const AddressLike& address);
std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags, const AddressLike& address, std::error_code& error);

/// Receives up to `bufsize` bytes and `maxfds` descriptors, which are close-on-exec from the start.
/// When more were sent the flags have MSG::CTRUNC; the rest is lost. `flags` go to recvmsg();
/// Python takes them and leaves them out. Throws ValueError when bufsize < 0, OverflowError when
/// maxfds < 0 or absurd, OSError. Python: socket.recv_fds().
ReceivedFds recv_fds(Socket& sock, std::ptrdiff_t bufsize, std::ptrdiff_t maxfds,
                     MSG flags = MSG{});
ReceivedFds recv_fds(Socket& sock, std::ptrdiff_t bufsize, std::ptrdiff_t maxfds, MSG flags,
                     std::error_code& error);

/// What Socket::sendmsg_afalg() takes beside the operation and the data.
struct AfalgOptions {
  BytesView iv{};                           ///< ALG_SET_IV, unless empty
  std::optional<std::uint32_t> assoclen{};  ///< ALG_SET_AEAD_ASSOCLEN, in bytes
  MSG flags{};                              ///< MSG::MORE: more data follows
};

}  // namespace plug

#pragma GCC visibility pop
