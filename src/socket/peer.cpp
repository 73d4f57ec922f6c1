#include "socket/peer.hpp"

#include <plug/address.hpp>

#include <system_error>

#include "socket/calls.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::socket {

std::string call_text(SocketState& state, std::string_view call, std::string_view preposition) {
  std::string text(call);
  std::error_code not_connected;
  const Address peer = socket_name(state, sys::getpeername, not_connected);
  if (const std::string name = to_string(peer); peer && !name.empty())
    ((text += ' ') += preposition) += ' ' + name;
  return text;
}

}  // namespace plug::detail::socket
