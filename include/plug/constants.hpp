#pragma once

// Constants, as scoped enums: the first underscore of the C name becomes "::" (AF_INET is AF::INET,
// SO_REUSEADDR is SO::REUSEADDR), because the C names are macros once system headers are included.
//
// Where a system header owns what would be left as a macro of its own, the name ends in an
// underscore: IP_::TTL, IPPROTO::IP_, SOL::IP_, SO::DEBUG_, SO::ERROR_, MSG::EOR_,
// SOMAXCONN_.
//
// A value without a name here is spelled as a cast: AF{40}, MSG{0x4000}.
// Every value is held equal to the system's by src/sys/constants_check.cpp.

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace plug {

/// Address families. Python: AF_*.
enum class AF : int {
  UNSPEC = 0,
  UNIX = 1,
  INET = 2,
  AX25 = 3,
  IPX = 4,
  APPLETALK = 5,
  NETROM = 6,
  BRIDGE = 7,
  ATMPVC = 8,
  X25 = 9,
  INET6 = 10,
  ROSE = 11,
  NETBEUI = 13,
  SECURITY = 14,
  KEY = 15,
  NETLINK = 16,
  PACKET = 17,
  ASH = 18,
  ECONET = 19,
  ATMSVC = 20,
  RDS = 21,
  SNA = 22,
  IRDA = 23,
  PPPOX = 24,
  WANPIPE = 25,
  LLC = 26,
  CAN = 29,
  TIPC = 30,
  BLUETOOTH = 31,
  ALG = 38,
  VSOCK = 40,
  QIPCRTR = 42,
};

/// Socket types; CLOEXEC and NONBLOCK may be or-ed in. Python: SOCK_*.
enum class SOCK : int {
  STREAM = 1,
  DGRAM = 2,
  RAW = 3,
  RDM = 4,
  SEQPACKET = 5,
  NONBLOCK = 0x800,
  CLOEXEC = 0x80000,
};

/// Levels of getsockopt() and setsockopt(). Python: SOL_*.
enum class SOL : int {
  SOCKET = 1,
  IP_ = 0,
  TCP = 6,
  UDP = 17,
  IPV6 = 41,
  ICMPV6 = 58,
  RAW = 255,
  PACKET = 263,
  NETLINK = 270,
  RDS = 276,
  TIPC = 271,
  ALG = 279,
  BLUETOOTH = 274,
};

/// Protocols of the internet families, and levels of their options. Python: IPPROTO_*.
enum class IPPROTO : int {
  IP_ = 0,
  HOPOPTS = 0,
  ICMP = 1,
  IGMP = 2,
  IPIP = 4,
  TCP = 6,
  EGP = 8,
  PUP = 12,
  UDP = 17,
  IDP = 22,
  TP = 29,
  IPV6 = 41,
  ROUTING = 43,
  FRAGMENT = 44,
  RSVP = 46,
  GRE = 47,
  ESP = 50,
  AH = 51,
  ICMPV6 = 58,
  NONE = 59,
  DSTOPTS = 60,
  PIM = 103,
  SCTP = 132,
  UDPLITE = 136,
  RAW = 255,
  MPTCP = 262,
};

/// Options of every socket, level SOL::SOCKET. Python: SO_*.
enum class SO : int {
  DEBUG_ = 1,
  REUSEADDR = 2,
  TYPE = 3,
  ERROR_ = 4,
  DONTROUTE = 5,
  BROADCAST = 6,
  SNDBUF = 7,
  RCVBUF = 8,
  KEEPALIVE = 9,
  OOBINLINE = 10,
  PRIORITY = 12,
  LINGER = 13,
  REUSEPORT = 15,
  PASSCRED = 16,
  PEERCRED = 17,
  RCVLOWAT = 18,
  SNDLOWAT = 19,
  RCVTIMEO = 20,
  SNDTIMEO = 21,
  BINDTODEVICE = 25,
  TIMESTAMP = 29,
  ACCEPTCONN = 30,
  PEERSEC = 31,
  SNDBUFFORCE = 32,
  RCVBUFFORCE = 33,
  PASSSEC = 34,
  TIMESTAMPNS = 35,
  MARK = 36,
  PROTOCOL = 38,
  DOMAIN = 39,
  BUSY_POLL = 46,
  INCOMING_CPU = 49,
  ZEROCOPY = 60,
};

/// Options of TCP, level IPPROTO::TCP. Python: TCP_*.
enum class TCP : int {
  NODELAY = 1,
  MAXSEG = 2,
  CORK = 3,
  KEEPIDLE = 4,
  KEEPINTVL = 5,
  KEEPCNT = 6,
  SYNCNT = 7,
  LINGER2 = 8,
  DEFER_ACCEPT = 9,
  WINDOW_CLAMP = 10,
  INFO = 11,
  QUICKACK = 12,
  CONGESTION = 13,
  USER_TIMEOUT = 18,
  FASTOPEN = 23,
  NOTSENT_LOWAT = 25,
  ULP = 31,
};

/// Options of IPv4, level IPPROTO::IP_. Python: IP_*.
enum class IP_ : int {
  TOS = 1,
  TTL = 2,
  HDRINCL = 3,
  OPTIONS = 4,
  RECVOPTS = 6,
  RETOPTS = 7,
  PKTINFO = 8,
  MTU_DISCOVER = 10,
  RECVERR = 11,
  RECVTTL = 12,
  RECVTOS = 13,
  MTU = 14,
  FREEBIND = 15,
  TRANSPARENT = 19,
  ORIGDSTADDR = 20,
  BIND_ADDRESS_NO_PORT = 24,
  MULTICAST_IF = 32,
  MULTICAST_TTL = 33,
  MULTICAST_LOOP = 34,
  ADD_MEMBERSHIP = 35,
  DROP_MEMBERSHIP = 36,
  ADD_SOURCE_MEMBERSHIP = 39,
  DROP_SOURCE_MEMBERSHIP = 40,
};

/// Options of IPv6, level IPPROTO::IPV6. Python: IPV6_*.
enum class IPV6 : int {
  CHECKSUM = 7,
  NEXTHOP = 9,
  UNICAST_HOPS = 16,
  MULTICAST_IF = 17,
  MULTICAST_HOPS = 18,
  MULTICAST_LOOP = 19,
  JOIN_GROUP = 20,
  LEAVE_GROUP = 21,
  MTU = 24,
  V6ONLY = 26,
  RECVPKTINFO = 49,
  PKTINFO = 50,
  RECVHOPLIMIT = 51,
  HOPLIMIT = 52,
  RECVHOPOPTS = 53,
  HOPOPTS = 54,
  RTHDRDSTOPTS = 55,
  RECVRTHDR = 56,
  RTHDR = 57,
  RECVDSTOPTS = 58,
  DSTOPTS = 59,
  RECVPATHMTU = 60,
  PATHMTU = 61,
  DONTFRAG = 62,
  RECVTCLASS = 66,
  TCLASS = 67,
};

/// Flags of the send and receive calls, or-able. Python: MSG_*.
enum class MSG : int {
  OOB = 1,
  PEEK = 2,
  DONTROUTE = 4,
  CTRUNC = 8,
  TRUNC = 0x20,
  DONTWAIT = 0x40,
  EOR_ = 0x80,
  WAITALL = 0x100,
  CONFIRM = 0x800,
  ERRQUEUE = 0x2000,
  NOSIGNAL = 0x4000,
  MORE = 0x8000,
  ZEROCOPY = 0x4000000,
  FASTOPEN = 0x20000000,
  CMSG_CLOEXEC = 0x40000000,
};

/// Which half of a connection shutdown() ends. Python: SHUT_*.
enum class SHUT : int {
  RD = 0,
  WR = 1,
  RDWR = 2,
};

/// Hints of getaddrinfo(), or-able. Python: AI_*.
enum class AI : int {
  PASSIVE = 1,
  CANONNAME = 2,
  NUMERICHOST = 4,
  V4MAPPED = 8,
  ALL = 0x10,
  ADDRCONFIG = 0x20,
  NUMERICSERV = 0x400,
};

/// Flags of getnameinfo(), or-able. Python: NI_*.
enum class NI : int {
  NUMERICHOST = 1,
  NUMERICSERV = 2,
  NOFQDN = 4,
  NAMEREQD = 8,
  DGRAM = 0x10,
};

/// Error numbers of the resolver (gaierror::number()). Python: EAI_*.
enum class EAI : int {
  BADFLAGS = -1,
  NONAME = -2,
  AGAIN = -3,
  FAIL = -4,
  NODATA = -5,
  FAMILY = -6,
  SOCKTYPE = -7,
  SERVICE = -8,
  ADDRFAMILY = -9,
  MEMORY = -10,
  SYSTEM = -11,
  OVERFLOW = -12,
};

/// Reserved IPv4 addresses, host byte order. Python: INADDR_*.
enum class INADDR : std::uint32_t {
  ANY = 0x00000000u,
  BROADCAST = 0xFFFFFFFFu,
  NONE = 0xFFFFFFFFu,
  LOOPBACK = 0x7F000001u,
  UNSPEC_GROUP = 0xE0000000u,
  ALLHOSTS_GROUP = 0xE0000001u,
  MAX_LOCAL_GROUP = 0xE00000FFu,
};

/// Port ranges. Python: IPPORT_*.
enum class IPPORT : int {
  RESERVED = 1024,
  USERRESERVED = 5000,
};

/// The largest backlog that the system promises to take. Python: SOMAXCONN.
inline constexpr int SOMAXCONN_ = 4096;

/// Protocol families, equal to the address families. Python: PF_*.
using PF = AF;

namespace detail {
template <class E>
concept FlagEnum =
    std::same_as<E, SOCK> || std::same_as<E, MSG> || std::same_as<E, AI> || std::same_as<E, NI>;

/// A number of the system's that one of several enums may name.
template <class... Enums>
class IntOr {
 public:
  constexpr IntOr(int value = 0) noexcept : value_(value) {}

  template <std::floating_point T>
  IntOr(T) = delete;

  template <class E>
  requires(std::same_as<E, Enums> || ...) constexpr IntOr(E value) noexcept
      : value_(static_cast<int>(value)) {}

  constexpr operator int() const noexcept { return value_; }

 private:
  int value_;
};
}  // namespace detail

/// The protocol of a socket: an IPPROTO, or a number. 0 is the family's default.
using Protocol = detail::IntOr<IPPROTO>;

/// The level of an option: SOL, IPPROTO, or a number.
using OptionLevel = detail::IntOr<SOL, IPPROTO>;

/// The name of an option: SO, TCP, IP_, IPV6, or a number.
using OptionName = detail::IntOr<SO, TCP, IP_, IPV6>;

template <detail::FlagEnum E>
constexpr E operator|(E a, E b) noexcept {
  return static_cast<E>(static_cast<int>(a) | static_cast<int>(b));
}
template <detail::FlagEnum E>
constexpr E operator&(E a, E b) noexcept {
  return static_cast<E>(static_cast<int>(a) & static_cast<int>(b));
}
template <detail::FlagEnum E>
constexpr E operator~(E a) noexcept {
  return static_cast<E>(~static_cast<int>(a));
}
template <detail::FlagEnum E>
constexpr E& operator|=(E& a, E b) noexcept {
  return a = a | b;
}

}  // namespace plug
