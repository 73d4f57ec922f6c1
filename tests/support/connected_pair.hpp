#pragma once

#include <plug/socket.hpp>

#include <utility>

/// Two connected stream sockets: the one under test and its peer. Both have a timeout of 30
/// seconds.
struct ConnectedPair {
  ConnectedPair() : ConnectedPair(plug::socketpair()) {}
  explicit ConnectedPair(std::pair<plug::Socket, plug::Socket> ends)
      : sock(std::move(ends.first)), peer(std::move(ends.second)) {
    sock.settimeout(30);
    peer.settimeout(30);
  }

  /// Sends the peer's last bytes, and then the end of the stream.
  void finish(plug::BytesView bytes) {
    peer.sendall(bytes);
    peer.shutdown(plug::SHUT::WR);
  }

  plug::Socket sock;
  plug::Socket peer;
};
