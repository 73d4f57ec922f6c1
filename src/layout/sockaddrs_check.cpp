// Verifies the structures of sockaddrs.hpp against the system's: their sizes and the offset of each
// field.

#include <sys/socket.h>

#include <linux/can.h>
#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/qrtr.h>
#include <linux/tipc.h>
#include <linux/vm_sockets.h>
#include <net/if.h>

#include "layout/compare.hpp"
#include "layout/sockaddrs.hpp"

namespace plug::detail::layout {
namespace {

static_assert(kInterfaceCapacity == IFNAMSIZ);
static_assert(kAlgTypeCapacity == sizeof(sockaddr_alg::salg_type));
static_assert(kAlgNameCapacity == sizeof(sockaddr_alg::salg_name));

PLUG_SIZE(CanSockaddr, sockaddr_can);
PLUG_FIELD(CanSockaddr, family, sockaddr_can, can_family);
PLUG_FIELD(CanSockaddr, interface_index, sockaddr_can, can_ifindex);
PLUG_FIELD(CanSockaddr, isotp.rx_id, sockaddr_can, can_addr.tp.rx_id);
PLUG_FIELD(CanSockaddr, isotp.tx_id, sockaddr_can, can_addr.tp.tx_id);
PLUG_FIELD(CanSockaddr, j1939.name, sockaddr_can, can_addr.j1939.name);
PLUG_FIELD(CanSockaddr, j1939.pgn, sockaddr_can, can_addr.j1939.pgn);
PLUG_FIELD(CanSockaddr, j1939.addr, sockaddr_can, can_addr.j1939.addr);

PLUG_SIZE(PacketSockaddr, sockaddr_ll);
PLUG_FIELD(PacketSockaddr, family, sockaddr_ll, sll_family);
PLUG_FIELD(PacketSockaddr, protocol, sockaddr_ll, sll_protocol);
PLUG_FIELD(PacketSockaddr, interface_index, sockaddr_ll, sll_ifindex);
PLUG_FIELD(PacketSockaddr, hardware_type, sockaddr_ll, sll_hatype);
PLUG_FIELD(PacketSockaddr, packet_type, sockaddr_ll, sll_pkttype);
PLUG_FIELD(PacketSockaddr, hardware_size, sockaddr_ll, sll_halen);
PLUG_FIELD(PacketSockaddr, hardware, sockaddr_ll, sll_addr);

PLUG_SIZE(NetlinkSockaddr, sockaddr_nl);
PLUG_FIELD(NetlinkSockaddr, family, sockaddr_nl, nl_family);
PLUG_FIELD(NetlinkSockaddr, pid, sockaddr_nl, nl_pid);
PLUG_FIELD(NetlinkSockaddr, groups, sockaddr_nl, nl_groups);

PLUG_SIZE(VsockSockaddr, sockaddr_vm);
PLUG_FIELD(VsockSockaddr, family, sockaddr_vm, svm_family);
PLUG_FIELD(VsockSockaddr, port, sockaddr_vm, svm_port);
PLUG_FIELD(VsockSockaddr, cid, sockaddr_vm, svm_cid);

PLUG_SIZE(TipcSockaddr, sockaddr_tipc);
PLUG_FIELD(TipcSockaddr, family, sockaddr_tipc, family);
PLUG_FIELD(TipcSockaddr, type, sockaddr_tipc, addrtype);
PLUG_FIELD(TipcSockaddr, scope, sockaddr_tipc, scope);
PLUG_FIELD(TipcSockaddr, id.reference, sockaddr_tipc, addr.id.ref);
PLUG_FIELD(TipcSockaddr, id.node, sockaddr_tipc, addr.id.node);
PLUG_FIELD(TipcSockaddr, range.type, sockaddr_tipc, addr.nameseq.type);
PLUG_FIELD(TipcSockaddr, range.lower, sockaddr_tipc, addr.nameseq.lower);
PLUG_FIELD(TipcSockaddr, range.upper, sockaddr_tipc, addr.nameseq.upper);
PLUG_FIELD(TipcSockaddr, name.type, sockaddr_tipc, addr.name.name.type);
PLUG_FIELD(TipcSockaddr, name.instance, sockaddr_tipc, addr.name.name.instance);
PLUG_FIELD(TipcSockaddr, name.domain, sockaddr_tipc, addr.name.domain);

PLUG_SIZE(AlgSockaddr, sockaddr_alg);
PLUG_FIELD(AlgSockaddr, family, sockaddr_alg, salg_family);
PLUG_FIELD(AlgSockaddr, type, sockaddr_alg, salg_type);
PLUG_FIELD(AlgSockaddr, features, sockaddr_alg, salg_feat);
PLUG_FIELD(AlgSockaddr, mask, sockaddr_alg, salg_mask);
PLUG_FIELD(AlgSockaddr, name, sockaddr_alg, salg_name);

PLUG_SIZE(QrtrSockaddr, sockaddr_qrtr);
PLUG_FIELD(QrtrSockaddr, family, sockaddr_qrtr, sq_family);
PLUG_FIELD(QrtrSockaddr, node, sockaddr_qrtr, sq_node);
PLUG_FIELD(QrtrSockaddr, port, sockaddr_qrtr, sq_port);

}  // namespace
}  // namespace plug::detail::layout
