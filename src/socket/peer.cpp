#include "socket/peer.hpp"

#include <plug/address.hpp>

#include <cstddef>

#include "address/access.hpp"
#include "socket/calls.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail {

std::string call_text(SocketState& state, std::string_view call, std::string_view preposition) {
  std::string text(call);
  Address peer;
  std::size_t size = Address::kCapacity;
  const long result = on_descriptor(
      state, [&](int fd) { return sys::getpeername(fd, AddressAccess::storage(peer), size); });
  if (result < 0) return text;
  AddressAccess::set_size(peer, size, state.proto);
  if (const std::string name = to_string(peer); peer && !name.empty())
    ((text += ' ') += preposition) += ' ' + name;
  return text;
}

}  // namespace plug::detail
