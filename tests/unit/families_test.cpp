#include <arpa/inet.h>
#include <linux/can.h>
#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/qrtr.h>
#include <linux/tipc.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <sys/socket.h>

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <bluetooth/l2cap.h>
#include <bluetooth/rfcomm.h>
#include <bluetooth/sco.h>

#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "address/access.hpp"
#include "resolve/resolver.hpp"
#include "support/errors.hpp"

namespace plug {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Returns a structure of the system's headers as an Address of a socket with this protocol.
template <class Layout>
Address address_of(const Layout& form, int protocol = 0, std::size_t size = sizeof(Layout)) {
  Address address;
  std::memcpy(detail::address::AddressAccess::storage(address), &form, size);
  detail::address::AddressAccess::set_size(address, size, protocol);
  return address;
}

/// Returns the bytes of an address as the system's structure; the rest is zero.
template <class Layout>
Layout form_of(const Address& address) {
  Layout form{};
  EXPECT_LE(address.bytes().size(), sizeof form);
  std::memcpy(&form, address.bytes().data(), address.bytes().size());
  return form;
}

int loopback() { return static_cast<int>(if_nametoindex("lo")); }

sockaddr_can can_form(int index) {
  sockaddr_can form{};
  form.can_family = AF_CAN;
  form.can_ifindex = index;
  return form;
}

/// Returns an address of each kind, for tests that apply to all of them.
std::vector<Address> one_of_each() {
  return {CanAddress("lo"),
          CanAddress(),
          IsotpAddress("lo", 0x123, 0x80000456u),
          J1939Address("lo", 0x1122334455667788u, 0x0ea00, 0x20),
          PacketAddress("lo", ETH::P_IP),
          PacketAddress("lo", 0x88b5, PACKET::OUTGOING, 772, "\1\2\3\4\5\6"),
          NetlinkAddress(4711, 0x80000001u),
          VsockAddress(VMADDR::CID_HOST, VMADDR::PORT_ANY),
          TipcAddress(TIPC::ADDR_NAMESEQ, 1000, 5, 9, TIPC::NODE_SCOPE),
          TipcAddress(TIPC::ADDR_NAME, 1000, 5, 0),
          TipcAddress(TIPC::ADDR_ID, 0x1001001, 77, 0),
          AlgAddress("hash", "sha256"),
          AlgAddress("skcipher", "cbc(aes)", 14, 15),
          QrtrAddress(QRTR::NODE_BCAST, 7),
          L2capAddress("01:23:45:67:89:AB", 0x1001),
          L2capAddress("01:23:45:67:89:AB", 0, 4, BDADDR::LE_RANDOM),
          RfcommAddress("01:23:45:67:89:AB", 3),
          HciAddress(0),
          HciAddress(HCI::DEV_NONE, HCI::CHANNEL_CONTROL),
          ScoAddress(BDADDR::LOCAL)};
}

template <class... T>
constexpr bool kGoWhereAddressesGo = ((std::is_convertible_v<T, Address> &&
                                       std::is_convertible_v<T, AddressLike> &&
                                       !std::is_convertible_v<Address, T> &&
                                       std::is_constructible_v<T, const Address&>)&&...);
static_assert(
    kGoWhereAddressesGo<CanAddress, IsotpAddress, J1939Address, PacketAddress, NetlinkAddress,
                        VsockAddress, TipcAddress, AlgAddress, QrtrAddress, L2capAddress,
                        RfcommAddress, HciAddress, ScoAddress>);
static_assert(!std::is_constructible_v<VsockAddress, double, int>);
static_assert(!std::is_constructible_v<VsockAddress, TIPC, int>);
static_assert(!std::is_convertible_v<int, AddressLike> &&
              !std::is_convertible_v<Bytes, AddressLike>);
static_assert(sizeof(AddressLike) < sizeof(Address));

// --- the kernel's structures, byte by byte ---

TEST(CanFrameLayout, HoldsTheInterfaceByItsNumber) {
  const auto form = form_of<sockaddr_can>(CanAddress("lo"));
  EXPECT_EQ(form.can_family, AF_CAN);
  EXPECT_EQ(form.can_ifindex, loopback());
  EXPECT_EQ(form_of<sockaddr_can>(CanAddress()).can_ifindex, 0);
  EXPECT_EQ(CanAddress(address_of(can_form(loopback()))).interface, "lo");
  EXPECT_EQ(CanAddress(address_of(can_form(0), CAN_BCM)).interface, "");
  EXPECT_EQ(CanAddress(address_of(can_form(1234567))).interface, "");
  EXPECT_EQ(CanAddress(address_of(can_form(-1))).interface, "");
}

TEST(CanFrameLayout, OfIsotpHoldsBothIdentifiers) {
  const auto form = form_of<sockaddr_can>(IsotpAddress("lo", 0x12345678 | CAN::EFF_FLAG, 0x7ff));
  EXPECT_EQ(form.can_family, AF_CAN);
  EXPECT_EQ(form.can_ifindex, loopback());
  EXPECT_EQ(form.can_addr.tp.rx_id, 0x12345678u | CAN_EFF_FLAG);
  EXPECT_EQ(form.can_addr.tp.tx_id, 0x7ffu);
  const IsotpAddress back(address_of(form, CAN_ISOTP));
  EXPECT_EQ(back.interface, "lo");
  EXPECT_EQ(back.rx_id, 0x92345678u);
  EXPECT_EQ(back.tx_id, 0x7ffu);
}

TEST(CanFrameLayout, OfJ1939HoldsNameGroupAndAddress) {
  const auto form =
      form_of<sockaddr_can>(J1939Address("lo", 0xfedcba9876543210u, J1939::NO_PGN, J1939::NO_ADDR));
  EXPECT_EQ(form.can_ifindex, loopback());
  EXPECT_EQ(form.can_addr.j1939.name, 0xfedcba9876543210u);
  EXPECT_EQ(form.can_addr.j1939.pgn, 0x40000u);
  EXPECT_EQ(form.can_addr.j1939.addr, 0xff);
  const J1939Address back(address_of(form, CAN_J1939));
  EXPECT_EQ(back.name, 0xfedcba9876543210u);
  EXPECT_EQ(back.pgn, 0x40000u);
  EXPECT_EQ(back.addr, 0xff);
}

TEST(CanFrameLayout, MeansWhatTheProtocolOfItsSocketSays) {
  sockaddr_can form = can_form(loopback());
  form.can_addr.tp.rx_id = 5;
  form.can_addr.tp.tx_id = 6;
  EXPECT_EQ(to_string(address_of(form, CAN_RAW)), "('lo',)");
  EXPECT_EQ(to_string(address_of(form, CAN_BCM)), "('lo',)");
  EXPECT_EQ(to_string(address_of(form)), "('lo',)");
  EXPECT_EQ(to_string(address_of(form, CAN_ISOTP)), "('lo', 5, 6)");
  EXPECT_EQ(to_string(address_of(form, CAN_J1939)), "('lo', 25769803781, 0, 0)");
  EXPECT_THROW(CanAddress(address_of(form, CAN_ISOTP)), ValueError);
  EXPECT_THROW(IsotpAddress(address_of(form, CAN_RAW)), ValueError);
  EXPECT_THROW(J1939Address(address_of(form, CAN_ISOTP)), ValueError);
  EXPECT_EQ(address_of(form, CAN_ISOTP), address_of(form, CAN_RAW));
  EXPECT_EQ(std::hash<Address>{}(address_of(form, CAN_ISOTP)),
            std::hash<Address>{}(address_of(form)));
}

TEST(PacketLayout, HoldsNetworkOrderAndTheHardwaresAddress) {
  const Address address = PacketAddress("lo", ETH::P_ARP, PACKET::BROADCAST, 1, "\xff\xfe\3\4\5\6");
  const auto form = form_of<sockaddr_ll>(address);
  EXPECT_EQ(form.sll_family, AF_PACKET);
  EXPECT_EQ(form.sll_protocol, htons(0x0806));
  EXPECT_EQ(form.sll_ifindex, loopback());
  EXPECT_EQ(form.sll_hatype, 1);
  EXPECT_EQ(form.sll_pkttype, PACKET_BROADCAST);
  EXPECT_EQ(form.sll_halen, 6);
  EXPECT_EQ(std::memcmp(form.sll_addr, "\xff\xfe\3\4\5\6\0\0", 8), 0);
  const PacketAddress back(address);
  EXPECT_EQ(back.interface, "lo");
  EXPECT_EQ(back.proto, 0x0806);
  EXPECT_EQ(back.pkttype, 1);
  EXPECT_EQ(back.hatype, 1);
  EXPECT_EQ(back.addr, "\xff\xfe\3\4\5\6");
  EXPECT_EQ(to_string(address), "('lo', 2054, 1, 1, b'\\xff\\xfe\\x03\\x04\\x05\\x06')");
  EXPECT_EQ(form_of<sockaddr_ll>(PacketAddress("", 0)).sll_ifindex, 0);
}

TEST(PacketLayout, WithALongHardwareAddressKeepsItWhole) {
  struct {
    sockaddr_ll form;
    char rest[12];
  } infiniband{};
  infiniband.form.sll_family = AF_PACKET;
  infiniband.form.sll_halen = 20;
  std::memcpy(infiniband.form.sll_addr, "01234567", 8);
  std::memcpy(infiniband.rest, "89abcdefghij", 12);
  const Address address = address_of(infiniband);
  PacketAddress fields(address);
  EXPECT_EQ(fields.addr, "0123456789abcdefghij");
  EXPECT_EQ(Address(fields), address);
  fields.addr.assign(33, 'x');
  EXPECT_THROW(static_cast<void>(Address(fields)), ValueError);
  // A length that is larger than the data.
  infiniband.form.sll_halen = 32;
  EXPECT_EQ(PacketAddress(address_of(infiniband)).addr, "0123456789abcdefghij");
  EXPECT_EQ(PacketAddress(address_of(infiniband, 0, 14)).addr, "01");
  // No hardware has an address of this length.
  infiniband.form.sll_halen = 33;
  EXPECT_THROW(static_cast<void>(PacketAddress(address_of(infiniband))), ValueError);
}

TEST(NetlinkHeaderLayout, HoldsPortAndGroups) {
  const auto form = form_of<sockaddr_nl>(NetlinkAddress(0xfffffffe, 0x80000001));
  EXPECT_EQ(form.nl_family, AF_NETLINK);
  EXPECT_EQ(form.nl_pad, 0);
  EXPECT_EQ(form.nl_pid, 0xfffffffeu);
  EXPECT_EQ(form.nl_groups, 0x80000001u);
  EXPECT_EQ(to_string(address_of(form)), "(4294967294, 2147483649)");
}

TEST(VsockLayout, HoldsMachineAndPort) {
  const auto form = form_of<sockaddr_vm>(VsockAddress(VMADDR::CID_ANY, 1234));
  EXPECT_EQ(form.svm_family, AF_VSOCK);
  EXPECT_EQ(form.svm_reserved1, 0);
  EXPECT_EQ(form.svm_cid, VMADDR_CID_ANY);
  EXPECT_EQ(form.svm_port, 1234u);
  EXPECT_EQ(to_string(address_of(form)), "(4294967295, 1234)");
  EXPECT_EQ(VsockAddress(address_of(form)).port, 1234u);
}

TEST(TipcLayout, HoldsTheFieldsOfItsType) {
  auto form = form_of<sockaddr_tipc>(TipcAddress(TIPC::ADDR_NAMESEQ, 1, 2, 3, TIPC::ZONE_SCOPE));
  EXPECT_EQ(form.family, AF_TIPC);
  EXPECT_EQ(form.addrtype, TIPC_ADDR_NAMESEQ);
  EXPECT_EQ(form.scope, TIPC_ZONE_SCOPE);
  EXPECT_EQ(form.addr.nameseq.type, 1u);
  EXPECT_EQ(form.addr.nameseq.lower, 2u);
  EXPECT_EQ(form.addr.nameseq.upper, 3u);
  EXPECT_EQ(to_string(address_of(form)), "(1, 1, 2, 3, 1)");

  form = form_of<sockaddr_tipc>(TipcAddress(TIPC::ADDR_NAME, 1, 2, 3));
  EXPECT_EQ(form.addrtype, TIPC_ADDR_NAME);
  EXPECT_EQ(form.scope, TIPC_CLUSTER_SCOPE);
  EXPECT_EQ(form.addr.name.name.type, 1u);
  EXPECT_EQ(form.addr.name.name.instance, 2u);
  EXPECT_EQ(form.addr.name.domain, 0u);
  EXPECT_EQ(to_string(address_of(form)), "(2, 1, 2, 2, 2)");

  form = form_of<sockaddr_tipc>(TipcAddress(TIPC::ADDR_ID, 1, 2, 3, TIPC_NODE_SCOPE));
  EXPECT_EQ(form.addrtype, TIPC_ADDR_ID);
  EXPECT_EQ(form.addr.id.node, 1u);
  EXPECT_EQ(form.addr.id.ref, 2u);
  EXPECT_EQ(to_string(address_of(form)), "(3, 1, 2, 0, 3)");
}

TEST(AlgLayout, HoldsNamesThatEndInNul) {
  const std::string type(13, 't');
  const std::string name(63, 'n');
  const auto form = form_of<sockaddr_alg>(AlgAddress(type, name, 5, 6));
  EXPECT_EQ(form.salg_family, AF_ALG);
  EXPECT_STREQ(reinterpret_cast<const char*>(form.salg_type), type.c_str());
  EXPECT_STREQ(reinterpret_cast<const char*>(form.salg_name), name.c_str());
  EXPECT_EQ(form.salg_feat, 5u);
  EXPECT_EQ(form.salg_mask, 6u);
  const AlgAddress back(address_of(form));
  EXPECT_EQ(back.type, type);
  EXPECT_EQ(back.name, name);
  EXPECT_EQ(to_string(AlgAddress("hash", "md5")), "('hash', 'md5', 0, 0)");
}

TEST(QrtrLayout, HoldsNodeAndPort) {
  const auto form = form_of<sockaddr_qrtr>(QrtrAddress(1, QRTR::PORT_CTRL));
  EXPECT_EQ(form.sq_family, AF_QIPCRTR);
  EXPECT_EQ(form.sq_node, 1u);
  EXPECT_EQ(form.sq_port, QRTR_PORT_CTRL);
  EXPECT_EQ(to_string(address_of(form)), "(1, 4294967294)");
}

TEST(BluetoothLayout, HoldsTheDeviceInReverse) {
  const unsigned char device[6] = {0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
  const auto l2 = form_of<::sockaddr_l2>(L2capAddress("01:23:45:67:89:ab", 0x1001, 4, 1));
  EXPECT_EQ(l2.l2_family, AF_BLUETOOTH);
  EXPECT_EQ(l2.l2_psm, htobs(0x1001));
  EXPECT_EQ(l2.l2_cid, htobs(4));
  EXPECT_EQ(l2.l2_bdaddr_type, BDADDR_LE_PUBLIC);
  EXPECT_EQ(std::memcmp(&l2.l2_bdaddr, device, 6), 0);
  EXPECT_EQ(to_string(address_of(l2)), "('01:23:45:67:89:AB', 4097, 4, 1)");

  const auto rc = form_of<::sockaddr_rc>(RfcommAddress("1:23:45:67:89:aB", 30));
  EXPECT_EQ(rc.rc_family, AF_BLUETOOTH);
  EXPECT_EQ(rc.rc_channel, 30);
  EXPECT_EQ(std::memcmp(&rc.rc_bdaddr, device, 6), 0);
  EXPECT_EQ(to_string(address_of(rc, BTPROTO_RFCOMM)), "('01:23:45:67:89:AB', 30)");

  const auto hci = form_of<::sockaddr_hci>(HciAddress(3, HCI::CHANNEL_USER));
  EXPECT_EQ(hci.hci_family, AF_BLUETOOTH);
  EXPECT_EQ(hci.hci_dev, 3);
  EXPECT_EQ(hci.hci_channel, HCI_CHANNEL_USER);
  EXPECT_EQ(to_string(address_of(hci, BTPROTO_HCI)), "(3, 1)");

  const auto sco = form_of<::sockaddr_sco>(ScoAddress("01:23:45:67:89:AB"));
  EXPECT_EQ(sco.sco_family, AF_BLUETOOTH);
  EXPECT_EQ(std::memcmp(&sco.sco_bdaddr, device, 6), 0);
  EXPECT_EQ(to_string(address_of(sco, BTPROTO_SCO)), "01:23:45:67:89:AB");
}

TEST(BluetoothLayout, IsAsLargeAsTheSystems) {
  EXPECT_EQ(Address(L2capAddress(BDADDR::ANY, 1)).bytes().size(), sizeof(::sockaddr_l2));
  EXPECT_EQ(Address(RfcommAddress(BDADDR::ANY, 1)).bytes().size(), sizeof(::sockaddr_rc));
  EXPECT_EQ(Address(HciAddress(0)).bytes().size(), sizeof(::sockaddr_hci));
  EXPECT_EQ(Address(ScoAddress(BDADDR::ANY)).bytes().size(), sizeof(::sockaddr_sco));
}

TEST(BluetoothLayout, OfAProtocolWithoutATypeIsItsBytes) {
  ::sockaddr_rc form{};
  form.rc_family = AF_BLUETOOTH;
  form.rc_channel = 1;
  EXPECT_EQ(to_string(address_of(form, BTPROTO_ISO)),
            "(31, b'\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x00')");
  EXPECT_THROW(RfcommAddress(address_of(form, BTPROTO_ISO)), ValueError);
}

TEST(BluetoothText, ShowsWhatIsBeyondTheOldFormsOnlyWhereItMatters) {
  EXPECT_EQ(to_string(L2capAddress(BDADDR::ANY, 1, 5)), "('00:00:00:00:00:00', 1)");
  EXPECT_EQ(to_string(L2capAddress(BDADDR::ANY, 1, 5, BDADDR::LE_RANDOM)),
            "('00:00:00:00:00:00', 1, 5, 2)");
  EXPECT_EQ(to_string(HciAddress(HCI::DEV_NONE)), "65535");
  EXPECT_EQ(to_string(ScoAddress(BDADDR::LOCAL)), "00:00:00:FF:FF:FF");
}

// --- addresses that are too short, of another family, or out of range ---

TEST(ShortForms, OfEveryFamilyPrintTheirBytes) {
  for (const Address& whole : one_of_each()) {
    for (std::size_t size = 2; size < whole.bytes().size(); ++size) {
      // On the heap with the exact size, so that a sanitizer detects a read beyond it.
      const std::vector<char> bytes(whole.bytes().begin(),
                                    whole.bytes().begin() + static_cast<std::ptrdiff_t>(size));
      const Address cut = Address::from_bytes(bytes);
      const std::string text = to_string(cut);
      EXPECT_FALSE(text.empty());
      EXPECT_EQ(Address::parse(cut.text()).family(), cut.family()) << cut.text();
      if (size < 6) {
        EXPECT_THAT(text,
                    StartsWith("(" + std::to_string(static_cast<int>(whole.family())) + ", b"));
      }
    }
  }
}

TEST(ShortForms, AreNoTypedAddress) {
  const auto cut = [](const Address& whole) {
    return Address::from_bytes({whole.bytes().data(), whole.bytes().size() - 1});
  };
  EXPECT_THROW(CanAddress(cut(CanAddress("lo"))), ValueError);
  EXPECT_THROW(IsotpAddress(cut(IsotpAddress("lo", 1, 2))), ValueError);
  EXPECT_THROW(NetlinkAddress(cut(NetlinkAddress(1, 2))), ValueError);
  EXPECT_THROW(TipcAddress(cut(TipcAddress(TIPC::ADDR_ID, 1, 2, 0))), ValueError);
  EXPECT_THROW(AlgAddress(cut(AlgAddress("hash", "md5"))), ValueError);
  EXPECT_THROW(QrtrAddress(cut(QrtrAddress(1, 2))), ValueError);
  EXPECT_THROW(L2capAddress(cut(L2capAddress(BDADDR::ANY, 2))), ValueError);
  EXPECT_THROW(ScoAddress{cut(ScoAddress{BDADDR::ANY})}, ValueError);
}

TEST(TypedAddresses, RefuseAnotherFamilysAndNameIt) {
  const Address inet = Address::parse("1.2.3.4:5");
  const auto text = [&](auto make) { return text_of_error<ValueError>(make); };
  EXPECT_THAT(text([&] { CanAddress{inet}; }), HasSubstr("CAN_RAW or CAN_BCM: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { IsotpAddress{inet}; }), HasSubstr("CAN_ISOTP: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { J1939Address{inet}; }), HasSubstr("CAN_J1939: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { PacketAddress{inet}; }), HasSubstr("AF_PACKET: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { NetlinkAddress{inet}; }), HasSubstr("AF_NETLINK: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { VsockAddress{inet}; }), HasSubstr("AF_VSOCK: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { TipcAddress{inet}; }), HasSubstr("AF_TIPC: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { AlgAddress{inet}; }), HasSubstr("AF_ALG: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { QrtrAddress{inet}; }), HasSubstr("AF_QIPCRTR: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { L2capAddress{inet}; }), HasSubstr("L2CAP: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { RfcommAddress{inet}; }), HasSubstr("RFCOMM: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { HciAddress{inet}; }), HasSubstr("HCI: ('1.2.3.4', 5)"));
  EXPECT_THAT(text([&] { ScoAddress{Address()}; }), HasSubstr("SCO: None"));
}

TEST(TypedAddresses, RefuseNumbersThatDoNotFitAndNameThem) {
  const auto text = [](auto make) { return text_of_error<OverflowError>(make); };
  EXPECT_EQ(text([] { VsockAddress(-1, 2); }), "cid must be 0-4294967295, not -1");
  EXPECT_EQ(text([] { VsockAddress(1, 0x100000000); }),
            "port must be 0-4294967295, not 4294967296");
  EXPECT_EQ(text([] { NetlinkAddress(std::numeric_limits<std::uint64_t>::max(), 0); }),
            "pid must be 0-4294967295, not 18446744073709551615");
  EXPECT_EQ(text([] { NetlinkAddress(0, -5LL); }), "groups must be 0-4294967295, not -5");
  EXPECT_EQ(text([] { IsotpAddress("", -1, 0); }), "rx_id must be 0-4294967295, not -1");
  EXPECT_EQ(text([] { J1939Address("", 0, 0, J1939::NO_PGN); }), "addr must be 0-255, not 262144");
  EXPECT_EQ(text([] { J1939Address("", -1, 0, 0); }),
            "name must be 0-18446744073709551615, not -1");
  EXPECT_EQ(text([] { PacketAddress("lo", 65536); }), "proto must be 0-65535, not 65536");
  EXPECT_EQ(text([] { PacketAddress("lo", 1, 256); }), "pkttype must be 0-255, not 256");
  EXPECT_EQ(text([] { PacketAddress("lo", 1, 0, -1); }), "hatype must be 0-65535, not -1");
  EXPECT_EQ(text([] { TipcAddress(256, 1, 2, 3); }), "addr_type must be 0-255, not 256");
  EXPECT_EQ(text([] { TipcAddress(1, TIPC::WAIT_FOREVER, 2, 3); }),
            "v1 must be 0-4294967295, not -1");
  EXPECT_EQ(text([] { QrtrAddress(-1, 0); }), "node must be 0-4294967295, not -1");
  EXPECT_EQ(text([] { L2capAddress(BDADDR::ANY, 65536); }), "psm must be 0-65535, not 65536");
  EXPECT_EQ(text([] { RfcommAddress(BDADDR::ANY, 256); }), "channel must be 0-255, not 256");
  EXPECT_EQ(text([] { HciAddress(65536); }), "dev must be 0-65535, not 65536");
  EXPECT_EQ(VsockAddress(0xffffffff, true).port, 1u);
  EXPECT_EQ(J1939Address("", std::numeric_limits<std::uint64_t>::max(), 0, 'a').addr, 97);
}

TEST(TypedAddresses, RefuseBadTextAndNameIt) {
  EXPECT_EQ(text_of_error<OSError>([] { CanAddress(std::string(16, 'x')); }),
            "AF_CAN interface name too long: 'xxxxxxxxxxxxxxxx'");
  EXPECT_NO_THROW(CanAddress(std::string(15, 'x')));
  EXPECT_THROW(IsotpAddress(std::string(16, 'x'), 1, 2), OSError);
  EXPECT_THROW(J1939Address(std::string(16, 'x'), 1, 2, 3), OSError);
  EXPECT_THROW(CanAddress(std::string_view("a\0b", 3)), ValueError);
  EXPECT_THROW(PacketAddress(std::string_view("a\0b", 3), 1), ValueError);
  EXPECT_EQ(text_of_error<ValueError>([] { PacketAddress("lo", 1, 0, 0, "123456789"); }),
            "Hardware address must be 8 bytes or less: b'123456789'");
  EXPECT_EQ(text_of_error<ValueError>([] { AlgAddress("12345678901234", "x"); }),
            "AF_ALG type too long.: '12345678901234'");
  EXPECT_THAT(text_of_error<ValueError>([] { AlgAddress("x", std::string(64, 'n')); }),
              StartsWith("AF_ALG name too long.: 'nnn"));
  EXPECT_THROW(AlgAddress(std::string_view("a\0b", 3), "x"), ValueError);
  EXPECT_EQ(text_of_error<ValueError>([] { TipcAddress(9, 1, 2, 3); }), "Invalid address type: 9");
  for (const std::string text : {"", "01:23:45:67:89", "01:23:45:67:89:AB:CD", "01:23:45:67:89:AB:",
                                 "0g:23:45:67:89:AB", "100:23:45:67:89:AB", "-1:23:45:67:89:AB",
                                 ":23:45:67:89:AB", " 1:23:45:67:89:AB", "01-23-45-67-89-AB"}) {
    EXPECT_EQ(text_of_error<OSError>([&] { ScoAddress{text}; }),
              "bad bluetooth address: '" + text + "'");
  }
}

TEST(TypedAddresses, AreCheckedAgainWhereAFieldWasChangedSince) {
  CanAddress can("lo");
  can.interface = std::string(16, 'x');
  EXPECT_THROW(static_cast<void>(Address(can)), OSError);
  AlgAddress alg("hash", "md5");
  alg.name = std::string(64, 'x');
  EXPECT_THROW(static_cast<void>(Address(alg)), ValueError);
  TipcAddress tipc(TIPC::ADDR_ID, 1, 2, 0);
  tipc.addr_type = 7;
  EXPECT_THROW(static_cast<void>(Address(tipc)), ValueError);
  RfcommAddress rfcomm(BDADDR::ANY, 1);
  rfcomm.bdaddr = "x";
  EXPECT_THROW(static_cast<void>(Address(rfcomm)), OSError);
}

// --- missing interfaces ---

TEST(AnInterfaceThatIsNotThere, IsReportedByTheCallThatNeedsIt) {
  Socket sock(AF::INET, SOCK::DGRAM);
  std::error_code error;
  sock.bind(CanAddress("no-such-if"), error);
  EXPECT_EQ(error, std::error_code(ENODEV, std::system_category()));
  EXPECT_EQ(sock.sendto("x", PacketAddress("no-such-if", 1), error), 0u);
  EXPECT_EQ(error, std::error_code(ENODEV, std::system_category()));
  EXPECT_EQ(sock.connect_ex(IsotpAddress("no-such-if", 1, 2)), ENODEV);
  EXPECT_EQ(text_of_error<OSError>([&] { sock.bind(CanAddress("no-such-if")); }),
            "[Errno 19] No such device: ('no-such-if',)");
  EXPECT_EQ(text_of_error<OSError>([&] { sock.connect(PacketAddress("no-such-if", 5)); }),
            "[Errno 19] No such device: ('no-such-if', 5, 0, 0, b'')");
  EXPECT_EQ(
      text_of_error<OSError>([] { static_cast<void>(Address(J1939Address("nope", 1, 2, 3))); }),
      "[Errno 19] No such device: ('nope', 1, 2, 3)");
  EXPECT_FALSE(CanAddress("no-such-if").to_address(error));
  EXPECT_EQ(error.value(), ENODEV);
  EXPECT_TRUE(CanAddress("lo").to_address(error));
  EXPECT_FALSE(error);
}

TEST(AnInterfaceThatIsNotThere, IsNotAskedForByAClosedSocket) {
  Socket sock(AF::INET, SOCK::DGRAM);
  sock.close();
  std::error_code error;
  sock.bind(CanAddress("no-such-if"), error);
  EXPECT_EQ(error.value(), EBADF);
}

TEST(AnInterfaceThatIsNotThere, CanStillBePrinted) {
  std::ostringstream out;
  out << CanAddress("no-such-if") << IsotpAddress("a", 1, 2) << J1939Address("b", 1, 2, 3)
      << PacketAddress("c", 4) << VsockAddress(1, 2) << ScoAddress(BDADDR::ANY);
  EXPECT_EQ(out.str(),
            "('no-such-if',)('a', 1, 2)('b', 1, 2, 3)('c', 4, 0, 0, b'')(1, 2)00:00:00:00:00:00");
}

// --- as values ---

TEST(FamilyAddresses, ComeBackFromTheirTextWhole) {
  for (const Address& address : one_of_each()) {
    const Address back = Address::parse(address.text());
    EXPECT_EQ(back, address) << address.text();
    EXPECT_EQ(to_string(back), to_string(address)) << address.text();
    EXPECT_EQ(back.protocol(), address.protocol()) << address.text();
    EXPECT_EQ(back.text(), address.text());
  }
}

TEST(FamilyAddresses, CompareAndHashByTheirBytes) {
  const std::vector<Address> all = one_of_each();
  EXPECT_EQ(std::set<Address>(all.begin(), all.end()).size(), all.size());
  EXPECT_EQ(std::unordered_set<Address>(all.begin(), all.end()).size(), all.size());
  EXPECT_EQ(one_of_each(), all);
  EXPECT_NE(Address(VsockAddress(1, 2)), Address(VsockAddress(2, 1)));
  EXPECT_EQ(Address(VsockAddress(1, 2)), Address::from_bytes(Address(VsockAddress(1, 2)).bytes()));
}

TEST(FamilyText, IsReadAndWrittenInOneLayout) {
  const std::pair<std::string, std::string> same[] = {
      {"can:lo", "('lo',)"},
      {"can:", "('',)"},
      {"isotp:lo:0x123:1110", "('lo', 291, 1110)"},
      {"j1939:lo:0x1122334455667788:59904:0x20", "('lo', 1234605616436508552, 59904, 32)"},
      {"packet:lo:0x0800", "('lo', 2048, 0, 0, b'')"},
      {"packet::3:4:5", "('', 3, 4, 5, b'')"},
      {"packet:lo:1:2:3:0a0B", "('lo', 1, 2, 3, b'\\n\\x0b')"},
      {"netlink:0:5", "(0, 5)"},
      {"vsock:0xffffffff:1234", "(4294967295, 1234)"},
      {"tipc:2:1000:5:0", "(2, 1000, 5, 5, 2)"},
      {"tipc:1:1000:5:6:3", "(1, 1000, 5, 6, 3)"},
      {"alg:hash:sha256", "('hash', 'sha256', 0, 0)"},
      {"alg:aead:gcm(aes):1:2", "('aead', 'gcm(aes)', 1, 2)"},
      {"qrtr:1:2", "(1, 2)"},
      {"l2cap:01:23:45:67:89:AB:4097", "('01:23:45:67:89:AB', 4097)"},
      {"l2cap:01:23:45:67:89:AB:0:4:2", "('01:23:45:67:89:AB', 0, 4, 2)"},
      {"rfcomm:1:2:3:4:5:6:7", "('01:02:03:04:05:06', 7)"},
      {"hci:0", "0"},
      {"hci:1:3", "(1, 3)"},
      {"sco:01:23:45:67:89:ab", "01:23:45:67:89:AB"},
      {"/run/app", "/run/app"},
      {"./app", "./app"},
      {"../app", "../app"},
      {"unix:app", "app"},
      {"unix:@app", "@app"},
      {"unix:", ""},
      {"@app:1", "b'\\x00app:1'"},
      {"raw:99:00ff", "(99, b'\\x00\\xff')"},
      {"raw:99:", "(99, b'')"},
  };
  for (const auto& [text, python] : same) {
    const Address address = Address::parse(text);
    EXPECT_EQ(to_string(address), python) << text;
    EXPECT_EQ(Address::parse(address.text()), address) << text << " " << address.text();
  }
}

TEST(FamilyText, OfWhatNoShortFormSaysIsRaw) {
  EXPECT_EQ(Address::parse("1.2.3.4:5").text(), "1.2.3.4:5");
  EXPECT_EQ(Address::parse("[fe80::1%lo]:5").text(),
            "[fe80::1%" + std::to_string(loopback()) + "]:5");
  const Address alg = AlgAddress("a:b", "c");
  EXPECT_THAT(alg.text(), StartsWith("raw:38:613a6200"));
  EXPECT_EQ(Address::parse(alg.text()), alg);
  const HostPort flow("::1", 80, 7);
  Address found;
  std::error_code error;
  const Address six =
      *detail::resolve::resolve(AddressLike(flow), AF::INET6, Deadline::none(), found, error);
  EXPECT_THAT(six.text(), StartsWith("raw:10:"));
  EXPECT_EQ(Address::parse(six.text()), six);
  EXPECT_EQ(Address().text(), "");
}

TEST(FamilyText, OfAnInterfaceThatIsGoneIsRaw) {
  const Address gone = address_of(can_form(1234567), CAN_RAW);
  EXPECT_EQ(to_string(gone), "('',)");
  EXPECT_THAT(gone.text(), StartsWith("raw:29:"));
  EXPECT_EQ(Address::parse(gone.text()), gone);
  sockaddr_ll packet{};
  packet.sll_family = AF_PACKET;
  packet.sll_ifindex = 1234567;
  EXPECT_EQ(Address::parse(address_of(packet).text()), address_of(packet));
}

TEST(FamilyText, ThatIsNoneIsRefusedAndNamed) {
  for (const std::string text : {"isotp:lo:1",
                                 "isotp:lo:1:2:3",
                                 "isotp:lo:x:2",
                                 "isotp:lo::2",
                                 "j1939:lo:1:2",
                                 "netlink:1",
                                 "netlink:1:2:3",
                                 "netlink:-1:2",
                                 "netlink:+1:2",
                                 "netlink: 1:2",
                                 "netlink:0x:2",
                                 "netlink:1:2 ",
                                 "packet:lo",
                                 "packet:lo:1:2",
                                 "packet:lo:1:2:3:0",
                                 "packet:lo:1:2:3:0g",
                                 "packet:lo:1:2:3:00:00",
                                 "vsock:1",
                                 "tipc:1:2:3",
                                 "tipc:1:2:3:4:5:6",
                                 "alg:hash",
                                 "alg:hash:md5:1",
                                 "qrtr:1",
                                 "l2cap:01:23:45:67:89:AB",
                                 "l2cap:01:23:45:67:89:AB:1:2",
                                 "rfcomm:01:23:45:67:89:AB",
                                 "hci:",
                                 "hci:1:2:3",
                                 "sco:01:23:45:67:89",
                                 "raw:99",
                                 "raw:99:0",
                                 "raw:99:0x",
                                 "raw:x:00",
                                 "CAN:lo",
                                 "ethernet:lo",
                                 "unix",
                                 "can"}) {
    EXPECT_THAT(text_of_error<ValueError>([&] { Address::parse(text); }), HasSubstr("'" + text))
        << text;
  }
  EXPECT_THROW(Address::parse("netlink:4294967296:0"), OverflowError);
  EXPECT_THROW(Address::parse("netlink:99999999999999999999:0"), OverflowError);
  EXPECT_THROW(Address::parse("packet:lo:65536"), OverflowError);
  EXPECT_THROW(Address::parse("raw:65536:00"), OverflowError);
  EXPECT_THROW(Address::parse("can:no-such-if"), OSError);
  EXPECT_THROW(Address::parse("sco:0g:23:45:67:89:AB"), OSError);
  EXPECT_THROW(Address::parse("tipc:9:1:2:3"), ValueError);
  EXPECT_THROW(Address::parse("raw:99:" + std::string(254, '0')), ValueError);
  EXPECT_THROW(Address::parse("/" + std::string(108, 'p')), OSError);
  EXPECT_THROW(Address::parse(std::string_view("/a\0b", 4)), ValueError);
}

// --- on live sockets, where the kernel has the family ---

TEST(NetlinkSockets, AreNamedAsBound) {
  Socket sock(AF::NETLINK, SOCK::RAW, NETLINK::ROUTE);
  sock.bind(NetlinkAddress(0, 1));
  const NetlinkAddress name(sock.getsockname());
  EXPECT_NE(name.pid, 0u);
  EXPECT_EQ(name.groups, 1u);
  EXPECT_EQ(sock.getsockname(), Address(name));
  EXPECT_EQ(sock.getsockname().protocol(), 0);
}

TEST(PacketSockets, AreNamedAsBoundAndNameTheSender) {
  std::error_code error;
  Socket sock(AF::PACKET, SOCK::DGRAM, hton(ETH::P_ALL_), error);
  if (error) GTEST_SKIP() << "packet sockets need rights and a kernel that has them: " << error;
  sock.settimeout(5);
  sock.bind(PacketAddress("lo", ETH::P_ALL_));
  const PacketAddress name(sock.getsockname());
  EXPECT_EQ(name.interface, "lo");
  EXPECT_EQ(name.proto, 3);
  EXPECT_EQ(name.hatype, 772);
  Socket udp(AF::INET, SOCK::DGRAM);
  udp.bind({"127.0.0.1", 0});
  udp.sendto("x", udp.getsockname());
  const PacketAddress sender(sock.recvfrom(2000).second);
  EXPECT_EQ(sender.interface, "lo");
  EXPECT_EQ(sender.proto, 0x0800);
  EXPECT_EQ(sender.addr, Bytes(6, '\0'));
}

TEST(AlgSockets, AreBoundByTypeAndName) {
  std::error_code error;
  Socket sock(AF::ALG, SOCK::SEQPACKET, 0, error);
  if (error) GTEST_SKIP() << "no AF_ALG in this kernel: " << error;
  EXPECT_THROW(sock.bind(AlgAddress("hash", "no-such-hash")), FileNotFoundError);
  sock.bind(AlgAddress("hash", "sha256"));
}

TEST(SocketsAddresses, KnowTheProtocolOfTheirSocket) {
  Socket udp(AF::INET, SOCK::DGRAM, IPPROTO::UDP);
  udp.bind({"127.0.0.1", 0});
  EXPECT_EQ(udp.getsockname().protocol(), 17);
  udp.sendto("x", udp.getsockname());
  EXPECT_EQ(udp.recvfrom(1).second.protocol(), 17);
  Socket server = create_server({"127.0.0.1", 0});
  Socket client(AF::INET, SOCK::STREAM, IPPROTO::TCP);
  client.connect(server.getsockname());
  EXPECT_EQ(client.getpeername().protocol(), 6);
  Socket listener(AF::INET, SOCK::STREAM, IPPROTO::TCP);
  listener.bind({"127.0.0.1", 0});
  listener.listen();
  Socket second(AF::INET, SOCK::STREAM, IPPROTO::TCP);
  second.connect(listener.getsockname());
  EXPECT_EQ(listener.accept().second.protocol(), 6);
}

}  // namespace
}  // namespace plug
