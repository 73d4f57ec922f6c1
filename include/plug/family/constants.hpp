#pragma once

// Constants of single address families, spelled by the rule in constants.hpp: CAN::RAW,
// NETLINK::ROUTE, PACKET::HOST, VMADDR::CID_ANY. Their addresses are in family/addresses.hpp.
//
// src/layout/family_constants_check.cpp checks that every value equals the system's. Values that no
// header defines name their source.

#include <plug/constants.hpp>
#include <plug/detail/constant_roles.hpp>

#include <cstdint>
#include <string_view>

#pragma GCC visibility push(default)

namespace plug {

/// Protocols, options, messages of the broadcast manager, and identifier bits of AF::CAN. operator|
/// and operator& combine identifier bits with numbers. Python: CAN_*.
enum class CAN : std::uint32_t {
  // protocols
  RAW = 1,
  BCM = 2,
  TP16 = 3,
  TP20 = 4,
  MCNET = 5,
  ISOTP = 6,
  J1939 = 7,
  // SOL::CAN_RAW_
  RAW_FILTER = 1,
  RAW_ERR_FILTER = 2,
  RAW_LOOPBACK = 3,
  RAW_RECV_OWN_MSGS = 4,
  RAW_FD_FRAMES = 5,
  RAW_JOIN_FILTERS = 6,
  RAW_XL_FRAMES = 7,
  RAW_FILTER_MAX = 512,
  // SOL::CAN_ISOTP_
  ISOTP_OPTS = 1,
  ISOTP_RECV_FC = 2,
  ISOTP_TX_STMIN = 3,
  ISOTP_RX_STMIN = 4,
  ISOTP_LL_OPTS = 5,
  // flags of ISOTP_OPTS
  ISOTP_LISTEN_MODE = 1,
  ISOTP_EXTEND_ADDR = 2,
  ISOTP_TX_PADDING = 4,
  ISOTP_RX_PADDING = 8,
  ISOTP_CHK_PAD_LEN = 16,
  ISOTP_CHK_PAD_DATA = 32,
  ISOTP_HALF_DUPLEX = 64,
  ISOTP_FORCE_TXSTMIN = 128,
  ISOTP_FORCE_RXSTMIN = 256,
  ISOTP_RX_EXT_ADDR = 512,
  ISOTP_WAIT_TX_DONE = 1024,
  ISOTP_SF_BROADCAST = 2048,
  ISOTP_CF_BROADCAST = 4096,
  // opcodes of the broadcast manager
  BCM_TX_SETUP = 1,
  BCM_TX_DELETE = 2,
  BCM_TX_READ = 3,
  BCM_TX_SEND = 4,
  BCM_RX_SETUP = 5,
  BCM_RX_DELETE = 6,
  BCM_RX_READ = 7,
  BCM_TX_STATUS = 8,
  BCM_TX_EXPIRED = 9,
  BCM_RX_STATUS = 10,
  BCM_RX_TIMEOUT = 11,
  BCM_RX_CHANGED = 12,
  // flags of these messages
  BCM_SETTIMER = 1,
  BCM_STARTTIMER = 2,
  BCM_TX_COUNTEVT = 4,
  BCM_TX_ANNOUNCE = 8,
  BCM_TX_CP_CAN_ID = 16,
  BCM_RX_FILTER_ID = 32,
  BCM_RX_CHECK_DLC = 64,
  BCM_RX_NO_AUTOTIMER = 128,
  BCM_RX_ANNOUNCE_RESUME = 256,
  BCM_TX_RESET_MULTI_IDX = 512,
  BCM_RX_RTR_FRAME = 1024,
  BCM_CAN_FD_FRAME = 2048,
  // identifiers
  EFF_FLAG = 0x80000000,
  RTR_FLAG = 0x40000000,
  ERR_FLAG = 0x20000000,
  SFF_MASK = 2047,
  EFF_MASK = 0x1FFFFFFF,
  ERR_MASK = 0x1FFFFFFF,
  INV_FILTER = 0x20000000,
  // sizes
  MAX_DLEN = 8,
  MTU = 16,
};

/// Flags and sizes of CAN FD frames. C: CANFD_*.
enum class CANFD : int {
  BRS = 1,
  ESI = 2,
  FDF = 4,
  MAX_DLEN = 64,
  MTU = 72,
};

/// Reserved addresses and parameter groups of CAN::J1939, and attributes of its error messages.
/// Python: J1939_*.
enum class J1939 : std::uint32_t {
  MAX_UNICAST_ADDR = 253,
  IDLE_ADDR = 254,
  NO_ADDR = 255,
  NO_NAME = 0,
  PGN_REQUEST = 59904,
  PGN_ADDRESS_CLAIMED = 60928,
  PGN_ADDRESS_COMMANDED = 65240,
  PGN_PDU1_MAX = 0x3FF00,
  PGN_MAX = 0x3FFFF,
  NO_PGN = 0x40000,
  FILTER_MAX = 512,
  // attributes
  NLA_PAD = 0,
  NLA_BYTES_ACKED = 1,
  NLA_TOTAL_SIZE = 2,
  NLA_PGN = 3,
  NLA_SRC_NAME = 4,
  NLA_DEST_NAME = 5,
  NLA_SRC_ADDR = 6,
  NLA_DEST_ADDR = 7,
  // information in ee_info
  EE_INFO_NONE = 0,
  EE_INFO_TX_ABORT = 1,
  EE_INFO_RX_RTS = 2,
  EE_INFO_RX_DPO = 3,
  EE_INFO_RX_ABORT = 4,
};

/// Protocols of AF::NETLINK, and options of level SOL::NETLINK. Python: NETLINK_*.
enum class NETLINK : int {
  ROUTE = 0,
  UNUSED = 1,
  USERSOCK = 2,
  FIREWALL = 3,
  SOCK_DIAG = 4,
  INET_DIAG = 4,
  NFLOG = 5,
  XFRM = 6,
  SELINUX = 7,
  ISCSI = 8,
  AUDIT = 9,
  FIB_LOOKUP = 10,
  CONNECTOR = 11,
  NETFILTER = 12,
  IP6_FW = 13,
  DNRTMSG = 14,
  KOBJECT_UEVENT = 15,
  GENERIC = 16,
  SCSITRANSPORT = 18,
  ECRYPTFS = 19,
  RDMA = 20,
  CRYPTO = 21,
  SMC = 22,
  // SOL::NETLINK
  ADD_MEMBERSHIP = 1,
  DROP_MEMBERSHIP = 2,
  PKTINFO = 3,
  BROADCAST_ERROR = 4,
  NO_ENOBUFS = 5,
  LISTEN_ALL_NSID = 8,
  LIST_MEMBERSHIPS = 9,
  CAP_ACK = 10,
  EXT_ACK = 11,
  GET_STRICT_CHK = 12,
};

/// Packet types of AF::PACKET (to whom a packet is addressed), and options of level SOL::PACKET.
/// Python: PACKET_*.
enum class PACKET : int {
  HOST = 0,
  BROADCAST = 1,
  MULTICAST = 2,
  OTHERHOST = 3,
  OUTGOING = 4,
  LOOPBACK = 5,
  USER = 6,
  KERNEL = 7,
  FASTROUTE = 6,
  // SOL::PACKET
  ADD_MEMBERSHIP = 1,
  DROP_MEMBERSHIP = 2,
  RECV_OUTPUT = 3,
  RX_RING = 5,
  STATISTICS = 6,
  COPY_THRESH = 7,
  AUXDATA = 8,
  ORIGDEV = 9,
  VERSION_ = 10,
  HDRLEN = 11,
  RESERVE = 12,
  TX_RING = 13,
  LOSS = 14,
  VNET_HDR = 15,
  TX_TIMESTAMP = 16,
  TIMESTAMP = 17,
  FANOUT = 18,
  TX_HAS_OFF = 19,
  QDISC_BYPASS = 20,
  ROLLOVER_STATS = 21,
  FANOUT_DATA = 22,
  IGNORE_OUTGOING = 23,
  // values
  MR_MULTICAST = 0,
  MR_PROMISC = 1,
  MR_ALLMULTI = 2,
  MR_UNICAST = 3,
  FANOUT_HASH = 0,
  FANOUT_LB = 1,
  FANOUT_CPU = 2,
  FANOUT_ROLLOVER = 3,
  FANOUT_RND = 4,
  FANOUT_QM = 5,
  FANOUT_CBPF = 6,
  FANOUT_EBPF = 7,
  FANOUT_FLAG_ROLLOVER = 4096,
  FANOUT_FLAG_UNIQUEID = 8192,
  FANOUT_FLAG_DEFRAG = 32768,
};

/// Link-layer protocols, in host byte order. hton() converts one for a socket of AF::PACKET.
/// Python: ETH_P_*.
enum class ETH : std::uint16_t {
  P_ALL_ = 3,
  P_802_2 = 4,
  P_802_3 = 1,
  P_802_3_MIN = 0x600,
  P_IP = 0x800,
  P_ARP = 0x806,
  P_RARP = 0x8035,
  P_IPV6 = 0x86DD,
  P_8021Q = 0x8100,
  P_8021AD = 0x88A8,
  P_LOOP = 0x60,
  P_LOOPBACK = 0x9000,
  P_PPP_DISC = 0x8863,
  P_PPP_SES = 0x8864,
  P_MPLS_UC = 0x8847,
  P_MPLS_MC = 0x8848,
  P_PAE = 0x888E,
  P_LLDP = 0x88CC,
  P_SLOW = 0x8809,
  P_MACSEC = 0x88E5,
  P_1588 = 0x88F7,
  P_FCOE = 0x8906,
  P_AOE = 0x88A2,
  P_TIPC = 0x88CA,
  P_CAN = 12,
  P_CANFD = 13,
  P_CANXL = 14,
  P_TEB = 0x6558,
  P_IEEE802154 = 0xF6,
  P_MCTP = 0xFA,
  // sizes
  ALEN = 6,
  HLEN = 14,
  ZLEN = 0x3C,
  DATA_LEN = 0x5DC,
  FRAME_LEN = 0x5EA,
  FCS_LEN = 4,
};

/// The same numbers, with the names of <net/ethernet.h>. Python: ETHERTYPE_*.
enum class ETHERTYPE : std::uint16_t {
  PUP = 0x200,
  IP_ = 0x800,
  ARP = 0x806,
  REVARP = 0x8035,
  AARP = 0x80F3,
  VLAN = 0x8100,
  IPX = 0x8137,
  IPV6 = 0x86DD,
  LOOPBACK = 0x9000,
};

/// Addresses of AF::VSOCK. Python: VMADDR_*.
enum class VMADDR : std::uint32_t {
  CID_ANY = 0xFFFFFFFF,
  CID_HYPERVISOR = 0,
  CID_LOCAL = 1,
  CID_HOST = 2,
  PORT_ANY = 0xFFFFFFFF,
  FLAG_TO_HOST = 1,
};

/// Python: VM_*.
enum class VM : std::uint32_t {
  SOCKETS_INVALID_VERSION = 0xFFFFFFFF,
};

/// Requests of ioctl(2) on AF::VSOCK. Python: IOCTL_*.
enum class IOCTL : int {
  VM_SOCKETS_GET_LOCAL_CID = 1977,
};

/// Address types, scopes, services, events, errors and options of AF::TIPC. Python: TIPC_*.
enum class TIPC : int {
  // address types
  ADDR_NAMESEQ = 1,
  ADDR_MCAST = 1,
  SERVICE_RANGE = 1,
  ADDR_NAME = 2,
  SERVICE_ADDR = 2,
  ADDR_ID = 3,
  SOCKET_ADDR = 3,
  // scopes
  ZONE_SCOPE = 1,
  CLUSTER_SCOPE = 2,
  NODE_SCOPE = 3,
  // services
  CFG_SRV = 0,
  NODE_STATE = 0,
  TOP_SRV = 1,
  LINK_STATE = 2,
  RESERVED_TYPES = 64,
  // importance
  LOW_IMPORTANCE = 0,
  MEDIUM_IMPORTANCE = 1,
  HIGH_IMPORTANCE = 2,
  CRITICAL_IMPORTANCE = 3,
  // subscriptions
  SUB_PORTS = 1,
  SUB_SERVICE = 2,
  SUB_CANCEL = 4,
  WAIT_FOREVER = -1,
  PUBLISHED = 1,
  WITHDRAWN = 2,
  SUBSCR_TIMEOUT = 3,
  // errors
  OK_ = 0,
  ERR_NO_NAME = 1,
  ERR_NO_PORT = 2,
  ERR_NO_NODE = 3,
  ERR_OVERLOAD = 4,
  CONN_SHUTDOWN = 5,
  // control messages, level SOL::TIPC
  ERRINFO = 1,
  RETDATA = 2,
  DESTNAME = 3,
  // SOL::TIPC
  IMPORTANCE = 127,
  SRC_DROPPABLE = 128,
  DEST_DROPPABLE = 129,
  CONN_TIMEOUT = 130,
  NODE_RECVQ_DEPTH = 131,
  SOCK_RECVQ_DEPTH = 132,
  MCAST_BROADCAST = 133,
  MCAST_REPLICAST = 134,
  GROUP_JOIN = 135,
  GROUP_LEAVE = 136,
  SOCK_RECVQ_USED = 137,
  NODELAY = 138,
  // flags of GROUP_JOIN
  GROUP_LOOPBACK = 1,
  GROUP_MEMBER_EVTS = 2,
};

/// Options and control messages of level SOL::ALG, and operations of AF::ALG. Python: ALG_*.
enum class ALG : int {
  SET_KEY = 1,
  SET_IV = 2,
  SET_OP = 3,
  SET_AEAD_ASSOCLEN = 4,
  SET_AEAD_AUTHSIZE = 5,
  SET_DRBG_ENTROPY = 6,
  SET_PUBKEY = 6,  // in no header; Python's value
  // operations
  OP_DECRYPT = 0,
  OP_ENCRYPT = 1,
  OP_SIGN = 2,    // in no header; Python's value
  OP_VERIFY = 3,  // in no header; Python's value
};

/// Addresses of AF::QIPCRTR. C: QRTR_*.
enum class QRTR : std::uint32_t {
  NODE_BCAST = 0xFFFFFFFF,
  PORT_CTRL = 0xFFFFFFFE,
};

/// Options of level SOL::RDS, control messages, and RDMA flags of AF::RDS. Python: RDS_*.
enum class RDS : int {
  CANCEL_SENT_TO = 1,
  GET_MR = 2,
  FREE_MR = 3,
  RECVERR = 5,
  CONG_MONITOR = 6,
  GET_MR_FOR_DEST = 7,
  // control messages
  CMSG_RDMA_ARGS = 1,
  CMSG_RDMA_DEST = 2,
  CMSG_RDMA_MAP = 3,
  CMSG_RDMA_STATUS = 4,
  CMSG_CONG_UPDATE = 5,
  CMSG_ATOMIC_FADD = 6,
  CMSG_ATOMIC_CSWP = 7,
  CMSG_MASKED_ATOMIC_FADD = 8,
  CMSG_MASKED_ATOMIC_CSWP = 9,
  CMSG_RXPATH_LATENCY = 11,
  CMSG_ZCOPY_COOKIE = 12,
  CMSG_ZCOPY_COMPLETION = 13,
  // RDMA
  RDMA_READWRITE = 1,
  RDMA_FENCE = 2,
  RDMA_INVALIDATE = 4,
  RDMA_USE_ONCE = 8,
  RDMA_DONTWAIT = 16,
  RDMA_NOTIFY_ME = 32,
  RDMA_SILENT = 64,
  // transports
  TRANS_IB = 0,
  TRANS_IWARP = 1,
  TRANS_TCP = 2,
  TRANS_NONE = -1,
};

/// Options, control messages, flags and notifications of SCTP, level IPPROTO::SCTP (SOL::SCTP). RFC
/// 6458.
enum class SCTP : int {
  RTOINFO = 0,
  ASSOCINFO = 1,
  INITMSG = 2,
  NODELAY = 3,
  AUTOCLOSE = 4,
  SET_PEER_PRIMARY_ADDR = 5,
  PRIMARY_ADDR = 6,
  ADAPTATION_LAYER = 7,
  DISABLE_FRAGMENTS = 8,
  PEER_ADDR_PARAMS = 9,
  DEFAULT_SEND_PARAM = 10,
  EVENTS = 11,
  I_WANT_MAPPED_V4_ADDR = 12,
  MAXSEG = 13,
  STATUS = 14,
  GET_PEER_ADDR_INFO = 15,
  DELAYED_ACK_TIME = 16,
  DELAYED_ACK = 16,
  DELAYED_SACK = 16,
  CONTEXT = 17,
  FRAGMENT_INTERLEAVE = 18,
  PARTIAL_DELIVERY_POINT = 19,
  MAX_BURST = 20,
  AUTH_CHUNK = 21,
  HMAC_IDENT = 22,
  AUTH_KEY = 23,
  AUTH_ACTIVE_KEY = 24,
  AUTH_DELETE_KEY = 25,
  PEER_AUTH_CHUNKS = 26,
  LOCAL_AUTH_CHUNKS = 27,
  GET_ASSOC_NUMBER = 28,
  GET_ASSOC_ID_LIST = 29,
  AUTO_ASCONF = 30,
  PEER_ADDR_THLDS = 31,
  RECVRCVINFO = 32,
  RECVNXTINFO = 33,
  DEFAULT_SNDINFO = 34,
  AUTH_DEACTIVATE_KEY = 35,
  REUSE_PORT = 36,
  PEER_ADDR_THLDS_V2 = 37,
  SOCKOPT_BINDX_ADD = 100,
  SOCKOPT_BINDX_REM = 101,
  SOCKOPT_PEELOFF = 102,
  GET_PEER_ADDRS = 108,
  GET_LOCAL_ADDRS = 109,
  SOCKOPT_CONNECTX = 110,
  SOCKOPT_CONNECTX3 = 111,
  GET_ASSOC_STATS = 112,
  PR_SUPPORTED = 113,
  DEFAULT_PRINFO = 114,
  PR_ASSOC_STATUS = 115,
  PR_STREAM_STATUS = 116,
  RECONFIG_SUPPORTED = 117,
  ENABLE_STREAM_RESET = 118,
  RESET_STREAMS = 119,
  RESET_ASSOC = 120,
  ADD_STREAMS = 121,
  SOCKOPT_PEELOFF_FLAGS = 122,
  STREAM_SCHEDULER = 123,
  STREAM_SCHEDULER_VALUE = 124,
  INTERLEAVING_SUPPORTED = 125,
  SENDMSG_CONNECT = 126,
  EVENT = 127,
  ASCONF_SUPPORTED = 128,
  AUTH_SUPPORTED = 129,
  ECN_SUPPORTED = 130,
  EXPOSE_POTENTIALLY_FAILED_STATE = 131,
  REMOTE_UDP_ENCAPS_PORT = 132,
  PLPMTUD_PROBE_INTERVAL = 133,
  // associations
  FUTURE_ASSOC = 0,
  CURRENT_ASSOC = 1,
  ALL_ASSOC = 2,
  // control messages
  INIT = 0,
  SNDRCV = 1,
  SNDINFO = 2,
  RCVINFO = 3,
  NXTINFO = 4,
  PRINFO = 5,
  AUTHINFO = 6,
  DSTADDRV4 = 7,
  DSTADDRV6 = 8,
  // flags of a message
  UNORDERED = 1,
  ADDR_OVER = 2,
  ABORT_ = 4,
  SACK_IMMEDIATELY = 8,
  SENDALL = 64,
  EOF_ = 512,
  // notifications
  DATA_IO_EVENT = 0x8000,
  ASSOC_CHANGE = 0x8001,
  PEER_ADDR_CHANGE = 0x8002,
  SEND_FAILED = 0x8003,
  REMOTE_ERROR = 0x8004,
  SHUTDOWN_EVENT = 0x8005,
  PARTIAL_DELIVERY_EVENT = 0x8006,
  ADAPTATION_INDICATION = 0x8007,
  SENDER_DRY_EVENT = 0x8009,
  // states of ASSOC_CHANGE
  COMM_UP = 0,
  COMM_LOST = 1,
  RESTART = 2,
  SHUTDOWN_COMP = 3,
  CANT_STR_ASSOC = 4,
};

/// Options of Multipath TCP, level SOL::MPTCP. C: MPTCP_*.
enum class MPTCP : int {
  INFO = 1,
  TCPINFO = 2,
  SUBFLOW_ADDRS = 3,
};

/// Types of netlink messages; those of a family start at MIN_TYPE. C: NLMSG_*.
enum class NLMSG : int {
  NOOP = 1,
  ERROR_ = 2,
  DONE = 3,
  OVERRUN = 4,
  MIN_TYPE = 16,
};

/// Flags of netlink messages. C: NLM_F_*.
enum class NLM : int {
  F_REQUEST = 1,
  F_MULTI = 2,
  F_ACK = 4,
  F_ECHO = 8,
  F_ROOT = 0x100,
  F_MATCH = 0x200,
  F_DUMP = 0x300,
  F_ATOMIC = 0x400,
  F_REPLACE = 0x100,
  F_EXCL = 0x200,
  F_CREATE = 0x400,
  F_APPEND = 0x800,
};

/// Protocols of AF::BLUETOOTH. Python: BTPROTO_*.
enum class BTPROTO : int {
  L2CAP = 0,
  HCI = 1,
  SCO = 2,
  RFCOMM = 3,
  BNEP = 4,
  CMTP = 5,
  HIDP = 6,
  AVDTP = 7,
  ISO = 8,
};

/// Options of every Bluetooth protocol, level SOL::BLUETOOTH, each followed by its values.
/// Python: BT_*.
enum class BT : int {
  SECURITY = 4,
  SECURITY_SDP = 0,
  SECURITY_LOW = 1,
  SECURITY_MEDIUM = 2,
  SECURITY_HIGH = 3,
  SECURITY_FIPS = 4,
  DEFER_SETUP = 7,
  FLUSHABLE = 8,
  FLUSHABLE_OFF = 0,
  FLUSHABLE_ON = 1,
  POWER = 9,
  POWER_FORCE_ACTIVE_OFF = 0,
  POWER_FORCE_ACTIVE_ON = 1,
  CHANNEL_POLICY = 10,
  CHANNEL_POLICY_BREDR_ONLY = 0,
  CHANNEL_POLICY_BREDR_PREFERRED = 1,
  CHANNEL_POLICY_AMP_PREFERRED = 2,
  VOICE = 11,
  VOICE_TRANSPARENT = 3,
  VOICE_CVSD_16BIT = 96,
  VOICE_TRANSPARENT_16BIT = 99,  // the kernel's <net/bluetooth/bluetooth.h>
  SNDMTU = 12,
  RCVMTU = 13,
  PHY = 14,
  PHY_BR_1M_1SLOT = 1,
  PHY_BR_1M_3SLOT = 2,
  PHY_BR_1M_5SLOT = 4,
  PHY_EDR_2M_1SLOT = 8,
  PHY_EDR_2M_3SLOT = 16,
  PHY_EDR_2M_5SLOT = 32,
  PHY_EDR_3M_1SLOT = 64,
  PHY_EDR_3M_3SLOT = 128,
  PHY_EDR_3M_5SLOT = 256,
  PHY_LE_1M_TX = 512,
  PHY_LE_1M_RX = 1024,
  PHY_LE_2M_TX = 2048,
  PHY_LE_2M_RX = 4096,
  PHY_LE_CODED_TX = 8192,
  PHY_LE_CODED_RX = 16384,
  MODE = 15,
  MODE_BASIC = 0,
  MODE_ERTM = 1,
  MODE_STREAMING = 2,
  MODE_LE_FLOWCTL = 3,
  MODE_EXT_FLOWCTL = 4,
  PKT_STATUS = 16,
  SCM_PKT_STATUS = 3,
  ISO_QOS = 17,
  ISO_QOS_CIG_UNSET = 255,
  ISO_QOS_CIS_UNSET = 255,
  CODEC = 19,
  ISO_BASE = 20,
};

/// Options of level SOL::HCI, devices, and channels of BTPROTO::HCI. Python: HCI_*.
enum class HCI : int {
  DATA_DIR = 1,
  FILTER = 2,
  TIME_STAMP = 3,
  // control messages
  CMSG_DIR = 1,
  CMSG_TSTAMP = 2,
  // devices
  DEV_NONE = 65535,
  // channels
  CHANNEL_RAW = 0,
  CHANNEL_USER = 1,
  CHANNEL_MONITOR = 2,
  CHANNEL_CONTROL = 3,
  CHANNEL_LOGGING = 4,
};

/// Options of BTPROTO::L2CAP, level SOL::L2CAP. Python: L2CAP_*.
enum class L2CAP : int {
  OPTIONS = 1,
  CONNINFO = 2,
  LM = 3,
  // values of LM
  LM_MASTER = 1,
  LM_AUTH = 2,
  LM_ENCRYPT = 4,
  LM_TRUSTED = 8,
  LM_RELIABLE = 16,
  LM_SECURE = 32,
  // sizes
  DEFAULT_MTU = 672,
};

/// Options of BTPROTO::RFCOMM, level SOL::RFCOMM. Python: RFCOMM_*.
enum class RFCOMM : int {
  CONNINFO = 2,
  LM = 3,
  // values of LM
  LM_MASTER = 1,
  LM_AUTH = 2,
  LM_ENCRYPT = 4,
  LM_TRUSTED = 8,
  LM_RELIABLE = 16,
  LM_SECURE = 32,
  // sizes
  DEFAULT_MTU = 127,
};

/// Options of BTPROTO::SCO, level SOL::SCO. C: SCO_*.
enum class SCO : int {
  OPTIONS = 1,
  CONNINFO = 2,
  // sizes
  DEFAULT_MTU = 500,
};

/// Special Bluetooth addresses, in the text form of the typed addresses, and the address types of
/// L2CAP. Python: BDADDR_*.
struct BDADDR {
  static constexpr std::string_view ANY = "00:00:00:00:00:00";
  static constexpr std::string_view LOCAL = "00:00:00:FF:FF:FF";
  static constexpr int BREDR = 0;
  static constexpr int LE_PUBLIC = 1;
  static constexpr int LE_RANDOM = 2;

  BDADDR() = delete;
};

/// Combines the identifier of a CAN frame with flags, or applies a mask to it.
constexpr std::uint32_t operator|(std::uint32_t id, CAN flags) noexcept {
  return id | static_cast<std::uint32_t>(flags);
}
constexpr std::uint32_t operator&(std::uint32_t id, CAN mask) noexcept {
  return id & static_cast<std::uint32_t>(mask);
}

}  // namespace plug

#pragma GCC visibility pop
