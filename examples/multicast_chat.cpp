// A chat without a server: each member of a group receives the lines of all members.
//
// The lesson: a multicast group is an address that belongs to no host. A program joins the group to
// receive its datagrams. Sending to the group does not need joining. The sender chooses how far a
// datagram travels (--ttl). All members on one host bind the same port, which SO_REUSEADDR allows.

#include <CLI/CLI.hpp>

#include "support/chat.hpp"
#include "support/program.hpp"

int main(int argc, char** argv) try {
  lesson::Endpoint group;
  std::string interface;
  std::string source;
  int ttl = 1;
  CLI::App app("Says each line of its input to a group, and prints what the others say.");
  app.add_option("GROUP", group.host, "239.1.2.3, ff15::1 ...")->required();
  app.add_option("PORT", group.port, "the same for all")->required()->check(CLI::Range(1, 65535));
  app.add_option("--interface", interface, "such as eth0; the system's choice when absent");
  app.add_option("--source", source, "listen to this member alone");
  app.add_option("--ttl", ttl, "how many networks far it is heard")->check(CLI::Range(0, 255));
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    const bool six = group.host.find(':') != std::string::npos;
    plug::Socket sock(six ? plug::AF::INET6 : plug::AF::INET, plug::SOCK::DGRAM);
    sock.setsockopt(plug::SOL::SOCKET, plug::SO::REUSEADDR, 1);
    // Bound to the group's address, the socket does not receive other datagrams to this port.
    const auto scope = six && !interface.empty()
                           ? static_cast<std::uint32_t>(plug::if_nametoindex(interface))
                           : 0u;
    const plug::HostPort everybody(group.host, group.port, 0, scope);
    sock.bind(everybody);
    if (!interface.empty()) plug::set_multicast_interface(sock, interface);
    plug::set_multicast_ttl(sock, ttl);
    plug::join_group(sock, group.host, interface, source);
    lesson::announce(sock);
    lesson::chat(sock, [&](const std::string& line) { sock.sendto(line, everybody); });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
