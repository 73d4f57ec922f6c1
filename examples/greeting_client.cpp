// Connects, and prints the greeting of the server.
//
// The lesson: recv() returns the next piece of a stream, not a whole message. It returns empty
// bytes when the server has closed the connection.

#include "support/program.hpp"

int main(int argc, char** argv) try {
  const auto endpoint = lesson::client_arguments(argc, argv, "Prints what the server says.");
  return lesson::run([&] {
    plug::Socket sock = plug::create_connection(endpoint.address());
    lesson::talk(endpoint.address(), [&] {
      std::string greeting;
      constexpr std::size_t longest = 1 << 16;
      for (plug::Bytes piece = sock.recv(1024); !piece.empty(); piece = sock.recv(1024)) {
        greeting += piece;
        if (greeting.size() > longest) throw plug::ValueError("a greeting without an end");
      }
      lesson::print_line(greeting);
    });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
