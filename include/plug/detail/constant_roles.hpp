#pragma once

// The roles of the enums in constants.hpp, select/constants.hpp and family/constants.hpp.

#include <plug/detail/roles.hpp>

#include <cstdint>

#pragma GCC visibility push(default)

namespace plug {

enum class SOCK : int;
enum class MSG : int;
enum class AI : int;
enum class NI : int;
enum class SOF : int;
enum class IPPROTO : int;
enum class SOL : int;
enum class SCM : int;
enum class SO : int;
enum class TCP : int;
enum class UDP : int;
enum class UDPLITE : int;
enum class IP_ : int;
enum class IPV6 : int;
enum class MCAST : int;
enum class CAN : std::uint32_t;
enum class NETLINK : int;
enum class BTPROTO : int;
enum class PACKET : int;
enum class TIPC : int;
enum class ALG : int;
enum class RDS : int;
enum class SCTP : int;
enum class MPTCP : int;
enum class NLM : int;
enum class BT : int;
enum class HCI : int;
enum class L2CAP : int;
enum class RFCOMM : int;
enum class SCO : int;
enum class EVENT : int;
enum class POLL : std::uint16_t;
enum class EPOLL : std::uint32_t;

}  // namespace plug

namespace plug::detail {

template <>
inline constexpr unsigned kRoles<SOCK> = kFlags;
template <>
inline constexpr unsigned kRoles<MSG> = kFlags;
template <>
inline constexpr unsigned kRoles<AI> = kFlags;
template <>
inline constexpr unsigned kRoles<NI> = kFlags;
template <>
inline constexpr unsigned kRoles<SOF> = kFlags;
template <>
inline constexpr unsigned kRoles<IPPROTO> = kProtocol | kLevel;
template <>
inline constexpr unsigned kRoles<SOL> = kLevel;
template <>
inline constexpr unsigned kRoles<SCM> = kControl;
template <>
inline constexpr unsigned kRoles<SO> = kOption;
template <>
inline constexpr unsigned kRoles<TCP> = kOption;
template <>
inline constexpr unsigned kRoles<UDP> = kOption;
template <>
inline constexpr unsigned kRoles<UDPLITE> = kOption;
template <>
inline constexpr unsigned kRoles<IP_> = kOption;
template <>
inline constexpr unsigned kRoles<IPV6> = kOption;
template <>
inline constexpr unsigned kRoles<MCAST> = kOption;
template <>
inline constexpr unsigned kRoles<CAN> = kProtocol | kOption;
template <>
inline constexpr unsigned kRoles<NETLINK> = kProtocol | kOption;
template <>
inline constexpr unsigned kRoles<BTPROTO> = kProtocol;
template <>
inline constexpr unsigned kRoles<PACKET> = kOption;
template <>
inline constexpr unsigned kRoles<TIPC> = kOption;
template <>
inline constexpr unsigned kRoles<ALG> = kOption;
template <>
inline constexpr unsigned kRoles<RDS> = kOption;
template <>
inline constexpr unsigned kRoles<SCTP> = kOption;
template <>
inline constexpr unsigned kRoles<MPTCP> = kOption;
template <>
inline constexpr unsigned kRoles<NLM> = kFlags;
template <>
inline constexpr unsigned kRoles<BT> = kOption;
template <>
inline constexpr unsigned kRoles<HCI> = kOption;
template <>
inline constexpr unsigned kRoles<L2CAP> = kOption;
template <>
inline constexpr unsigned kRoles<RFCOMM> = kOption;
template <>
inline constexpr unsigned kRoles<SCO> = kOption;
template <>
inline constexpr unsigned kRoles<EVENT> = kFlags;
template <>
inline constexpr unsigned kRoles<POLL> = kFlags;
template <>
inline constexpr unsigned kRoles<EPOLL> = kFlags;

}  // namespace plug::detail

#pragma GCC visibility pop
