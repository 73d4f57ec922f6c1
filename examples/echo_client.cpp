// Sends each line to an echo_server and prints the answer.
//
// The lesson: the server sends back exactly as many bytes as it received, but they may arrive in
// several pieces. readexactly() puts the pieces together.
//
// The client sends a long line in parts and reads the answer to each part before it sends the next.
// If it only sent, the server would block in sendall() and stop reading, and then both sides would
// wait forever.

#include <algorithm>

#include "support/program.hpp"

int main(int argc, char** argv) try {
  constexpr std::size_t part_size = 1 << 15;
  const auto endpoint = lesson::client_arguments(argc, argv, "Sends lines, prints the answers.");
  return lesson::run([&] {
    plug::Socket sock = plug::create_connection(endpoint.address());
    lesson::talk(endpoint.address(), [&] {
      plug::Framer answers(sock);
      lesson::for_each_line(lesson::EmptyLine::ends, [&](const std::string& line) {
        std::string answer;
        for (plug::BytesView rest = line; !rest.empty();) {
          const plug::BytesView part = rest.first(std::min(rest.size(), part_size));
          rest = rest.subspan(part.size());
          sock.sendall(part);
          answer += answers.readexactly(part.size());
        }
        lesson::print_line(answer);
        return true;
      });
    });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
