// Runs shell commands for its clients, and answers with their output.
//
// The lesson: a stream has no message boundaries. Without --framed the server takes each chunk that
// it receives for one command, and the client must guess where an answer ends. With --framed each
// command and each answer is one message, with its length in front.
//
// The server also limits everything that a client controls: the length of a command, the time it
// runs, and the bytes it prints.

#include <functional>
#include <sstream>

#include <CLI/CLI.hpp>

#include "support/loopback.hpp"
#include "support/subprocess.hpp"

namespace {

constexpr std::size_t kLongestCommand = 64 << 10;
constexpr std::size_t kMostOutput = 16 << 20;

struct Options {
  lesson::Endpoint endpoint;
  bool i_know = false;
  bool framed = false;
  double limit = 10;
};

std::string text_of(const lesson::ShellCommand::Result& result, double limit) {
  using End = lesson::ShellCommand::End;
  // A command that failed answers with its standard error, if there is any. A command that was
  // killed does so only if it printed nothing on standard output.
  std::string text = result.output;
  if (result.end == End::itself ? !result.success && !result.errors.empty() : text.empty()) {
    text = result.errors;
  }
  if (result.end != End::itself) {
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    std::ostringstream why;
    why.exceptions(std::ios::badbit);
    if (result.end == End::too_long) {
      why << "[killed: it ran longer than " << limit << " seconds]\n";
    } else if (result.end == End::too_much) {
      why << "[killed: it wrote " << kMostOutput << " bytes]\n";
    } else {
      why << "[killed: the server ends]\n";
    }
    text += why.str();
  }
  return text.empty() ? "return null" : text;
}

std::string run_command(const std::string& text, double limit, lesson::Stop& stop) {
  try {
    lesson::ShellCommand command(text);
    const auto watch = stop.watch([&] { command.kill(); });
    const auto time =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(limit));
    return text_of(command.wait(time, kMostOutput), limit);
  } catch (const std::exception& error) {
    return "not run: " + lesson::reason(error) + "\n";
  }
}

/// Returns the next command; nullopt at the end of the stream. Answers a message that is too long
/// with an error, drops it, and goes on with the next message.
std::optional<plug::Bytes> receive_message(plug::Framer& framer, const plug::Address& peer) {
  while (true) {
    try {
      return framer.recv();
    } catch (const plug::LimitOverrunError& error) {
      lesson::print_line(peer, error.what());
      framer.skip();
      framer.send(std::string("not run: ") + error.what() + "\n");
    }
  }
}

using Run = std::function<std::string(const std::string&)>;

void converse_framed(plug::Socket& conn, const plug::Address& peer, const Run& run) {
  plug::Framer framer(conn, plug::LengthPrefix{}, kLongestCommand);
  while (const std::optional<plug::Bytes> command = receive_message(framer, peer)) {
    framer.send(run(*command));
  }
}

void converse_plain(plug::Socket& conn, const Run& run) {
  for (plug::Bytes command = conn.recv(kLongestCommand); !command.empty();
       command = conn.recv(kLongestCommand)) {
    conn.sendall(run(command));
  }
}

void serve(const Options& options, lesson::Stop& stop) {
  plug::Socket server = lesson::listen_on_loopback(options.endpoint, options.i_know,
                                                   "this server runs whatever it is sent");
  const auto watch = stop.watch(server);
  lesson::announce(server);
  lesson::print_line("this server runs whatever it is sent, as the user who started it");
  do {
    auto [conn, peer] = server.accept();
    lesson::attend(stop, conn, peer, [&, &conn = conn, &peer = peer] {
      const auto run = [&](const std::string& command) {
        lesson::print_line(peer, command);
        return run_command(command, options.limit, stop);
      };
      options.framed ? converse_framed(conn, peer, run) : converse_plain(conn, run);
    });
  } while (!options.endpoint.once);
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Runs what it is sent as shell commands.");
  lesson::add_endpoint(app, options.endpoint);
  app.add_flag("--framed", options.framed, "a length before each message, both ways");
  app.add_option("--limit", options.limit, "seconds that a command may run")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  lesson::add_i_know(app, options.i_know);
  lesson::add_once(app, options.endpoint);
  lesson::parse(app, argc, argv);
  return lesson::run([&](lesson::Stop& stop) { serve(options, stop); });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
