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

namespace plug::detail::sys {
namespace {

PLUG_SIZE(CanForm, canfd_frame);
PLUG_FIELD(CanForm, id, canfd_frame, can_id);
PLUG_FIELD(CanForm, length, canfd_frame, len);
PLUG_FIELD(CanForm, flags, canfd_frame, flags);
PLUG_FIELD(CanForm, data, canfd_frame, data);
static_assert(kCanSize == sizeof(can_frame) && kCanHeader == offsetof(can_frame, data));
PLUG_FIELD(CanForm, id, can_frame, can_id);
PLUG_FIELD(CanForm, length, can_frame, len);
PLUG_SIZE(CanFilterForm, can_filter);
PLUG_FIELD(CanFilterForm, mask, can_filter, can_mask);
PLUG_SIZE(BcmForm, bcm_msg_head);
PLUG_FIELD(BcmForm, opcode, bcm_msg_head, opcode);
PLUG_FIELD(BcmForm, flags, bcm_msg_head, flags);
PLUG_FIELD(BcmForm, count, bcm_msg_head, count);
PLUG_FIELD(BcmForm, interval1, bcm_msg_head, ival1);
PLUG_FIELD(BcmForm, interval2, bcm_msg_head, ival2);
PLUG_FIELD(BcmForm, can_id, bcm_msg_head, can_id);
PLUG_FIELD(BcmForm, frames, bcm_msg_head, nframes);
PLUG_SIZE(IsotpForm, can_isotp_options);
PLUG_FIELD(IsotpForm, frame_txtime, can_isotp_options, frame_txtime);
PLUG_FIELD(IsotpForm, ext_address, can_isotp_options, ext_address);
PLUG_FIELD(IsotpForm, txpad_content, can_isotp_options, txpad_content);
PLUG_FIELD(IsotpForm, rxpad_content, can_isotp_options, rxpad_content);
PLUG_FIELD(IsotpForm, rx_ext_address, can_isotp_options, rx_ext_address);
PLUG_SIZE(IsotpFlowForm, can_isotp_fc_options);
PLUG_FIELD(IsotpFlowForm, stmin, can_isotp_fc_options, stmin);
PLUG_FIELD(IsotpFlowForm, wftmax, can_isotp_fc_options, wftmax);
PLUG_SIZE(IsotpLinkForm, can_isotp_ll_options);
PLUG_FIELD(IsotpLinkForm, tx_dl, can_isotp_ll_options, tx_dl);
PLUG_FIELD(IsotpLinkForm, tx_flags, can_isotp_ll_options, tx_flags);
PLUG_SIZE(J1939FilterForm, j1939_filter);
PLUG_FIELD(J1939FilterForm, name_mask, j1939_filter, name_mask);
PLUG_FIELD(J1939FilterForm, pgn, j1939_filter, pgn);
PLUG_FIELD(J1939FilterForm, pgn_mask, j1939_filter, pgn_mask);
PLUG_FIELD(J1939FilterForm, addr, j1939_filter, addr);
PLUG_FIELD(J1939FilterForm, addr_mask, j1939_filter, addr_mask);

PLUG_SIZE(TipcSubscriptionForm, tipc_subscr);
PLUG_FIELD(TipcSubscriptionForm, timeout, tipc_subscr, timeout);
PLUG_FIELD(TipcSubscriptionForm, filter, tipc_subscr, filter);
PLUG_FIELD(TipcSubscriptionForm, handle, tipc_subscr, usr_handle);
PLUG_SIZE(TipcEventForm, tipc_event);
PLUG_FIELD(TipcEventForm, found_lower, tipc_event, found_lower);
PLUG_FIELD(TipcEventForm, reference, tipc_event, port.ref);
PLUG_FIELD(TipcEventForm, node, tipc_event, port.node);
PLUG_FIELD(TipcEventForm, subscription, tipc_event, s);
PLUG_SIZE(TipcGroupForm, tipc_group_req);
PLUG_FIELD(TipcGroupForm, scope, tipc_group_req, scope);
PLUG_FIELD(TipcGroupForm, flags, tipc_group_req, flags);

PLUG_SIZE(SctpInitForm, sctp_initmsg);
PLUG_FIELD(SctpInitForm, in_streams, sctp_initmsg, sinit_max_instreams);
PLUG_FIELD(SctpInitForm, attempts, sctp_initmsg, sinit_max_attempts);
PLUG_FIELD(SctpInitForm, timeout, sctp_initmsg, sinit_max_init_timeo);
PLUG_SIZE(SctpSendForm, sctp_sndinfo);
PLUG_FIELD(SctpSendForm, flags, sctp_sndinfo, snd_flags);
PLUG_FIELD(SctpSendForm, ppid, sctp_sndinfo, snd_ppid);
PLUG_FIELD(SctpSendForm, context, sctp_sndinfo, snd_context);
PLUG_FIELD(SctpSendForm, association, sctp_sndinfo, snd_assoc_id);
PLUG_SIZE(SctpReceiveForm, sctp_rcvinfo);
PLUG_FIELD(SctpReceiveForm, sequence, sctp_rcvinfo, rcv_ssn);
PLUG_FIELD(SctpReceiveForm, flags, sctp_rcvinfo, rcv_flags);
PLUG_FIELD(SctpReceiveForm, ppid, sctp_rcvinfo, rcv_ppid);
PLUG_FIELD(SctpReceiveForm, tsn, sctp_rcvinfo, rcv_tsn);
PLUG_FIELD(SctpReceiveForm, cumulative_tsn, sctp_rcvinfo, rcv_cumtsn);
PLUG_FIELD(SctpReceiveForm, context, sctp_rcvinfo, rcv_context);
PLUG_FIELD(SctpReceiveForm, association, sctp_rcvinfo, rcv_assoc_id);
PLUG_SIZE(SctpEventForm, sctp_event);
PLUG_FIELD(SctpEventForm, type, sctp_event, se_type);
PLUG_FIELD(SctpEventForm, on, sctp_event, se_on);
PLUG_SIZE(SctpChangeForm, sctp_assoc_change);
PLUG_FIELD(SctpChangeForm, state, sctp_assoc_change, sac_state);
PLUG_FIELD(SctpChangeForm, error, sctp_assoc_change, sac_error);
PLUG_FIELD(SctpChangeForm, association, sctp_assoc_change, sac_assoc_id);
PLUG_SIZE(SctpPeelForm, sctp_peeloff_flags_arg_t);
PLUG_FIELD(SctpPeelForm, fileno, sctp_peeloff_flags_arg_t, p_arg.sd);
PLUG_FIELD(SctpPeelForm, flags, sctp_peeloff_flags_arg_t, flags);

PLUG_SIZE(NetlinkForm, nlmsghdr);
PLUG_FIELD(NetlinkForm, type, nlmsghdr, nlmsg_type);
PLUG_FIELD(NetlinkForm, flags, nlmsghdr, nlmsg_flags);
PLUG_FIELD(NetlinkForm, sequence, nlmsghdr, nlmsg_seq);
PLUG_FIELD(NetlinkForm, pid, nlmsghdr, nlmsg_pid);
PLUG_SIZE(NetlinkAttributeForm, nlattr);
PLUG_FIELD(NetlinkAttributeForm, type, nlattr, nla_type);

PLUG_SIZE(PacketMembershipForm, packet_mreq);
PLUG_FIELD(PacketMembershipForm, type, packet_mreq, mr_type);
PLUG_FIELD(PacketMembershipForm, length, packet_mreq, mr_alen);
PLUG_FIELD(PacketMembershipForm, address, packet_mreq, mr_address);

PLUG_SIZE(GroupForm, group_req);
PLUG_FIELD(GroupForm, group, group_req, gr_group);
PLUG_SIZE(SourceForm, group_source_req);
PLUG_FIELD(SourceForm, source, group_source_req, gsr_source);
PLUG_SIZE(InterfaceForm, ip_mreqn);
PLUG_FIELD(InterfaceForm, address, ip_mreqn, imr_address);
PLUG_FIELD(InterfaceForm, interface_index, ip_mreqn, imr_ifindex);

}  // namespace
}  // namespace plug::detail::sys
