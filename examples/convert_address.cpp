// Prints addresses as text, as bytes, and as numbers in host and network order.
//
// The lesson: an IPv4 address is four bytes in network order, the most significant byte first. The
// processor may store integers with the least significant byte first. A program that reads the four
// bytes as an integer therefore converts it with ntoh(), and converts it back with hton().

#include <cstring>
#include <vector>

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

std::string hexadecimal(plug::BytesView bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    if (!text.empty()) text += ' ';
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[byte & 15];
  }
  return text;
}

void convert_ipv4(const std::string& text) {
  const plug::Bytes packed = plug::inet_aton(text);
  std::uint32_t network = 0;
  std::memcpy(&network, packed.data(), sizeof network);
  const std::uint32_t host = plug::ntoh(network);

  const std::uint32_t back = plug::hton(host);
  lesson::print_line(text + " is " + plug::inet_ntoa(plug::BytesView(&back, sizeof back)));
  lesson::print_line("  bytes         " + hexadecimal(packed));
  lesson::print_line("  host order    " + std::to_string(host));
  lesson::print_line("  network order " + std::to_string(network));
}

void convert_ipv6(const std::string& text) {
  const plug::Bytes packed = plug::inet_pton(plug::AF::INET6, text);
  lesson::print_line(text + " is " + plug::inet_ntop(plug::AF::INET6, packed));
  lesson::print_line("  bytes         " + hexadecimal(packed));
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> addresses{"127.0.0.1", "192.168.1.10", "16909060", "::1"};
  CLI::App app("Prints addresses in every form.");
  app.add_option("ADDRESS", addresses, "a dotted quad, a number in host order, or IPv6");
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    for (const std::string& address : addresses) {
      if (address.find(':') == std::string::npos) {
        convert_ipv4(address);
      } else {
        convert_ipv6(address);
      }
    }
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
