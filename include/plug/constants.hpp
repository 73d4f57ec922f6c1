#pragma once

// Constants, as scoped enums. The first underscore of the C name becomes "::" (AF_INET is AF::INET,
// SO_REUSEADDR is SO::REUSEADDR), because the C names are macros once a system header is included.
//
// If the remaining name is also a macro of a system header, it ends in an underscore: IP_::TTL,
// IPPROTO::IP_, SOL::IP_, SO::DEBUG_, SO::ERROR_, MSG::EOR_, SOMAXCONN_, SOL::CAN_RAW_.
//
// family/constants.hpp has the constants of CAN, packet, netlink, TIPC, Bluetooth and other
// families beside the internet's.
//
// A value without a name here is written as a cast: AF{40}, MSG{0x4000}.
// src/layout/constants_check.cpp checks every value against the system's headers. A value that
// these do not have names its source in a comment.

#include <plug/detail/constant_roles.hpp>
#include <plug/detail/roles.hpp>

#include <cstdint>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug {

/// Address families. Python: AF_*, enum AddressFamily.
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
  DECnet = 12,
  NETBEUI = 13,
  SECURITY = 14,
  KEY = 15,
  NETLINK = 16,
  ROUTE = 16,
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
  IB = 27,
  MPLS = 28,
  CAN = 29,
  TIPC = 30,
  BLUETOOTH = 31,
  IUCV = 32,
  RXRPC = 33,
  ISDN = 34,
  PHONET = 35,
  IEEE802154 = 36,
  CAIF = 37,
  ALG = 38,
  NFC = 39,
  VSOCK = 40,
  KCM = 41,
  QIPCRTR = 42,
  SMC = 43,
  XDP = 44,
  MCTP = 45,
};

/// Socket types; CLOEXEC and NONBLOCK may be or-ed in. Python: SOCK_*, enum SocketKind.
enum class SOCK : int {
  STREAM = 1,
  DGRAM = 2,
  RAW = 3,
  RDM = 4,
  SEQPACKET = 5,
  DCCP = 6,
  NONBLOCK = 0x800,
  CLOEXEC = 0x80000,
};

/// Levels of getsockopt() and setsockopt(). Python: SOL_*.
enum class SOL : int {
  IP_ = 0,
  HCI = 0,
  SOCKET = 1,
  TCP = 6,
  L2CAP = 6,
  UDP = 17,
  SCO = 17,
  RFCOMM = 18,
  IPV6 = 41,
  ICMPV6 = 58,
  CAN_BASE = 100,
  CAN_RAW_ = 101,
  CAN_ISOTP_ = 106,
  CAN_J1939_ = 107,
  SCTP = 132,
  RAW = 255,
  PACKET = 263,
  LLC = 268,
  DCCP = 269,
  NETLINK = 270,
  TIPC = 271,
  RXRPC = 272,
  BLUETOOTH = 274,
  RDS = 276,
  CAIF = 278,
  ALG = 279,
  NFC = 280,
  KCM = 281,
  TLS = 282,
  XDP = 283,
  MPTCP = 284,
  MCTP = 285,
  SMC = 286,
  VSOCK = 287,
};

/// Protocols of the internet families, and the levels of their options. Python: IPPROTO_*.
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
  DCCP = 33,
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
  MTP = 92,
  BEETPH = 94,
  ENCAP = 98,
  PIM = 103,
  COMP = 108,
  L2TP = 115,  // <linux/in.h>
  SCTP = 132,
  MH = 135,
  UDPLITE = 136,
  MPLS = 137,
  ETHERNET = 143,
  RAW = 255,
  MPTCP = 262,
};

/// Options of all sockets, level SOL::SOCKET. Options of single families are at the end, with their
/// level in a comment. Python: SO_*.
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
  NO_CHECK = 11,
  PRIORITY = 12,
  LINGER = 13,
  BSDCOMPAT = 14,
  REUSEPORT = 15,
  PASSCRED = 16,
  PEERCRED = 17,
  RCVLOWAT = 18,
  SNDLOWAT = 19,
  RCVTIMEO = 20,
  SNDTIMEO = 21,
  BINDTODEVICE = 25,
  ATTACH_FILTER = 26,
  DETACH_FILTER = 27,
  GET_FILTER = 26,
  PEERNAME = 28,
  TIMESTAMP = 29,
  ACCEPTCONN = 30,
  PEERSEC = 31,
  SNDBUFFORCE = 32,
  RCVBUFFORCE = 33,
  PASSSEC = 34,
  TIMESTAMPNS = 35,
  MARK = 36,
  TIMESTAMPING = 37,
  PROTOCOL = 38,
  DOMAIN = 39,
  RXQ_OVFL = 40,
  WIFI_STATUS = 41,
  PEEK_OFF = 42,
  NOFCS = 43,
  LOCK_FILTER = 44,
  SELECT_ERR_QUEUE = 45,
  BUSY_POLL = 46,
  MAX_PACING_RATE = 47,
  BPF_EXTENSIONS = 48,
  INCOMING_CPU = 49,
  ATTACH_BPF = 50,
  DETACH_BPF = 27,
  ATTACH_REUSEPORT_CBPF = 51,
  ATTACH_REUSEPORT_EBPF = 52,
  CNX_ADVICE = 53,
  MEMINFO = 55,
  INCOMING_NAPI_ID = 56,
  COOKIE = 57,
  PEERGROUPS = 59,
  ZEROCOPY = 60,
  TXTIME = 61,
  BINDTOIFINDEX = 62,
  TIMESTAMP_NEW = 63,
  TIMESTAMPNS_NEW = 64,
  TIMESTAMPING_NEW = 65,
  RCVTIMEO_NEW = 66,
  SNDTIMEO_NEW = 67,
  DETACH_REUSEPORT_BPF = 68,
  PREFER_BUSY_POLL = 69,
  BUSY_POLL_BUDGET = 70,
  NETNS_COOKIE = 71,
  BUF_LOCK = 72,
  RESERVE_MEM = 73,
  TXREHASH = 74,
  RCVMARK = 75,
  // SOL::CAN_J1939_
  J1939_FILTER = 1,
  J1939_PROMISC = 2,
  J1939_SEND_PRIO = 3,
  J1939_ERRQUEUE = 4,
  // SOL::RDS
  RDS_TRANSPORT = 8,
  RDS_MSG_RXPATH_LATENCY = 10,
  // AF::VSOCK
  VM_SOCKETS_BUFFER_SIZE = 0,
  VM_SOCKETS_BUFFER_MIN_SIZE = 1,
  VM_SOCKETS_BUFFER_MAX_SIZE = 2,
  VM_SOCKETS_PEER_HOST_VM_ID = 3,
  VM_SOCKETS_TRUSTED = 5,
  VM_SOCKETS_CONNECT_TIMEOUT = 6,
  VM_SOCKETS_NONBLOCK_TXRX = 7,
  // not options: ee_origin and ee_code of a message read with MSG::ERRQUEUE
  EE_ORIGIN_NONE = 0,
  EE_ORIGIN_LOCAL = 1,
  EE_ORIGIN_ICMP = 2,
  EE_ORIGIN_ICMP6 = 3,
  EE_ORIGIN_TXSTATUS = 4,
  EE_ORIGIN_ZEROCOPY = 5,
  EE_ORIGIN_TXTIME = 6,
  EE_ORIGIN_TIMESTAMPING = 4,
  EE_CODE_ZEROCOPY_COPIED = 1,
  EE_CODE_TXTIME_INVALID_PARAM = 1,
  EE_CODE_TXTIME_MISSED = 2,
};

/// Types of control messages, level SOL::SOCKET or the level in a comment. Python: SCM_*.
enum class SCM : int {
  RIGHTS = 1,
  CREDENTIALS = 2,
  SECURITY = 3,  // unix(7)
  TIMESTAMP = 29,
  TIMESTAMPNS = 35,
  TIMESTAMPING = 37,
  WIFI_STATUS = 41,
  TIMESTAMPING_OPT_STATS = 54,
  TIMESTAMPING_PKTINFO = 58,
  TXTIME = 61,
  // SOL::CAN_J1939_
  J1939_DEST_ADDR = 1,
  J1939_DEST_NAME = 2,
  J1939_PRIO = 3,
  J1939_ERRQUEUE = 4,
  // SOL::CAN_RAW_
  CAN_RAW_ERRQUEUE = 1,
};

/// Flags of SO::TIMESTAMPING, or-able. C: SOF_TIMESTAMPING_*.
enum class SOF : int {
  TIMESTAMPING_TX_HARDWARE = 1,
  TIMESTAMPING_TX_SOFTWARE = 2,
  TIMESTAMPING_RX_HARDWARE = 4,
  TIMESTAMPING_RX_SOFTWARE = 8,
  TIMESTAMPING_SOFTWARE = 0x10,
  TIMESTAMPING_SYS_HARDWARE = 0x20,
  TIMESTAMPING_RAW_HARDWARE = 0x40,
  TIMESTAMPING_OPT_ID = 0x80,
  TIMESTAMPING_TX_SCHED = 0x100,
  TIMESTAMPING_TX_ACK = 0x200,
  TIMESTAMPING_OPT_CMSG = 0x400,
  TIMESTAMPING_OPT_TSONLY = 0x800,
  TIMESTAMPING_OPT_STATS = 0x1000,
  TIMESTAMPING_OPT_PKTINFO = 0x2000,
  TIMESTAMPING_OPT_TX_SWHW = 0x4000,
  TIMESTAMPING_BIND_PHC = 0x8000,
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
  MD5SIG = 14,
  COOKIE_TRANSACTIONS = 15,
  THIN_LINEAR_TIMEOUTS = 16,
  THIN_DUPACK = 17,
  USER_TIMEOUT = 18,
  REPAIR = 19,
  REPAIR_QUEUE = 20,
  QUEUE_SEQ = 21,
  REPAIR_OPTIONS = 22,
  FASTOPEN = 23,
  TIMESTAMP = 24,
  NOTSENT_LOWAT = 25,
  CC_INFO = 26,
  SAVE_SYN = 27,
  SAVED_SYN = 28,
  REPAIR_WINDOW = 29,
  FASTOPEN_CONNECT = 30,
  ULP = 31,
  MD5SIG_EXT = 32,
  FASTOPEN_KEY = 33,
  FASTOPEN_NO_COOKIE = 34,
  ZEROCOPY_RECEIVE = 35,
  INQ = 36,
  CM_INQ = 36,
  TX_DELAY = 37,
};

/// Options of UDP, level IPPROTO::UDP. udp(7).
enum class UDP : int {
  CORK = 1,
  ENCAP = 100,
  NO_CHECK6_TX = 101,
  NO_CHECK6_RX = 102,
  SEGMENT = 103,
  GRO = 104,
};

/// Options of UDP-Lite, level IPPROTO::UDPLITE. Python: UDPLITE_*.
enum class UDPLITE : int {
  SEND_CSCOV = 10,  // udplite(7)
  RECV_CSCOV = 11,  // udplite(7)
};

/// Options of IPv4, level IPPROTO::IP_. Python: IP_*.
enum class IP_ : int {
  TOS = 1,
  TTL = 2,
  HDRINCL = 3,
  OPTIONS = 4,
  ROUTER_ALERT = 5,
  RECVOPTS = 6,
  RETOPTS = 7,
  RECVRETOPTS = 7,
  PKTINFO = 8,
  PKTOPTIONS = 9,
  MTU_DISCOVER = 10,
  RECVERR = 11,
  RECVTTL = 12,
  RECVTOS = 13,
  MTU = 14,
  FREEBIND = 15,
  IPSEC_POLICY = 16,
  XFRM_POLICY = 17,
  PASSSEC = 18,
  TRANSPARENT = 19,
  ORIGDSTADDR = 20,
  RECVORIGDSTADDR = 20,
  MINTTL = 21,
  NODEFRAG = 22,
  CHECKSUM = 23,
  BIND_ADDRESS_NO_PORT = 24,
  RECVFRAGSIZE = 25,
  RECVERR_RFC4884 = 26,
  MULTICAST_IF = 32,
  MULTICAST_TTL = 33,
  MULTICAST_LOOP = 34,
  ADD_MEMBERSHIP = 35,
  DROP_MEMBERSHIP = 36,
  UNBLOCK_SOURCE = 37,
  BLOCK_SOURCE = 38,
  ADD_SOURCE_MEMBERSHIP = 39,
  DROP_SOURCE_MEMBERSHIP = 40,
  MSFILTER = 41,
  MULTICAST_ALL = 49,
  UNICAST_IF = 50,
  LOCAL_PORT_RANGE = 51,  // <linux/in.h>
  PROTOCOL = 52,          // <linux/in.h>
  // values of MTU_DISCOVER, and others
  PMTUDISC_DONT = 0,
  PMTUDISC_WANT = 1,
  PMTUDISC_DO = 2,
  PMTUDISC_PROBE = 3,
  PMTUDISC_INTERFACE = 4,
  PMTUDISC_OMIT = 5,
  DEFAULT_MULTICAST_TTL = 1,
  DEFAULT_MULTICAST_LOOP = 1,
  MAX_MEMBERSHIPS = 20,
};

/// Options of IPv6, level IPPROTO::IPV6. Python: IPV6_*.
enum class IPV6 : int {
  ADDRFORM = 1,
  CHECKSUM = 7,
  NEXTHOP = 9,
  AUTHHDR = 10,
  UNICAST_HOPS = 16,
  MULTICAST_IF = 17,
  MULTICAST_HOPS = 18,
  MULTICAST_LOOP = 19,
  JOIN_GROUP = 20,
  ADD_MEMBERSHIP = 20,
  LEAVE_GROUP = 21,
  DROP_MEMBERSHIP = 21,
  ROUTER_ALERT = 22,
  MTU_DISCOVER = 23,
  MTU = 24,
  RECVERR = 25,
  V6ONLY = 26,
  JOIN_ANYCAST = 27,
  LEAVE_ANYCAST = 28,
  MULTICAST_ALL = 29,
  ROUTER_ALERT_ISOLATE = 30,
  RECVERR_RFC4884 = 31,
  FLOWLABEL_MGR = 32,
  FLOWINFO_SEND = 33,
  IPSEC_POLICY = 34,
  XFRM_POLICY = 35,
  HDRINCL = 36,
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
  AUTOFLOWLABEL = 70,
  ADDR_PREFERENCES = 72,
  MINHOPCOUNT = 73,
  ORIGDSTADDR = 74,
  RECVORIGDSTADDR = 74,
  TRANSPARENT = 75,
  UNICAST_IF = 76,
  RECVFRAGSIZE = 77,
  FREEBIND = 78,
  // values of MTU_DISCOVER, and others
  PMTUDISC_DONT = 0,
  PMTUDISC_WANT = 1,
  PMTUDISC_DO = 2,
  PMTUDISC_PROBE = 3,
  PMTUDISC_INTERFACE = 4,
  PMTUDISC_OMIT = 5,
  RTHDR_TYPE_0 = 0,
};

/// Multicast by group and source, level IPPROTO::IP_ or IPPROTO::IPV6 (RFC 3678).
enum class MCAST : int {
  JOIN_GROUP = 42,
  BLOCK_SOURCE = 43,
  UNBLOCK_SOURCE = 44,
  LEAVE_GROUP = 45,
  JOIN_SOURCE_GROUP = 46,
  LEAVE_SOURCE_GROUP = 47,
  MSFILTER = 48,
  // values
  EXCLUDE = 0,
  INCLUDE = 1,
};

/// Flags of the send and receive calls, or-able. Python: MSG_*, enum MsgFlag.
enum class MSG : int {
  OOB = 1,
  PEEK = 2,
  DONTROUTE = 4,
  CTRUNC = 8,
  PROXY = 0x10,
  TRUNC = 0x20,
  DONTWAIT = 0x40,
  EOR_ = 0x80,
  WAITALL = 0x100,
  FIN = 0x200,
  SYN = 0x400,
  CONFIRM = 0x800,
  RST = 0x1000,
  ERRQUEUE = 0x2000,
  NOSIGNAL = 0x4000,
  MORE = 0x8000,
  NOTIFICATION = 0x8000,  // <linux/sctp.h>: received with SCTP
  WAITFORONE = 0x10000,
  BATCH = 0x40000,
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

/// Hints of getaddrinfo(), or-able. Python: AI_*, enum AddressInfo.
enum class AI : int {
  PASSIVE = 1,
  CANONNAME = 2,
  NUMERICHOST = 4,
  V4MAPPED = 8,
  ALL = 0x10,
  ADDRCONFIG = 0x20,
  IDN = 0x40,
  CANONIDN = 0x80,
  NUMERICSERV = 0x400,
};

/// Flags of getnameinfo(), or-able, and sizes of its results. Python: NI_*.
enum class NI : int {
  NUMERICHOST = 1,
  NUMERICSERV = 2,
  NOFQDN = 4,
  NAMEREQD = 8,
  DGRAM = 0x10,
  IDN = 0x20,
  MAXHOST = 0x401,
  MAXSERV = 0x20,
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
  ANY = 0,
  BROADCAST = 0xFFFFFFFF,
  NONE = 0xFFFFFFFF,
  LOOPBACK = 0x7F000001,
  UNSPEC_GROUP = 0xE0000000,
  ALLHOSTS_GROUP = 0xE0000001,
  ALLRTRS_GROUP = 0xE0000002,
  ALLSNOOPERS_GROUP = 0xE000006A,
  MAX_LOCAL_GROUP = 0xE00000FF,
};

/// Port ranges. Python: IPPORT_*.
enum class IPPORT : int {
  RESERVED = 1024,
  USERRESERVED = 5000,
};

/// The default maximum of the backlog of listen(). Python: SOMAXCONN.
inline constexpr int SOMAXCONN_ = 4096;

/// Protocol families, equal to the address families. Python: PF_*.
using PF = AF;

/// Python's names for the enums.
using AddressFamily = AF;
using SocketKind = SOCK;
using MsgFlag = MSG;
using AddressInfo = AI;

/// Whether this platform has IPv6 sockets; the running kernel may still lack them. Python:
/// has_ipv6.
inline constexpr bool has_ipv6 = true;

/// The protocol of a socket: an IPPROTO, a constant of a family (CAN, NETLINK, BTPROTO), or a
/// number. 0 is the family's default.
using Protocol = detail::IntOr<detail::kProtocol>;

/// The level of an option: SOL, IPPROTO, or a number.
using OptionLevel = detail::IntOr<detail::kLevel>;

/// The name of an option: SO, TCP, UDP, UDPLITE, IP_, IPV6, MCAST, a constant of a family
/// (family/constants.hpp), or a number.
using OptionName = detail::IntOr<detail::kOption>;

// Flags. SOCK, MSG, AI, NI, SOF, NLM, EVENT, POLL and EPOLL are or-able: `a | b`, `~a`, `a |= b`
// and `a &= b` are values of the enum. `a & b` converts to the enum, compares with it, and is true
// in a condition if the two have a flag in common:
//
//   if (mask & EVENT::READ) mask &= ~EVENT::READ;
//
// To test for several flags at once, use has().

template <detail::FlagEnum E>
[[nodiscard]] constexpr E operator|(E a, E b) noexcept {
  return detail::flags_in_either(a, b);
}
template <detail::FlagEnum E>
[[nodiscard]] constexpr detail::CommonFlags<E> operator&(E a, E b) noexcept {
  return detail::CommonFlags<E>(a, b);
}
template <detail::FlagEnum E>
[[nodiscard]] constexpr E operator~(E a) noexcept {
  return detail::flags_not_in(a);
}
template <detail::FlagEnum E>
constexpr E& operator|=(E& a, std::type_identity_t<E> b) noexcept {
  return a = a | b;
}
template <detail::FlagEnum E>
constexpr E& operator&=(E& a, std::type_identity_t<E> b) noexcept {
  return a = a & b;
}

/// Returns true if `flags` contains all bits of `flag`, and thus if `flag` is E{}. Python: `flag in
/// flags`.
template <detail::FlagEnum E>
[[nodiscard]] constexpr bool has(E flags, std::type_identity_t<E> flag) noexcept {
  return (flags & flag) == flag;
}
template <detail::FlagEnum E>
[[nodiscard]] constexpr bool has(detail::CommonFlags<E> flags,
                                 std::type_identity_t<E> flag) noexcept {
  return (flags & flag) == flag;
}

}  // namespace plug

#pragma GCC visibility pop
