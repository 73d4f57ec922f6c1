#pragma once

#include <plug/socket.hpp>

#include <string>
#include <utility>
#include <vector>

/// A listening TCP socket on a loopback address ("127.0.0.1" or "::1") and a free port.
plug::Socket tcp_listener(const std::string& host = "127.0.0.1");

/// Two TCP sockets connected to each other, the one that connected first.
std::pair<plug::Socket, plug::Socket> tcp_pair(const std::string& host = "127.0.0.1");

/// Exactly `size` bytes; fewer when the stream ends first.
std::string receive_exactly(plug::Socket& sock, std::size_t size);

/// A bound socket that does not listen: connecting to it is refused for as long as it lives.
plug::Socket refusing_socket(const std::string& host = "127.0.0.1");

/// A listener whose queue is full: who connects next is not answered, until accept() makes room.
class FullListener {
 public:
  FullListener();

  plug::Address address() const { return listener_.getsockname(); }

  /// Takes everyone who is queued.
  void accept_all();

 private:
  plug::Socket listener_;
  std::vector<plug::Socket> queued_;
};

/// The count of this process's descriptors, once the calling thread has the one that it waits with.
int settled_descriptors();
