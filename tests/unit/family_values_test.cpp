// Tests the values of sctp.hpp and tipc.hpp against the kernel's own structures, and the errors for
// families that a kernel lacks. tests/families/ tests the effect of the values.

#include <sys/socket.h>
#include <cstdint>

#include <linux/sctp.h>
#include <linux/tipc.h>
#include <plug/error.hpp>
#include <plug/family/sctp.hpp>
#include <plug/family/tipc.hpp>

#include <gtest/gtest.h>

#include <cerrno>

#include "support/errors.hpp"
#include "support/forms.hpp"

namespace plug {
namespace {

template <class Layout>
Bytes bytes_of(const Layout& form) {
  return Bytes(reinterpret_cast<const char*>(&form), sizeof form);
}

TEST(SctpValues, AreTheKernelsForms) {
  const auto init = form_of<sctp_initmsg>(SctpInit{1, 2, 3, 4}.to_bytes());
  EXPECT_EQ(init.sinit_num_ostreams, 1);
  EXPECT_EQ(init.sinit_max_instreams, 2);
  EXPECT_EQ(init.sinit_max_attempts, 3);
  EXPECT_EQ(init.sinit_max_init_timeo, 4);
  EXPECT_EQ(SctpInit::from_bytes(bytes_of(init)).timeout, 4);
  EXPECT_THROW(SctpInit::from_bytes("1234567"), ValueError);

  const ControlMessage item = SctpSendInfo{5, 1, 6, 7, 8}.control();
  EXPECT_TRUE(item.is(IPPROTO::SCTP, SCTP_SNDINFO));
  const auto send = form_of<sctp_sndinfo>(item.data);
  EXPECT_EQ(send.snd_sid, 5);
  EXPECT_EQ(send.snd_flags, SCTP_UNORDERED);
  EXPECT_EQ(send.snd_ppid, 6u);
  EXPECT_EQ(send.snd_context, 7u);
  EXPECT_EQ(send.snd_assoc_id, 8);

  const auto event = form_of<sctp_event>(SctpEvent{SCTP::ASSOC_CHANGE, true, 9}.to_bytes());
  EXPECT_EQ(event.se_type, SCTP_ASSOC_CHANGE);
  EXPECT_EQ(event.se_on, 1);
  EXPECT_EQ(event.se_assoc_id, 9);
}

TEST(SctpReceiveInfo, IsReadFromItsItemAlone) {
  sctp_rcvinfo form{};
  form.rcv_sid = 1;
  form.rcv_ssn = 2;
  form.rcv_flags = 3;
  form.rcv_ppid = 4;
  form.rcv_tsn = 5;
  form.rcv_context = 6;
  form.rcv_assoc_id = 7;
  const auto info =
      SctpReceiveInfo::from(ControlMessage(IPPROTO::SCTP, SCTP::RCVINFO, bytes_of(form)));
  EXPECT_EQ(info.stream, 1);
  EXPECT_EQ(info.sequence, 2);
  EXPECT_EQ(info.flags, 3);
  EXPECT_EQ(info.ppid, 4u);
  EXPECT_EQ(info.tsn, 5u);
  EXPECT_EQ(info.context, 6u);
  EXPECT_EQ(info.association, 7);
  EXPECT_THROW(SctpReceiveInfo::from(ControlMessage(IPPROTO::SCTP, SCTP::RCVINFO, "x")),
               ValueError);
  EXPECT_THROW(SctpReceiveInfo::from(ControlMessage(IPPROTO::TCP, SCTP::RCVINFO, bytes_of(form))),
               ValueError);
  EXPECT_FALSE(SctpReceiveInfo::of(AncillaryData()));
}

TEST(SctpAssociationChange, IsNoOtherNotification) {
  sctp_assoc_change form{};
  form.sac_type = SCTP_ASSOC_CHANGE;
  form.sac_state = SCTP_SHUTDOWN_COMP;
  form.sac_assoc_id = 5;
  const auto change = SctpAssociationChange::from_bytes(bytes_of(form));
  EXPECT_EQ(change.state, SCTP::SHUTDOWN_COMP);
  EXPECT_EQ(change.association, 5);
  form.sac_type = SCTP_SHUTDOWN_EVENT;
  EXPECT_THROW(SctpAssociationChange::from_bytes(bytes_of(form)), ValueError);
  EXPECT_THROW(SctpAssociationChange::from_bytes("short"), ValueError);
}

TEST(SctpPeelOff, OfAnotherSocketFailsAsTheSystemDoes) {
  Socket tcp;
  std::error_code error;
  EXPECT_EQ(sctp_peel_off(tcp, 1, error).fileno(), -1);
  EXPECT_TRUE(error);
  EXPECT_THROW(sctp_peel_off(tcp, 1), OSError);
}

TEST(TipcValues, AreTheKernelsForms) {
  const TipcSubscription subscription{1, 2, 3, 4, TIPC::SUB_PORTS, {'a', 'b'}};
  const auto form = form_of<tipc_subscr>(subscription.to_bytes());
  EXPECT_EQ(form.seq.type, 1u);
  EXPECT_EQ(form.seq.lower, 2u);
  EXPECT_EQ(form.seq.upper, 3u);
  EXPECT_EQ(form.timeout, 4u);
  EXPECT_EQ(form.filter, static_cast<unsigned>(TIPC_SUB_PORTS));
  EXPECT_EQ(form.usr_handle[1], 'b');
  tipc_event raw{};
  raw.event = TIPC_WITHDRAWN;
  raw.found_lower = 5;
  raw.port.ref = 6;
  raw.port.node = 7;
  raw.s = form;
  const TipcEvent event = TipcEvent::from_bytes(bytes_of(raw));
  EXPECT_EQ(event.event, TIPC::WITHDRAWN);
  EXPECT_EQ(event.lower, 5u);
  EXPECT_EQ(event.reference, 6u);
  EXPECT_EQ(event.node, 7u);
  EXPECT_EQ(event.subscription.handle, subscription.handle);
  EXPECT_THROW(TipcEvent::from_bytes("x"), ValueError);
  const auto group = form_of<tipc_group_req>(TipcGroup{1, 2, TIPC::NODE_SCOPE, 3}.to_bytes());
  EXPECT_EQ(group.type, 1u);
  EXPECT_EQ(group.scope, static_cast<unsigned>(TIPC_NODE_SCOPE));
  EXPECT_EQ(group.flags, 3u);
}

// --- families that this kernel lacks ---

TEST(AKernelWithoutAFamily, IsSaidToNeedTheModule) {
  const struct {
    AF family;
    SOCK type;
    Protocol protocol;
    std::string text;
  } all[] = {
      {AF::CAN, SOCK::RAW, CAN::RAW, "no CAN_RAW, which its module can-raw"},
      {AF::CAN, SOCK::DGRAM, CAN::ISOTP, "no CAN_ISOTP, which its module can-isotp"},
      {AF::RDS, SOCK::SEQPACKET, 0, "no AF_RDS, which its module rds"},
      {AF::TIPC, SOCK::RDM, 0, "no AF_TIPC, which its module tipc"},
      {AF::ALG, SOCK::SEQPACKET, 0, "no AF_ALG, which its module af_alg"},
      {AF::QIPCRTR, SOCK::DGRAM, 0, "no AF_QIPCRTR, which its module qrtr"},
      {AF::BLUETOOTH, SOCK::STREAM, BTPROTO::RFCOMM, "no BTPROTO_RFCOMM, which its module rfcomm"},
      {AF::INET, SOCK::STREAM, IPPROTO::SCTP, "no IPPROTO_SCTP, which its module sctp"},
  };
  int missing = 0;
  for (const auto& one : all) {
    std::error_code error;
    Socket sock(one.family, one.type, one.protocol, error);
    if (!error) continue;  // this kernel has it
    ++missing;
    EXPECT_NE(
        text_of_error<OSError>([&] { Socket(one.family, one.type, one.protocol); }).find(one.text),
        std::string::npos)
        << text_of_error<OSError>([&] { Socket(one.family, one.type, one.protocol); });
  }
  if (missing == 0) GTEST_SKIP() << "this kernel has all of them";
}

TEST(AnUnknownFamily, IsReportedWithoutAHintAtAModule) {
  EXPECT_EQ(text_of_error<OSError>([] { Socket(AF{200}, SOCK::STREAM, 3); }),
            "[Errno 97] Address family not supported by protocol: socket(family=200, type=1, "
            "proto=3)");
  EXPECT_EQ(text_of_error<OSError>([] { Socket(AF::INET, SOCK::STREAM, 250); }),
            "[Errno 93] Protocol not supported: socket(family=2, type=1, proto=250)");
}

}  // namespace
}  // namespace plug
