// A chat of two programs over RDS (reliable datagrams).
//
// The lesson: RDS keeps message boundaries, as UDP does, and delivers each message once and in
// order, as TCP does. There is no connection: one socket talks to any number of peers. The program
// must bind the socket before it sends.

#include <CLI/CLI.hpp>

#include "support/chat.hpp"
#include "support/program.hpp"

int main(int argc, char** argv) try {
  lesson::Endpoint own;
  lesson::Endpoint peer;
  CLI::App app("Sends each line of its input to a peer, and prints what comes.");
  lesson::add_endpoint(app, own);
  app.add_option("PEER", peer.host, "the other's IPv4 address, or a name");
  app.add_option("PEER_PORT", peer.port)->check(CLI::Range(1, 65535));
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    plug::Socket sock(plug::AF::RDS, plug::SOCK::SEQPACKET);
    const auto address = [](const lesson::Endpoint& end) {
      return plug::getaddrinfo(end.host, end.port, plug::AF::INET).front().sockaddr;
    };
    sock.bind(address(own));
    lesson::announce(sock);
    lesson::chat(sock, [&](const std::string& line) {
      if (peer.port == 0) throw std::runtime_error("nobody to send to: no PEER was given");
      sock.sendto(line, address(peer));
    });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
