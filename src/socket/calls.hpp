#pragma once

// Functions that the bodies of Socket's calls share.

#include <plug/address.hpp>
#include <plug/error.hpp>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <system_error>
#include <utility>

#include "address/access.hpp"
#include "base/throwing.hpp"
#include "resolve/resolver.hpp"
#include "socket/state.hpp"

namespace plug::detail::socket {

/// Returns the state of a moved-from Socket, which acts as a closed one.
inline SocketState& moved_from() {
  static SocketState closed(-1, 0, 0, 0, std::nullopt);
  return closed;
}
inline SocketState& state_or_closed(const std::shared_ptr<SocketState>& state) {
  if (state) [[likely]]
    return *state;
  return moved_from();
}

/// Makes a system call that does not wait, on the descriptor's number.
template <class Call>
long on_descriptor(SocketState& state, Call call) {
  const wait::Descriptor::InFlight in_flight(state.descriptor, false);
  return in_flight.fd() < 0 ? -EBADF : call(in_flight.fd());
}

/// Returns the address that `call` gives, which is sys::getsockname or sys::getpeername.
Address socket_name(SocketState& state, long (*call)(int, void*, std::size_t&) noexcept,
                    std::error_code& error);

/// The calls of the same names, with a given deadline instead of the socket's timeout.
std::pair<Socket, Address> accept_until(SocketState& state, Deadline deadline,
                                        std::error_code& error);
/// Accepts without waiting. The listener's descriptor must be non-blocking.
std::pair<Socket, Address> accept_now(SocketState& state, std::error_code& error);
std::pair<std::size_t, Address> receive_from(SocketState& state, MutableBytes buffer, MSG flags,
                                             Deadline deadline, std::error_code& error);

/// Returns the number of bytes to receive; sets Errc if it is negative.
inline std::size_t checked_size(ByteCount size, std::error_code& error) noexcept {
  if (error) [[unlikely]]
    error.clear();
  if (size.value() >= 0) return static_cast<std::size_t>(size.value());
  error = Errc::negative_size;
  return 0;
}

/// Returns the function that makes the text of a socket's error about an address (throwing()). Uses
/// the arguments themselves.
inline auto about(const AddressLike& address, const std::shared_ptr<SocketState>& state) noexcept {
  return [&](const std::error_code& error) {
    return address::AddressAccess::text(address, state_or_closed(state).family, error);
  };
}

/// Returns the error of a call with an address. Returns Errc::address_family if the system refuses
/// the address for its family, which it reports in different ways.
inline std::error_code error_with(long result, const SocketState& state,
                                  const Address& address) noexcept {
  if (result >= 0) [[likely]]
    return {};
  const bool refused = result == -EINVAL || result == -EAFNOSUPPORT;
  const AF family = address.family();
  if (refused && address && family != AF::UNSPEC && family != static_cast<AF>(state.family))
    return Errc::address_family;
  return base::error_from(result);
}

/// Returns the address that `like` means for this socket, looked up until the deadline. Looks up
/// nothing without a descriptor. As in Python, a non-blocking socket still waits for a lookup.
inline const Address* target_of(SocketState& state, const AddressLike& like, Deadline deadline,
                                Address& found, std::error_code& error) {
  if (state.descriptor.fd() < 0) {
    error = base::error_from(-EBADF);
    return &found;
  }
  return resolve::resolve(like, static_cast<AF>(state.family),
                          deadline.is_immediate() ? Deadline::none() : deadline, found, error);
}

}  // namespace plug::detail::socket
