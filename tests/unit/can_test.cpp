// Tests the values of can.hpp against the kernel's own structures.

#include <linux/can.h>
#include <linux/can/bcm.h>
#include <linux/can/isotp.h>
#include <linux/can/j1939.h>
#include <linux/can/raw.h>
#include <plug/error.hpp>
#include <plug/family/can.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "support/errors.hpp"
#include "support/forms.hpp"

namespace plug {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;
using namespace std::chrono_literals;

constexpr std::uint32_t kExtended = 0x12345678u | CAN_EFF_FLAG;

TEST(CanFrames, AreTheKernelsLayout) {
  const CanFrame frame{.id = kExtended, .data = "\xde\xad"};
  const auto form = form_of<can_frame>(frame.to_bytes());
  EXPECT_EQ(form.can_id, kExtended);
  EXPECT_EQ(form.len, 2);
  EXPECT_EQ(std::memcmp(form.data, "\xde\xad\0\0\0\0\0\0", 8), 0);
  EXPECT_EQ(CanFrame::from_bytes(frame.to_bytes()), frame);
}

TEST(CanFrames, OfFdAreTheKernelsLayout) {
  const CanFrame frame{.id = 0x7ff, .data = Bytes(64, 'x'), .fd = true, .flags = CANFD_BRS};
  const auto form = form_of<canfd_frame>(frame.to_bytes());
  EXPECT_EQ(form.can_id, 0x7ffu);
  EXPECT_EQ(form.len, 64);
  EXPECT_EQ(form.flags, CANFD_BRS);
  EXPECT_EQ(form.data[63], 'x');
  EXPECT_EQ(CanFrame::from_bytes(frame.to_bytes()), frame);
}

TEST(CanFrames, AskForDataWithoutHavingAny) {
  const CanFrame frame{.id = 0x123 | CAN::RTR_FLAG, .remote_size = 4};
  const auto form = form_of<can_frame>(frame.to_bytes());
  EXPECT_EQ(form.can_id, 0x123 | CAN_RTR_FLAG);
  EXPECT_EQ(form.len, 4);
  EXPECT_EQ(CanFrame::from_bytes(frame.to_bytes()), frame);
}

TEST(CanFrames, ThatCannotBeAreRefusedAndNamed) {
  const auto text = [](const CanFrame& frame) {
    return text_of_error<ValueError>([&] { static_cast<void>(frame.to_bytes()); });
  };
  EXPECT_THAT(text({.id = 0x800}), HasSubstr("0x800"));
  EXPECT_THAT(text({.id = 1, .data = "123456789"}), HasSubstr("not 9"));
  EXPECT_THAT(text({.id = 1, .data = Bytes(9, 'x'), .fd = true}), HasSubstr("not 9"));
  EXPECT_THAT(text({.id = 1, .data = Bytes(65, 'x'), .fd = true}), HasSubstr("not 65"));
  EXPECT_THAT(text({.id = 0x123 | CAN::RTR_FLAG, .remote_size = 9}), HasSubstr("123#R9"));
  EXPECT_THAT(text({.id = 0x123 | CAN::RTR_FLAG, .data = "x"}), HasSubstr("123#R"));
  EXPECT_THAT(text({.id = 0x123 | CAN::RTR_FLAG, .fd = true}), HasSubstr("no remote request"));
}

TEST(CanFrames, OfBytesThatAreNoneAreRefusedAndNamed) {
  for (const std::size_t size : {0u, 15u, 17u, 71u, 73u}) {
    EXPECT_THAT(text_of_error<ValueError>([&] { CanFrame::from_bytes(Bytes(size, '\0')); }),
                HasSubstr("not " + std::to_string(size)));
  }
  Bytes lying = CanFrame{.id = 1}.to_bytes();
  lying[4] = 9;
  EXPECT_THAT(text_of_error<ValueError>([&] { CanFrame::from_bytes(lying); }), HasSubstr("9"));
}

TEST(CanText, IsThatOfCanUtils) {
  const std::pair<std::string, CanFrame> same[] = {
      {"123#", {.id = 0x123}},
      {"123#DEADBEEF", {.id = 0x123, .data = "\xde\xad\xbe\xef"}},
      {"00000123#00", {.id = 0x123 | CAN_EFF_FLAG, .data = "\0"s}},
      {"12345678#0011", {.id = kExtended, .data = "\0\x11"s}},
      {"5A1#R", {.id = 0x5a1 | CAN_RTR_FLAG}},
      {"5A1#R8", {.id = 0x5a1 | CAN_RTR_FLAG, .remote_size = 8}},
      {"123##0", {.id = 0x123, .fd = true}},
      {"123##3112233", {.id = 0x123, .data = "\x11\x22\x33", .fd = true, .flags = 3}},
      {"20000080#0000000000000000", {.id = 0x80 | CAN_ERR_FLAG, .data = Bytes(8, '\0')}},
  };
  for (const auto& [text, frame] : same) {
    EXPECT_EQ(CanFrame::parse(text), frame) << text;
    EXPECT_EQ(to_string(frame), text);
  }
  EXPECT_EQ(to_string(CanFrame::parse("5a1#de.AD.be")), "5A1#DEADBE");
  EXPECT_EQ(to_string(CanFrame::parse("5a1#r0")), "5A1#R");
}

TEST(CanText, ThatIsNoneIsRefusedAndNamed) {
  for (const std::string text : {"",
                                 "123",
                                 "#",
                                 "12#00",
                                 "1234#00",
                                 "123456789#00",
                                 "xyz#00",
                                 "123#0",
                                 "123#0g",
                                 "123#00.0",
                                 "123#001122334455667788",
                                 "800#00",
                                 "800#R",
                                 "123#R9",
                                 "123#R44",
                                 "123##",
                                 "123##g00",
                                 "123##0001122334455667788",
                                 "FFFFFFFFF#",
                                 "40000000#00",
                                 "1 3#00"}) {
    EXPECT_THAT(text_of_error<ValueError>([&] { CanFrame::parse(text); }),
                HasSubstr(text.starts_with("800#") ? "0x800" : "'" + text + "'"))
        << text;
  }
}

TEST(CanFilters, AreTheKernelsForms) {
  const Bytes raw =
      can_filters({{0x123, CAN_SFF_MASK}, {kExtended | CAN_INV_FILTER, CAN_EFF_MASK}});
  can_filter forms[2];
  ASSERT_EQ(raw.size(), sizeof forms);
  std::memcpy(forms, raw.data(), sizeof forms);
  EXPECT_EQ(forms[0].can_id, 0x123u);
  EXPECT_EQ(forms[0].can_mask, CAN_SFF_MASK);
  EXPECT_EQ(forms[1].can_id, kExtended | CAN_INV_FILTER);
  EXPECT_EQ(can_filters({}), "");
  EXPECT_THAT(text_of_error<ValueError>(
                  [] { can_filters(std::vector<CanFilter>(CAN_RAW_FILTER_MAX + 1)); }),
              HasSubstr("513"));
}

TEST(BcmMessages, AreTheKernelsLayout) {
  const BcmMessage message{.opcode = CAN::BCM_TX_SETUP,
                           .flags = SETTIMER | STARTTIMER,
                           .count = 3,
                           .interval1 = 1500ms,
                           .interval2 = 7us,
                           .can_id = 0x123,
                           .frames = {{.id = 0x123, .data = "ab"}, {.id = 0x124}}};
  const Bytes raw = message.to_bytes();
  ASSERT_EQ(raw.size(), sizeof(bcm_msg_head) + 2 * sizeof(can_frame));
  bcm_msg_head form;
  std::memcpy(&form, raw.data(), sizeof form);
  EXPECT_EQ(form.opcode, TX_SETUP);
  EXPECT_EQ(form.flags, SETTIMER | STARTTIMER);
  EXPECT_EQ(form.count, 3u);
  EXPECT_EQ(form.ival1.tv_sec, 1);
  EXPECT_EQ(form.ival1.tv_usec, 500000);
  EXPECT_EQ(form.ival2.tv_usec, 7);
  EXPECT_EQ(form.can_id, 0x123u);
  EXPECT_EQ(form.nframes, 2u);
  const BcmMessage back = BcmMessage::from_bytes(raw);
  EXPECT_EQ(back.frames, message.frames);
  EXPECT_EQ(back.interval1, 1500ms);
  EXPECT_EQ(back.opcode, CAN::BCM_TX_SETUP);
}

TEST(BcmMessages, ThatCannotBeAreRefusedAndNamed) {
  const auto text = [](const BcmMessage& message) {
    return text_of_error<ValueError>([&] { static_cast<void>(message.to_bytes()); });
  };
  EXPECT_THAT(text({.interval1 = -1us}), HasSubstr("-1 us"));
  EXPECT_THAT(text({.frames = std::vector<CanFrame>(257)}), HasSubstr("257"));
  EXPECT_THAT(text({.frames = {{.id = 1, .fd = true}}}), HasSubstr("without BCM_CAN_FD_FRAME"));
  EXPECT_THAT(text({.flags = CAN_FD_FRAME, .frames = {{.id = 1}}}), HasSubstr("with BCM_CAN_FD"));
  EXPECT_THAT(text({.frames = {{.id = 0x800}}}), HasSubstr("0x800"));
  const Bytes raw = BcmMessage{.frames = {{.id = 1}}}.to_bytes();
  EXPECT_THROW(BcmMessage::from_bytes(raw.substr(0, 55)), ValueError);
  EXPECT_THROW(BcmMessage::from_bytes(raw.substr(0, raw.size() - 1)), ValueError);
  EXPECT_THROW(BcmMessage::from_bytes(raw + Bytes(16, '\0')), ValueError);
}

TEST(IsotpValues, AreTheKernelsForms) {
  const IsotpOptions options{.flags = 5,
                             .frame_txtime = 6,
                             .ext_address = 7,
                             .txpad_content = 8,
                             .rxpad_content = 9,
                             .rx_ext_address = 10};
  const auto form = form_of<can_isotp_options>(options.to_bytes());
  EXPECT_EQ(form.flags, 5u);
  EXPECT_EQ(form.frame_txtime, 6u);
  EXPECT_EQ(form.ext_address, 7);
  EXPECT_EQ(form.txpad_content, 8);
  EXPECT_EQ(form.rxpad_content, 9);
  EXPECT_EQ(form.rx_ext_address, 10);
  EXPECT_EQ(IsotpOptions::from_bytes(options.to_bytes()).to_bytes(), options.to_bytes());
  EXPECT_EQ(IsotpFlowControl({1, 2, 3}).to_bytes(), "\1\2\3");
  EXPECT_EQ(IsotpFlowControl::from_bytes("\1\2\3").wftmax, 3);
  EXPECT_EQ(IsotpLinkLayer({72, 64, 1}).to_bytes(), "\x48\x40\1");
  EXPECT_EQ(IsotpLinkLayer::from_bytes("\x48\x40\1").tx_dl, 64);
  EXPECT_THAT(text_of_error<ValueError>([] { IsotpOptions::from_bytes("x"); }), HasSubstr("b'x'"));
  EXPECT_THROW(IsotpFlowControl::from_bytes("1234"), ValueError);
  EXPECT_THROW(IsotpLinkLayer::from_bytes(""), ValueError);
}

TEST(J1939Filters, AreTheKernelsForms) {
  const Bytes raw = j1939_filters(
      {{.name = 1, .name_mask = 2, .pgn = 3, .pgn_mask = 4, .addr = 5, .addr_mask = 6}});
  const auto form = form_of<j1939_filter>(raw);
  EXPECT_EQ(form.name, 1u);
  EXPECT_EQ(form.name_mask, 2u);
  EXPECT_EQ(form.pgn, 3u);
  EXPECT_EQ(form.pgn_mask, 4u);
  EXPECT_EQ(form.addr, 5);
  EXPECT_EQ(form.addr_mask, 6);
  EXPECT_THROW(j1939_filters(std::vector<J1939Filter>(513)), ValueError);
}

TEST(CanFrame, IsTheSameAfterItsText) {
  for (const char* text : {"ACCCCCCC#", "6CCCCCCC#", "FFFFFFFF#", "20000004#0011", "123##7"}) {
    const CanFrame frame = CanFrame::parse(text);
    EXPECT_EQ(CanFrame::parse(to_string(frame)), frame) << text << " " << to_string(frame);
  }
}

TEST(CanFrame, KeepsAllFlagsOfItsBytes) {
  const CanFrame frame = CanFrame::parse("123##5AA");  // with CANFD::FDF
  EXPECT_EQ(CanFrame::from_bytes(frame.to_bytes()), frame);
}

}  // namespace
}  // namespace plug
