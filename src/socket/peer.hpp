#pragma once

// The text that errors of files and framers give about a call and its peer.

#include <string>
#include <string_view>

#include "socket/state.hpp"

namespace plug::detail::socket {

/// Returns "readline from ('127.0.0.1', 80)", with `preposition` between the call and the peer.
/// Returns the call alone if the peer has no address or the socket is no longer connected.
std::string call_text(SocketState& state, std::string_view call, std::string_view preposition);

}  // namespace plug::detail::socket
