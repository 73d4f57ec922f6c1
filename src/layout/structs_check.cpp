// Verifies the structures of structs.hpp against the system's: their sizes and the offset of each
// field.

// <linux/sctp.h> needs this and does not include it.
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdint>

#include <linux/can.h>
#include <linux/can/bcm.h>
#include <linux/can/isotp.h>
#include <linux/can/j1939.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/sctp.h>
#include <linux/tipc.h>
#include <netinet/in.h>

#include "layout/compare.hpp"
#include "layout/structs.hpp"

namespace plug::detail::layout {
namespace {

PLUG_SIZE(CanFrameLayout, canfd_frame);
PLUG_FIELD(CanFrameLayout, id, canfd_frame, can_id);
PLUG_FIELD(CanFrameLayout, length, canfd_frame, len);
PLUG_FIELD(CanFrameLayout, flags, canfd_frame, flags);
PLUG_FIELD(CanFrameLayout, data, canfd_frame, data);
static_assert(kCanSize == sizeof(can_frame) && kCanHeader == offsetof(can_frame, data));
PLUG_FIELD(CanFrameLayout, id, can_frame, can_id);
PLUG_FIELD(CanFrameLayout, length, can_frame, len);
PLUG_SIZE(CanFilterLayout, can_filter);
PLUG_FIELD(CanFilterLayout, mask, can_filter, can_mask);
PLUG_SIZE(BcmLayout, bcm_msg_head);
PLUG_FIELD(BcmLayout, opcode, bcm_msg_head, opcode);
PLUG_FIELD(BcmLayout, flags, bcm_msg_head, flags);
PLUG_FIELD(BcmLayout, count, bcm_msg_head, count);
PLUG_FIELD(BcmLayout, interval1, bcm_msg_head, ival1);
PLUG_FIELD(BcmLayout, interval2, bcm_msg_head, ival2);
PLUG_FIELD(BcmLayout, can_id, bcm_msg_head, can_id);
PLUG_FIELD(BcmLayout, frames, bcm_msg_head, nframes);
PLUG_SIZE(IsotpLayout, can_isotp_options);
PLUG_FIELD(IsotpLayout, frame_txtime, can_isotp_options, frame_txtime);
PLUG_FIELD(IsotpLayout, ext_address, can_isotp_options, ext_address);
PLUG_FIELD(IsotpLayout, txpad_content, can_isotp_options, txpad_content);
PLUG_FIELD(IsotpLayout, rxpad_content, can_isotp_options, rxpad_content);
PLUG_FIELD(IsotpLayout, rx_ext_address, can_isotp_options, rx_ext_address);
PLUG_SIZE(IsotpFlowLayout, can_isotp_fc_options);
PLUG_FIELD(IsotpFlowLayout, stmin, can_isotp_fc_options, stmin);
PLUG_FIELD(IsotpFlowLayout, wftmax, can_isotp_fc_options, wftmax);
PLUG_SIZE(IsotpLinkLayout, can_isotp_ll_options);
PLUG_FIELD(IsotpLinkLayout, tx_dl, can_isotp_ll_options, tx_dl);
PLUG_FIELD(IsotpLinkLayout, tx_flags, can_isotp_ll_options, tx_flags);
PLUG_SIZE(J1939FilterLayout, j1939_filter);
PLUG_FIELD(J1939FilterLayout, name_mask, j1939_filter, name_mask);
PLUG_FIELD(J1939FilterLayout, pgn, j1939_filter, pgn);
PLUG_FIELD(J1939FilterLayout, pgn_mask, j1939_filter, pgn_mask);
PLUG_FIELD(J1939FilterLayout, addr, j1939_filter, addr);
PLUG_FIELD(J1939FilterLayout, addr_mask, j1939_filter, addr_mask);

PLUG_SIZE(TipcSubscriptionLayout, tipc_subscr);
PLUG_FIELD(TipcSubscriptionLayout, timeout, tipc_subscr, timeout);
PLUG_FIELD(TipcSubscriptionLayout, filter, tipc_subscr, filter);
PLUG_FIELD(TipcSubscriptionLayout, handle, tipc_subscr, usr_handle);
PLUG_SIZE(TipcEventLayout, tipc_event);
PLUG_FIELD(TipcEventLayout, found_lower, tipc_event, found_lower);
PLUG_FIELD(TipcEventLayout, reference, tipc_event, port.ref);
PLUG_FIELD(TipcEventLayout, node, tipc_event, port.node);
PLUG_FIELD(TipcEventLayout, subscription, tipc_event, s);
PLUG_SIZE(TipcGroupLayout, tipc_group_req);
PLUG_FIELD(TipcGroupLayout, scope, tipc_group_req, scope);
PLUG_FIELD(TipcGroupLayout, flags, tipc_group_req, flags);

PLUG_SIZE(SctpInitLayout, sctp_initmsg);
PLUG_FIELD(SctpInitLayout, in_streams, sctp_initmsg, sinit_max_instreams);
PLUG_FIELD(SctpInitLayout, attempts, sctp_initmsg, sinit_max_attempts);
PLUG_FIELD(SctpInitLayout, timeout, sctp_initmsg, sinit_max_init_timeo);
PLUG_SIZE(SctpSendLayout, sctp_sndinfo);
PLUG_FIELD(SctpSendLayout, flags, sctp_sndinfo, snd_flags);
PLUG_FIELD(SctpSendLayout, ppid, sctp_sndinfo, snd_ppid);
PLUG_FIELD(SctpSendLayout, context, sctp_sndinfo, snd_context);
PLUG_FIELD(SctpSendLayout, association, sctp_sndinfo, snd_assoc_id);
PLUG_SIZE(SctpReceiveLayout, sctp_rcvinfo);
PLUG_FIELD(SctpReceiveLayout, sequence, sctp_rcvinfo, rcv_ssn);
PLUG_FIELD(SctpReceiveLayout, flags, sctp_rcvinfo, rcv_flags);
PLUG_FIELD(SctpReceiveLayout, ppid, sctp_rcvinfo, rcv_ppid);
PLUG_FIELD(SctpReceiveLayout, tsn, sctp_rcvinfo, rcv_tsn);
PLUG_FIELD(SctpReceiveLayout, cumulative_tsn, sctp_rcvinfo, rcv_cumtsn);
PLUG_FIELD(SctpReceiveLayout, context, sctp_rcvinfo, rcv_context);
PLUG_FIELD(SctpReceiveLayout, association, sctp_rcvinfo, rcv_assoc_id);
PLUG_SIZE(SctpEventLayout, sctp_event);
PLUG_FIELD(SctpEventLayout, type, sctp_event, se_type);
PLUG_FIELD(SctpEventLayout, on, sctp_event, se_on);
PLUG_SIZE(SctpChangeLayout, sctp_assoc_change);
PLUG_FIELD(SctpChangeLayout, state, sctp_assoc_change, sac_state);
PLUG_FIELD(SctpChangeLayout, error, sctp_assoc_change, sac_error);
PLUG_FIELD(SctpChangeLayout, association, sctp_assoc_change, sac_assoc_id);
PLUG_SIZE(SctpPeelLayout, sctp_peeloff_flags_arg_t);
PLUG_FIELD(SctpPeelLayout, fileno, sctp_peeloff_flags_arg_t, p_arg.sd);
PLUG_FIELD(SctpPeelLayout, flags, sctp_peeloff_flags_arg_t, flags);

PLUG_SIZE(NetlinkHeaderLayout, nlmsghdr);
PLUG_FIELD(NetlinkHeaderLayout, type, nlmsghdr, nlmsg_type);
PLUG_FIELD(NetlinkHeaderLayout, flags, nlmsghdr, nlmsg_flags);
PLUG_FIELD(NetlinkHeaderLayout, sequence, nlmsghdr, nlmsg_seq);
PLUG_FIELD(NetlinkHeaderLayout, pid, nlmsghdr, nlmsg_pid);
PLUG_SIZE(NetlinkAttributeLayout, nlattr);
PLUG_FIELD(NetlinkAttributeLayout, type, nlattr, nla_type);

PLUG_SIZE(PacketMembershipLayout, packet_mreq);
PLUG_FIELD(PacketMembershipLayout, type, packet_mreq, mr_type);
PLUG_FIELD(PacketMembershipLayout, length, packet_mreq, mr_alen);
PLUG_FIELD(PacketMembershipLayout, address, packet_mreq, mr_address);

PLUG_SIZE(GroupLayout, group_req);
PLUG_FIELD(GroupLayout, group, group_req, gr_group);
PLUG_SIZE(SourceLayout, group_source_req);
PLUG_FIELD(SourceLayout, source, group_source_req, gsr_source);
PLUG_SIZE(InterfaceLayout, ip_mreqn);
PLUG_FIELD(InterfaceLayout, address, ip_mreqn, imr_address);
PLUG_FIELD(InterfaceLayout, interface_index, ip_mreqn, imr_ifindex);

}  // namespace
}  // namespace plug::detail::layout
