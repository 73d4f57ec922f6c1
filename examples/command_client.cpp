// Sends each line to a command_server and prints the answer.
//
// The lesson: a plain stream does not mark where an answer ends. Without --framed the client prints
// the data that arrives until nothing has arrived for --pause seconds. That is a guess: if an
// answer pauses for longer, its rest is printed before the next answer. With --framed, on both
// sides, each answer is one message.

#include <iostream>

#include <CLI/CLI.hpp>

#include "support/answer.hpp"
#include "support/program.hpp"

namespace {

constexpr std::size_t kLongestAnswer = 64 << 20;

struct Options {
  lesson::Endpoint endpoint;
  bool framed = false;
  double pause = 0.3;
  double timeout = 60;
};

/// Prints an answer piece by piece, unchanged. The destructor adds a newline if the answer does not
/// end with one.
class Printer {
 public:
  ~Printer() {
    if (last_ != '\n') std::cout << '\n';
    std::cout << std::flush;
  }

  void print(std::string_view piece) {
    if (piece.empty()) return;
    std::cout << piece << std::flush;
    last_ = piece.back();
  }

 private:
  char last_ = '\n';
};

void ask(const Options& options) {
  plug::Socket sock = plug::create_connection(options.endpoint.address());
  sock.settimeout(options.timeout);
  lesson::talk(sock.getpeername(), [&] {
    plug::Framer framer(sock, plug::LengthPrefix{}, kLongestAnswer);
    lesson::for_each_line(lesson::EmptyLine::asks_again, [&](const std::string& line) {
      Printer printer;
      bool answered = false;
      if (options.framed) {
        framer.send(line);
        const std::optional<plug::Bytes> answer = framer.recv();
        answered = answer.has_value();
        printer.print(answer.value_or(""));
      } else {
        sock.sendall(line);
        // The server may close the connection after this answer. That is an error only if another
        // command follows.
        lesson::receive_until_pause(sock, framer, options.pause, [&](plug::BytesView piece) {
          answered = true;
          printer.print(piece);
          return true;
        });
      }
      if (!answered) throw plug::EOFError("the server has ended the conversation");
      return true;
    });
  });
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Sends commands and prints their output.");
  lesson::add_endpoint(app, options.endpoint);
  app.add_flag("--framed", options.framed, "a length before each message, both ways");
  app.add_option("--pause", options.pause, "seconds of silence that end an answer without a frame")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--timeout", options.timeout, "seconds that an answer may take to begin")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  lesson::parse(app, argc, argv);
  return lesson::run([&] { ask(options); });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
