#pragma once

// For servers that do to this machine what their clients say.

#include "support/program.hpp"

namespace lesson {

/// Adds --i-know, without which look_up_loopback() refuses other addresses than loopback.
void add_i_know(CLI::App& app, bool& i_know);

/// As look_up(), of a TCP server's endpoint. Throws ValueError naming the address when that is not
/// 127.0.0.0/8 or ::1 and `i_know` is not set; `danger` says what anybody could do there.
plug::AddrInfo look_up_loopback(const Endpoint& endpoint, bool i_know, std::string_view danger);

/// Listens at such an address, as listen_at() does.
plug::Socket listen_on_loopback(const Endpoint& endpoint, bool i_know, std::string_view danger);

}  // namespace lesson
