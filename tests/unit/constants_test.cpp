// Includes no header of the system: these constants must not need its macros.
#include <plug/constants.hpp>
#include <plug/family/constants.hpp>
#include <plug/select/constants.hpp>

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace plug {
namespace {

template <class E, class Underlying = int>
constexpr bool kScoped = std::is_enum_v<E> && !std::is_convertible_v<E, Underlying> &&
                         std::same_as<std::underlying_type_t<E>, Underlying>;

static_assert(kScoped<AF> && kScoped<SOCK> && kScoped<SOL> && kScoped<IPPROTO> && kScoped<SO>);
static_assert(kScoped<TCP> && kScoped<IP_> && kScoped<IPV6> && kScoped<MSG> && kScoped<SHUT>);
static_assert(kScoped<AI> && kScoped<NI> && kScoped<EAI> && kScoped<IPPORT>);
static_assert(kScoped<SCM> && kScoped<SOF> && kScoped<UDP> && kScoped<UDPLITE> && kScoped<MCAST>);
static_assert(kScoped<INADDR, std::uint32_t>);
static_assert(kScoped<NETLINK> && kScoped<PACKET> && kScoped<TIPC> && kScoped<ALG> && kScoped<RDS>);
static_assert(kScoped<SCTP> && kScoped<IOCTL> && kScoped<CANFD> && kScoped<BTPROTO> && kScoped<BT>);
static_assert(kScoped<HCI> && kScoped<L2CAP> && kScoped<RFCOMM> && kScoped<SCO>);
static_assert(kScoped<CAN, std::uint32_t> && kScoped<J1939, std::uint32_t>);
static_assert(kScoped<VMADDR, std::uint32_t> && kScoped<VM, std::uint32_t>);
static_assert(kScoped<QRTR, std::uint32_t>);
static_assert(kScoped<ETH, std::uint16_t> && kScoped<ETHERTYPE, std::uint16_t>);
static_assert(std::same_as<AddressFamily, AF> && std::same_as<SocketKind, SOCK>);
static_assert(std::same_as<MsgFlag, MSG> && std::same_as<AddressInfo, AI>);
static_assert(has_ipv6);
static_assert(std::same_as<PF, AF>);

template <class E>
constexpr bool kOrs = requires(E a) {
  { a | a } -> std::same_as<E>;
  { a& a } -> std::convertible_to<E>;
  { ~a } -> std::same_as<E>;
  { a |= a } -> std::same_as<E&>;
  { a &= a } -> std::same_as<E&>;
  { plug::has(a, a) } -> std::same_as<bool>;
};
static_assert(kOrs<SOCK> && kOrs<MSG> && kOrs<AI> && kOrs<NI> && kOrs<SOF>);
static_assert(!kOrs<AF> && !kOrs<SO> && !kOrs<SHUT> && !kOrs<IPPROTO> && !kOrs<EAI>);
static_assert(kOrs<EVENT> && kOrs<POLL> && kOrs<EPOLL> && kOrs<NLM>);
template <class A, class B>
constexpr bool kMixes = requires(A a, B b) {
  a | b;
}
|| requires(A a, B b) { a& b; }
|| requires(A a, B b) { plug::has(a, b); };
static_assert(!kMixes<MSG, SOCK> && !kMixes<MSG, int> && !kMixes<AI, NI> && !kMixes<POLL, EPOLL>);

// The bits that two values have in common are a condition, but not a number.
using Common = decltype(MSG::PEEK & MSG::PEEK);
static_assert(std::is_constructible_v<bool, Common> && std::is_constructible_v<long, Common>);
static_assert(!std::is_convertible_v<Common, bool> && !std::is_convertible_v<Common, int>);
static_assert(sizeof(Common) == sizeof(MSG) && std::is_trivially_copyable_v<Common>);

// The wrappers accept a number and their own enums, but no others.
template <class Wrapper, class... Enums>
constexpr bool kTakes = (std::is_convertible_v<Enums, Wrapper> && ...);
template <class Wrapper, class... Enums>
constexpr bool kRefuses = (!std::is_constructible_v<Wrapper, Enums> && ...);
static_assert(kTakes<Protocol, int, IPPROTO>);
static_assert(kRefuses<Protocol, AF, SOCK, SOL, SO, TCP, IP_, IPV6, MSG, SHUT, AI, NI, EAI>);
static_assert(kTakes<OptionLevel, int, SOL, IPPROTO>);
static_assert(kRefuses<OptionLevel, AF, SOCK, SO, TCP, IP_, IPV6, MSG, SHUT>);
static_assert(kTakes<OptionName, int, SO, TCP, IP_, IPV6>);
static_assert(kRefuses<OptionName, AF, SOCK, SOL, IPPROTO, MSG, SHUT>);
static_assert(kTakes<Protocol, CAN, NETLINK, BTPROTO>);
static_assert(kRefuses<Protocol, ETH, PACKET, TIPC, ALG, BT, HCI, J1939, VMADDR>);
static_assert(kRefuses<OptionLevel, CAN, NETLINK, PACKET, BTPROTO, BT, TIPC, ALG, SCM, UDP>);
static_assert(kTakes<OptionName, CAN, NETLINK, PACKET, TIPC, ALG, RDS, SCTP, BT, HCI, L2CAP>);
static_assert(kTakes<OptionName, RFCOMM, SCO, UDP, UDPLITE, MCAST>);
static_assert(kRefuses<OptionName, BTPROTO, ETH, J1939, VMADDR, QRTR, SCM, SOF, INADDR>);
static_assert(kRefuses<Protocol, const char*, std::nullptr_t, double>);
static_assert(!std::is_convertible_v<AF, SOCK> && !std::is_convertible_v<int, AF>);

// A system header's unscoped enumeration, such as IPPROTO_TCP's, is a number.
enum Unscoped { kSeven = 7 };
static_assert(kTakes<Protocol, Unscoped, long, unsigned, std::uint16_t>);

constexpr AI both_hints() { return AI::PASSIVE | AI::NUMERICHOST; }

TEST(Flags, CombineAndSeparate) {
  constexpr MSG both = MSG::PEEK | MSG::DONTWAIT;
  static_assert(static_cast<int>(both) == 0x42);
  EXPECT_EQ(both & MSG::PEEK, MSG::PEEK);
  EXPECT_EQ(both & ~MSG::PEEK, MSG::DONTWAIT);
  EXPECT_EQ(both & MSG::OOB, MSG{});
  AI hints = AI::PASSIVE;
  hints |= AI::NUMERICHOST;
  EXPECT_EQ(hints, AI::PASSIVE | AI::NUMERICHOST);
  EXPECT_EQ(static_cast<int>(SOCK::STREAM | SOCK::NONBLOCK | SOCK::CLOEXEC), 0x80801);
  hints &= ~AI::PASSIVE;
  EXPECT_EQ(hints, AI::NUMERICHOST);
  hints |= both_hints() & AI::PASSIVE;
  EXPECT_EQ(hints, both_hints());
  EXPECT_EQ((both & both) | MSG::OOB, both | MSG::OOB);
  EXPECT_EQ(~(both & MSG::PEEK) & both & ~MSG::OOB, MSG::DONTWAIT);
}

TEST(Flags, AreTrueInAConditionIfAnyOfThemIsSet) {
  constexpr EVENT read = EVENT::READ;
  static_assert(read & EVENT::READ);
  static_assert(!(read & EVENT::WRITE));
  static_assert(read & (EVENT::READ | EVENT::WRITE));
  static_assert(static_cast<std::uint32_t>(EPOLL::ET & ~EPOLL::IN) == 0x80000000);
  EVENT mask = EVENT::READ | EVENT::WRITE;
  if (mask & EVENT::READ) mask &= ~EVENT::READ;
  EXPECT_FALSE(mask & EVENT::READ);
  EXPECT_TRUE(mask & EVENT::WRITE);
  switch (mask & EVENT::WRITE) {
    case EVENT::WRITE:
      break;
    default:
      ADD_FAILURE() << "not the enum";
  }
}

TEST(Flags, HasRequiresAllBitsOfTheFlag) {
  constexpr POLL all = POLL::IN | POLL::OUT | POLL::PRI;
  static_assert(has(all, POLL::IN) && has(all, POLL::IN | POLL::OUT) && has(all, POLL{}));
  static_assert(!has(POLL::IN, POLL::IN | POLL::OUT) && !has(all, POLL::HUP));
  static_assert(plug::has(all & POLL::IN, POLL::IN) && plug::has(all, all & POLL::IN));
}

TEST(Wrappers, ConvertToTheNumberOfTheirConstant) {
  EXPECT_EQ(int{Protocol(IPPROTO::UDP)}, 17);
  EXPECT_EQ(int{Protocol()}, 0);
  EXPECT_EQ(int{OptionLevel(SOL::SOCKET)}, 1);
  EXPECT_EQ(int{OptionLevel(IPPROTO::IPV6)}, 41);
  EXPECT_EQ(int{OptionName(TCP::NODELAY)}, 1);
  EXPECT_EQ(int{OptionName(IPV6::V6ONLY)}, 26);
  EXPECT_EQ(int{OptionName(12345)}, 12345);
}

TEST(Constants, HaveTheNumbersOfTheSystem) {
  // One or two of each; their values are held equal to the system's when the library is compiled.
  EXPECT_EQ(static_cast<int>(AF::UNSPEC), 0);
  EXPECT_EQ(static_cast<int>(AF::UNIX), 1);
  EXPECT_EQ(static_cast<int>(PF::INET), 2);
  EXPECT_EQ(static_cast<int>(AF::INET6), 10);
  EXPECT_EQ(static_cast<int>(SOCK::SEQPACKET), 5);
  EXPECT_EQ(static_cast<int>(SOL::IP_), 0);
  EXPECT_EQ(static_cast<int>(IPPROTO::IP_), 0);
  EXPECT_EQ(static_cast<int>(IPPROTO::MPTCP), 262);
  EXPECT_EQ(static_cast<int>(SO::DEBUG_), 1);
  EXPECT_EQ(static_cast<int>(SO::ERROR_), 4);
  EXPECT_EQ(static_cast<int>(SO::REUSEPORT), 15);
  EXPECT_EQ(static_cast<int>(TCP::KEEPIDLE), 4);
  EXPECT_EQ(static_cast<int>(IP_::TTL), 2);
  EXPECT_EQ(static_cast<int>(IPV6::V6ONLY), 26);
  EXPECT_EQ(static_cast<int>(MSG::EOR_), 0x80);
  EXPECT_EQ(static_cast<int>(SHUT::RDWR), 2);
  EXPECT_EQ(static_cast<int>(AI::NUMERICSERV), 0x400);
  EXPECT_EQ(static_cast<int>(NI::DGRAM), 0x10);
  EXPECT_EQ(static_cast<int>(EAI::NONAME), -2);
  EXPECT_EQ(static_cast<std::uint32_t>(INADDR::BROADCAST), 0xffffffffu);
  EXPECT_EQ(static_cast<std::uint32_t>(INADDR::LOOPBACK), 0x7f000001u);
  EXPECT_EQ(static_cast<int>(IPPORT::RESERVED), 1024);
  EXPECT_GT(SOMAXCONN_, 0);
}

TEST(Constants, CombineWithCanIdentifiers) {
  constexpr std::uint32_t id = 0x12345 | CAN::EFF_FLAG;
  static_assert(id == 0x80012345u);
  EXPECT_EQ(id & CAN::EFF_MASK, 0x12345u);
  EXPECT_EQ(static_cast<std::uint32_t>(VMADDR::CID_ANY), 0xffffffffu);
}

TEST(Constants, TakeUnnamedValuesByACast) {
  EXPECT_EQ(static_cast<int>(AF{40}), 40);
  EXPECT_EQ(AF{2}, AF::INET);
}

}  // namespace
}  // namespace plug
