#pragma once

// For servers that run commands or store files for their clients: by default they listen on
// loopback addresses only.

#include "support/program.hpp"

namespace lesson {

/// Adds --i-know, which allows other addresses than loopback.
void add_i_know(CLI::App& app, bool& i_know);

/// Looks up the address of a TCP server, as look_up() does. Throws ValueError with the address if
/// that is not loopback and `i_know` is not set. `danger` tells the user what anybody could do
/// there.
plug::AddrInfo look_up_loopback(const Endpoint& endpoint, bool i_know, std::string_view danger);

/// Listens at such an address, as listen_at() does.
plug::Socket listen_on_loopback(const Endpoint& endpoint, bool i_know, std::string_view danger);

}  // namespace lesson
