#pragma once

// For servers that do to this machine what their clients say.

#include "support/program.hpp"

namespace lesson {

/// Adds --i-know, without which listen_on_loopback() refuses other addresses than loopback.
void add_i_know(CLI::App& app, bool& i_know);

/// As listen_at(). Throws ValueError naming the address when that is not 127.0.0.0/8 or ::1 and
/// `i_know` is not set; `danger` says what anybody could do there.
plug::Socket listen_on_loopback(const Endpoint& endpoint, bool i_know, std::string_view danger);

}  // namespace lesson
