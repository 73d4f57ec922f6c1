#include "socket/missing_family.hpp"

#include <plug/family/constants.hpp>

#include <cerrno>
#include <string_view>

namespace plug::detail::socket {

namespace {

constexpr int kAny = -1;

struct KnownFamily {
  AF family;
  int protocol;  // kAny: the family as such
  std::string_view name;
  std::string_view module;
};

template <class E>
constexpr int number(E value) {
  return static_cast<int>(value);
}

// Entries with a protocol come before the one of their family.
constexpr KnownFamily kKnown[] = {
    {AF::CAN, number(CAN::RAW), "CAN_RAW", "can-raw"},
    {AF::CAN, number(CAN::BCM), "CAN_BCM", "can-bcm"},
    {AF::CAN, number(CAN::ISOTP), "CAN_ISOTP", "can-isotp"},
    {AF::CAN, number(CAN::J1939), "CAN_J1939", "can-j1939"},
    {AF::CAN, kAny, "AF_CAN", "can"},
    {AF::RDS, kAny, "AF_RDS", "rds, with rds_tcp or rds_rdma"},
    {AF::TIPC, kAny, "AF_TIPC", "tipc"},
    {AF::VSOCK, kAny, "AF_VSOCK", "vsock, with vsock_loopback or the machine's transport"},
    {AF::ALG, kAny, "AF_ALG", "af_alg, with algif_hash, algif_skcipher, algif_aead or algif_rng"},
    {AF::QIPCRTR, kAny, "AF_QIPCRTR", "qrtr"},
    {AF::BLUETOOTH, number(BTPROTO::RFCOMM), "BTPROTO_RFCOMM", "rfcomm"},
    {AF::BLUETOOTH, number(BTPROTO::BNEP), "BTPROTO_BNEP", "bnep"},
    {AF::BLUETOOTH, number(BTPROTO::HIDP), "BTPROTO_HIDP", "hidp"},
    {AF::BLUETOOTH, kAny, "AF_BLUETOOTH", "bluetooth"},
    {AF::PACKET, kAny, "AF_PACKET", "af_packet"},
    {AF::INET, number(IPPROTO::SCTP), "IPPROTO_SCTP", "sctp"},
    {AF::INET6, number(IPPROTO::SCTP), "IPPROTO_SCTP", "sctp"},
    {AF::INET, number(IPPROTO::DCCP), "IPPROTO_DCCP", "dccp_ipv4"},
    {AF::INET6, number(IPPROTO::DCCP), "IPPROTO_DCCP", "dccp_ipv6"},
    {AF::INET, number(IPPROTO::L2TP), "IPPROTO_L2TP", "l2tp_ip"},
    {AF::INET6, number(IPPROTO::L2TP), "IPPROTO_L2TP", "l2tp_ip6"},
    {AF::INET6, kAny, "AF_INET6", "ipv6"},
    {AF::NETLINK, number(NETLINK::CRYPTO), "NETLINK_CRYPTO", "crypto_user"},
    {AF::NETLINK, number(NETLINK::NETFILTER), "NETLINK_NETFILTER", "nfnetlink"},
    {AF::NETLINK, number(NETLINK::SOCK_DIAG), "NETLINK_SOCK_DIAG", "inet_diag"},
    {AF::KEY, kAny, "AF_KEY", "af_key"},
    {AF::LLC, kAny, "AF_LLC", "llc2"},
    {AF::PPPOX, kAny, "AF_PPPOX", "pppox"},
    {AF::RXRPC, kAny, "AF_RXRPC", "rxrpc"},
    {AF::IEEE802154, kAny, "AF_IEEE802154", "ieee802154_socket"},
    {AF::NFC, kAny, "AF_NFC", "nfc"},
    {AF::KCM, kAny, "AF_KCM", "kcm"},
    {AF::SMC, kAny, "AF_SMC", "smc"},
    {AF::MCTP, kAny, "AF_MCTP", "mctp"},
};

bool is_missing(const std::error_code& error) {
  return error.category() == std::system_category() &&
         (error.value() == EAFNOSUPPORT || error.value() == EPROTONOSUPPORT ||
          error.value() == ESOCKTNOSUPPORT);
}

}  // namespace

std::string missing_family(int family, int protocol, const std::error_code& error) {
  if (!is_missing(error)) return {};
  for (const KnownFamily& known : kKnown) {
    if (known.family != AF{family} || (known.protocol != kAny && known.protocol != protocol))
      continue;
    // A family that exists may lack the type or the protocol, which no module would add.
    if (known.protocol == kAny && error.value() != EAFNOSUPPORT) return {};
    return ": this kernel has no " + std::string(known.name) + ", which its module " +
           std::string(known.module) + " would bring (modprobe)";
  }
  return {};
}

}  // namespace plug::detail::socket
