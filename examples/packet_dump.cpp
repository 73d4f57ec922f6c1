// Prints a line for each packet that an interface sends or receives, and names its protocols.
//
// The lesson: AF_PACKET is below the internet protocols. The socket receives every packet on the
// interface, including packets for other programs and hosts. The address that recvfrom() returns
// names the interface, the protocol and the direction. AF_PACKET needs CAP_NET_RAW.

#include <string_view>

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

std::string_view direction(const plug::PacketAddress& address) {
  switch (plug::PACKET{address.pkttype}) {
    case plug::PACKET::HOST:
      return "to us";
    case plug::PACKET::BROADCAST:
      return "to all";
    case plug::PACKET::MULTICAST:
      return "to a group";
    case plug::PACKET::OUTGOING:
      return "from us";
    default:
      return "to others";
  }
}

/// Describes the content of a packet by its header: " UDP 127.0.0.1 -> 127.0.0.1".
std::string inside(std::uint16_t protocol, const plug::Bytes& packet) {
  if (plug::ETH{protocol} == plug::ETH::P_IP) {
    const auto header = plug::Ipv4Header::from_bytes(packet);
    return " " + plug::ip_protocol_name(header.protocol) + " " + header.source + " -> " +
           header.destination;
  }
  constexpr std::size_t header_of_six = 40;
  if (plug::ETH{protocol} == plug::ETH::P_IPV6 && packet.size() >= header_of_six) {
    const plug::BytesView all = packet;
    const auto host = [&all](std::size_t at) {
      return plug::inet_ntop(plug::AF::INET6, plug::BytesView(all.data() + at, 16));
    };
    return " " + plug::ip_protocol_name(static_cast<std::uint8_t>(packet[6])) + " " + host(8) +
           " -> " + host(24);
  }
  if (plug::ETH{protocol} == plug::ETH::P_CAN || plug::ETH{protocol} == plug::ETH::P_CANFD)
    return " " + to_string(plug::CanFrame::from_bytes(packet));
  return "";
}

}  // namespace

int main(int argc, char** argv) try {
  std::string interface;
  long count = -1;
  bool promiscuous = false;
  CLI::App app("Prints the packets of an interface, one a line.");
  app.add_option("INTERFACE", interface, "all of them when absent");
  app.add_option("--count", count, "end after that many packets")->check(CLI::PositiveNumber);
  app.add_flag("--promiscuous", promiscuous, "also what the interface would drop");
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    // The socket receives nothing until bind() gives it a protocol.
    plug::Socket sock(plug::AF::PACKET, plug::SOCK::DGRAM);
    sock.bind(plug::PacketAddress(interface, plug::ETH::P_ALL_));
    if (promiscuous)
      sock.setsockopt(plug::SOL::PACKET, plug::PACKET::ADD_MEMBERSHIP,
                      plug::packet_membership(interface, plug::PACKET::MR_PROMISC));
    for (; count != 0; count -= count > 0) {
      const auto [packet, sender] = sock.recvfrom(65535);
      const plug::PacketAddress address(sender);
      std::string line = address.interface + " " + std::string(direction(address)) + ": " +
                         plug::link_protocol_name(address.proto);
      try {
        line += inside(address.proto, packet);
      } catch (const plug::ValueError&) {
        line += " malformed";
      }
      lesson::print_line(line + ", " + std::to_string(packet.size()) + " bytes");
    }
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
