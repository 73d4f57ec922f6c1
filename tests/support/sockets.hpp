#pragma once

#include <plug/socket.hpp>

#include <string>
#include <utility>

/// A listening TCP socket on a loopback address ("127.0.0.1" or "::1") and a free port.
plug::Socket tcp_listener(const std::string& host = "127.0.0.1");

/// Two TCP sockets connected to each other, the one that connected first.
std::pair<plug::Socket, plug::Socket> tcp_pair(const std::string& host = "127.0.0.1");

/// Exactly `size` bytes; fewer when the stream ends first.
std::string receive_exactly(plug::Socket& sock, std::size_t size);

/// An address on which nothing listens: bound once, and free again.
plug::Address refusing_address(const std::string& host = "127.0.0.1");
