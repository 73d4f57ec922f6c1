// Sends each line to an upper_server and prints it in upper case; "exit" ends the conversation.
//
// The lesson: upper case may have another length, so the client cannot count bytes. It sends each
// line with its newline, which upper case leaves alone, and reads a line back with makefile().

#include "support/program.hpp"

int main(int argc, char** argv) {
  // What both ends can hold while neither reads: a longer line could make both wait for ever.
  constexpr std::size_t longest = 1 << 15;
  const auto endpoint = lesson::client_arguments(argc, argv, "Prints lines in upper case.");
  return lesson::run([&] {
    plug::Socket sock = plug::create_connection(endpoint.address());
    lesson::talk(endpoint.address(), [&] {
      plug::File answers = sock.makefile("rb");
      lesson::for_each_line(lesson::EmptyLine::asks_again, [&](const std::string& line) {
        if (line.size() > longest) {
          lesson::print_line("that line is too long: at most 32768 bytes");
          return true;
        }
        if (line == "exit") {
          sock.sendall(line);
          return false;
        }
        sock.sendall(line + "\n");
        std::string answer = answers.readline(3 * longest + 1);
        if (!answer.ends_with('\n')) throw plug::EOFError("the server has ended the conversation");
        answer.pop_back();
        lesson::print_line(answer);
        return true;
      });
    });
  });
}
