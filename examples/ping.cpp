// Asks a host whether it is there, with echo requests of ICMP or ICMPv6.
//
// The lesson: a socket can carry a protocol without ports. On a SOCK_DGRAM socket the kernel
// delivers only the answers to this program's requests. It needs no privilege if
// net.ipv4.ping_group_range allows it. A SOCK_RAW socket needs CAP_NET_RAW and receives the ICMP
// packets of the whole host, so the program must pick out its answers.

#include <chrono>
#include <cstdio>

#include <unistd.h>
#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

using Clock = std::chrono::steady_clock;

class Pinger {
 public:
  explicit Pinger(const plug::Address& target)
      : family_(target.family()), sock_(open(family_)), raw_(sock_.type() == plug::SOCK::RAW) {
    sock_.connect(target);
  }

  /// Sends a request and waits for its answer. Returns the size of the answer in bytes and the time
  /// in milliseconds; nullopt if no answer arrives in time.
  std::optional<std::pair<std::size_t, double>> ask(std::uint16_t sequence, const plug::Bytes& data,
                                                    double timeout) {
    const auto begun = Clock::now();
    const auto milliseconds = [begun] {
      return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
    };
    const plug::IcmpEcho echo{.identifier = identifier_, .sequence = sequence, .data = data};
    sock_.sendall(echo.to_bytes(family_));
    for (double left = timeout; left > 0; left = timeout - milliseconds() / 1000) {
      std::error_code error;
      sock_.settimeout(left);
      const plug::Bytes packet = sock_.recv(65535, error);
      if (error == std::errc::timed_out) break;
      plug::throw_if(error);
      const auto answer = plug::IcmpEcho::from_bytes(without_header(packet), family_);
      if (answer && answer->reply && answer->sequence == sequence && is_mine(*answer) &&
          answer->data == data)
        return std::pair(answer->data.size() + 8, milliseconds());
    }
    return std::nullopt;
  }

 private:
  static plug::Socket open(plug::AF family) {
    const auto protocol = family == plug::AF::INET ? plug::IPPROTO::ICMP : plug::IPPROTO::ICMPV6;
    std::error_code error;
    plug::Socket sock(family, plug::SOCK::DGRAM, protocol, error);
    return error ? plug::Socket(family, plug::SOCK::RAW, protocol) : std::move(sock);
  }

  /// Removes the IP header, which a raw IPv4 socket returns in front of the packet.
  plug::BytesView without_header(const plug::Bytes& packet) const {
    const plug::BytesView all = packet;
    if (!raw_ || family_ != plug::AF::INET) return all;
    return all.subspan(plug::Ipv4Header::from_bytes(all).size());
  }

  bool is_mine(const plug::IcmpEcho& answer) const {
    return !raw_ || answer.identifier == identifier_;
  }

  plug::AF family_;
  plug::Socket sock_;
  bool raw_;
  std::uint16_t identifier_ = static_cast<std::uint16_t>(::getpid());
};

}  // namespace

int main(int argc, char** argv) try {
  lesson::Endpoint host;
  int count = 4;
  double interval = 1;
  double timeout = 1;
  std::size_t size = 56;
  CLI::App app("Asks a host whether it is there, and prints how long each answer takes.");
  app.add_option("HOST", host.host, "an IPv4 or IPv6 address, or a name")->required();
  app.add_option("--count", count, "questions")->check(CLI::Range(1, 65535))->capture_default_str();
  app.add_option("--interval", interval, "seconds between them")->check(CLI::NonNegativeNumber);
  app.add_option("--timeout", timeout, "seconds to wait for each")->check(CLI::PositiveNumber);
  app.add_option("--size", size, "bytes of data")->check(CLI::Range(0, 65000));
  lesson::parse(app, argc, argv);

  bool answered = false;
  const int status = lesson::run([&] {
    const plug::Address target = lesson::look_up(host, plug::SOCK::DGRAM).sockaddr;
    lesson::talk(target, [&] {
      Pinger pinger(target);
      int answers = 0;
      for (int i = 1; i <= count; ++i) {
        const auto answer =
            pinger.ask(static_cast<std::uint16_t>(i), plug::Bytes(size, 'p'), timeout);
        char text[100];
        if (answer) {
          ++answers;
          std::snprintf(text, sizeof text, "%zu bytes from %s: sequence %d, %.3f ms", answer->first,
                        target.host().c_str(), i, answer->second);
        } else {
          std::snprintf(text, sizeof text, "no answer to sequence %d", i);
        }
        lesson::print_line(text);
        if (i < count) std::this_thread::sleep_for(std::chrono::duration<double>(interval));
      }
      lesson::print_line(std::to_string(answers) + " of " + std::to_string(count) + " answered");
      answered = answers > 0;
    });
  });
  return status == 0 && !answered ? 1 : status;
} catch (const std::exception& error) {
  return lesson::fail(error);
}
