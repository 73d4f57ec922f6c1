#include <plug/error.hpp>
#include <plug/family/sctp.hpp>

#include "address/access.hpp"
#include "layout/structs.hpp"
#include "socket/calls.hpp"
#include "socket/state.hpp"
#include "sys/syscalls.hpp"

namespace plug {

namespace {

namespace sys = detail::sys;
namespace layout = detail::layout;
using layout::bytes_of;
using layout::layout_in;

[[noreturn]] void refuse(const char* what, BytesView raw) {
  throw ValueError("no " + std::string(what) + ": " + detail::address::bytes_repr(raw));
}

bool is_receive_info(const ControlMessage& item) {
  return item.is(IPPROTO::SCTP, SCTP::RCVINFO) &&
         item.data.size() == sizeof(layout::SctpReceiveLayout);
}

}  // namespace

Bytes SctpInit::to_bytes() const {
  return bytes_of(layout::SctpInitLayout{out_streams, in_streams, attempts, timeout});
}
SctpInit SctpInit::from_bytes(BytesView raw) {
  if (raw.size() != sizeof(layout::SctpInitLayout)) refuse("value of SCTP_INITMSG", raw);
  const auto layout = layout_in<layout::SctpInitLayout>(raw);
  return {layout.out_streams, layout.in_streams, layout.attempts, layout.timeout};
}

ControlMessage SctpSendInfo::control() const {
  const layout::SctpSendLayout layout{stream, flags, ppid, context, association};
  return {IPPROTO::SCTP, SCTP::SNDINFO, bytes_of(layout)};
}

SctpReceiveInfo SctpReceiveInfo::from(const ControlMessage& item) {
  if (!is_receive_info(item)) throw ValueError("no SCTP_RCVINFO: " + to_string(item));
  const auto layout = layout_in<layout::SctpReceiveLayout>(item.data);
  return {layout.stream, layout.sequence, layout.flags,      layout.ppid,
          layout.tsn,    layout.context,  layout.association};
}

std::optional<SctpReceiveInfo> SctpReceiveInfo::of(const AncillaryData& ancdata) {
  const ControlMessage* item = ancdata.find(IPPROTO::SCTP, SCTP::RCVINFO);
  if (item == nullptr) return std::nullopt;
  return from(*item);
}

Bytes SctpEvent::to_bytes() const {
  return bytes_of(layout::SctpEventLayout{association, static_cast<std::uint16_t>(type),
                                          static_cast<std::uint8_t>(on), 0});
}

SctpAssociationChange SctpAssociationChange::from_bytes(BytesView raw) {
  if (raw.size() < sizeof(layout::SctpChangeLayout)) refuse("notification of an association", raw);
  const auto layout = layout_in<layout::SctpChangeLayout>(raw);
  if (layout.type != static_cast<std::uint16_t>(SCTP::ASSOC_CHANGE))
    refuse("notification of an association", raw);
  return {SCTP{layout.state}, layout.error, layout.out_streams, layout.in_streams,
          layout.association};
}

Socket sctp_peel_off(Socket& sock, std::int32_t association) {
  return detail::base::throwing(
      [&](std::error_code& error) { return sctp_peel_off(sock, association, error); },
      [&] { return "association " + std::to_string(association); });
}

Socket sctp_peel_off(Socket& sock, std::int32_t association, std::error_code& error) {
  layout::SctpPeelLayout layout{association, -1, static_cast<std::uint32_t>(SOCK::CLOEXEC)};
  std::size_t size = sizeof layout;
  error = detail::base::error_from(detail::socket::on_descriptor(
      detail::socket::state_or_closed(detail::socket::SocketAccess::state(sock)), [&](int fd) {
        return sys::getsockopt(fd, static_cast<int>(IPPROTO::SCTP),
                               static_cast<int>(SCTP::SOCKOPT_PEELOFF_FLAGS), &layout, size);
      }));
  if (error) return Socket::closed();
  OwnedFd own(layout.fileno);
  Socket peeled(Fileno{own.fileno()}, sock.family(), SOCK::STREAM, IPPROTO::SCTP, error);
  if (!error) own.detach();
  return peeled;
}

}  // namespace plug
