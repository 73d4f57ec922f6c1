// Prints the address that this host uses to reach a peer.
//
// The lesson: a host has several addresses, and the route to a peer decides which one the peer
// sees. Connecting a datagram socket makes the system choose the route, and sends nothing.

#include "support/program.hpp"

int main(int argc, char** argv) try {
  const auto peer = lesson::client_arguments(argc, argv, "Prints this host's address to a peer.");
  return lesson::run([&] {
    const plug::AddrInfo info = lesson::look_up(peer, plug::SOCK::DGRAM);
    plug::Socket sock(info.family, info.type);
    sock.connect(info.sockaddr);
    lesson::print_line(sock.getsockname().host() + " on the way to " + to_string(info.sockaddr));
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
