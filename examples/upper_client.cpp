// Sends each line to an upper_server and prints it in upper case; "exit" ends the conversation.
//
// The lesson: a length counts bytes, not characters. ASCII text keeps its length in upper case, so
// the client knows where the answer ends. Other text may become longer or shorter, so the client
// can only wait until the answer pauses.

#include <algorithm>

#include "support/answer.hpp"
#include "support/program.hpp"

int main(int argc, char** argv) try {
  // The socket buffers hold this many bytes while neither side reads. With a longer line both sides
  // could block forever.
  constexpr std::size_t longest = 1 << 15;
  constexpr double pause = 0.3;
  const auto endpoint = lesson::client_arguments(argc, argv, "Prints lines in upper case.");
  return lesson::run([&] {
    plug::Socket sock = plug::create_connection(endpoint.address());
    lesson::talk(endpoint.address(), [&] {
      plug::Framer answers(sock);
      lesson::for_each_line(lesson::EmptyLine::asks_again, [&](const std::string& line) {
        if (line.size() > longest) {
          lesson::print_line("that line is too long: at most 32768 bytes");
          return true;
        }
        sock.sendall(line);
        if (line == "exit") return false;
        const bool ascii = std::all_of(line.begin(), line.end(), [](char c) { return c >= 0; });
        std::string answer;
        if (ascii) {
          answer = answers.readexactly(line.size());
        } else {
          const auto collect = [&](plug::BytesView piece) {
            answer += std::string_view(piece);
            return true;
          };
          if (!lesson::receive_until_pause(sock, answers, pause, collect) && answer.empty())
            throw plug::EOFError("the server has ended the conversation");
        }
        lesson::print_line(answer);
        return true;
      });
    });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
