// Sends each line twice, with sendto() and over a connected socket, and prints both answers.
//
// The lesson: connecting a datagram socket sends nothing. It sets the peer: send() and recv() need
// no address, datagrams from other peers are dropped, and the system can report that nobody listens
// at the peer's port. With or without connect(), a datagram may be lost, so a client without a
// timeout may wait forever.

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

std::pair<plug::Bytes, plug::Address> await_answer(plug::Socket& sock) {
  constexpr int largest = 65535;
  try {
    return sock.recvfrom(largest);
  } catch (const plug::TimeoutError&) {
    throw std::runtime_error("no answer within " + to_string(sock.gettimeout()) + " s");
  }
}

}  // namespace

int main(int argc, char** argv) try {
  lesson::Endpoint endpoint;
  double seconds = 5;
  CLI::App app("Sends each line in a datagram, twice, and prints the answers.");
  lesson::add_endpoint(app, endpoint);
  app.add_option("--timeout", seconds, "how long to wait for an answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    const plug::AddrInfo info = lesson::look_up(endpoint, plug::SOCK::DGRAM);
    lesson::talk(info.sockaddr, [&] {
      plug::Socket sock(info.family, info.type);
      sock.settimeout(seconds);
      plug::Socket connected(info.family, info.type);
      connected.settimeout(seconds);
      connected.connect(info.sockaddr);

      lesson::for_each_line(lesson::EmptyLine::asks_again, [&](const std::string& line) {
        sock.sendto(line, info.sockaddr);
        const auto [answer, sender] = await_answer(sock);
        lesson::print_line("sendto: " + answer + " from " + to_string(sender));
        connected.sendall(line);
        lesson::print_line("connected: " + await_answer(connected).first);
        return true;
      });
    });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
