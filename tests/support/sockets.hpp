#pragma once

#include <plug/socket.hpp>

#include <string>
#include <utility>
#include <vector>

/// Returns a listening TCP socket on a loopback address ("127.0.0.1" or "::1") and a free port.
plug::Socket tcp_listener(const std::string& host = "127.0.0.1");

/// Returns two connected TCP sockets; the first of them is the one that called connect().
std::pair<plug::Socket, plug::Socket> tcp_pair(const std::string& host = "127.0.0.1");

/// Receives exactly `size` bytes; fewer if the stream ends first.
std::string receive_exactly(plug::Socket& sock, std::size_t size);

/// Returns a bound socket that does not listen: the system refuses connections to it.
plug::Socket refusing_socket(const std::string& host = "127.0.0.1");

/// A listener whose queue is full: nobody answers a further connection until accept_all().
class FullListener {
 public:
  FullListener();

  plug::Address address() const { return listener_.getsockname(); }

  /// Accepts all queued connections.
  void accept_all();

 private:
  plug::Socket listener_;
  std::vector<plug::Socket> queued_;
};

/// Returns the number of open file descriptors of this process, after the calling thread has
/// created the one that it waits with.
int settled_descriptors();
