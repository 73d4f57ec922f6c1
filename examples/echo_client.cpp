// Sends each line to an echo_server and prints what comes back.
//
// The lesson: exactly as many bytes come back as went out, in however many pieces: readexactly()
// puts them together. A long line goes out in parts, because a server that is sending while nobody
// reads stops reading, and then both would wait for each other.

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
        for (plug::BytesView rest = line; !rest.empty(); rest = rest.from(part_size)) {
          const plug::BytesView part(rest.data(), std::min(rest.size(), part_size));
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
