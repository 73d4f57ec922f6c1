// Sends each line to a time_echo_server and prints the answer.
//
// The lesson: what is sent at once may arrive in pieces, so the client counts: it knows how long
// the answer is.

#include <algorithm>

#include "support/program.hpp"

namespace {

// Small enough to arrive in one piece at a server that receives 1024 bytes at a time. A longer line
// goes in several, each with its own answer.
constexpr std::size_t kPiece = 1024;

constexpr std::size_t kStamp = std::string_view("[Thu Sep 15 22:29:12 2016] ").size();

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint = lesson::client_arguments(argc, argv, "Sends lines, prints the answers.");
  return lesson::run([&] {
    plug::Socket sock = plug::create_connection(endpoint.address());
    lesson::talk(endpoint.address(), [&] {
      plug::Framer answers(sock);
      lesson::for_each_line(lesson::EmptyLine::ends, [&](const std::string& line) {
        for (plug::BytesView rest = line; !rest.empty(); rest = rest.from(kPiece)) {
          const plug::BytesView piece(rest.data(), std::min(rest.size(), kPiece));
          sock.sendall(piece);
          lesson::print_line(answers.readexactly(kStamp + piece.size()));
        }
        return true;
      });
    });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
