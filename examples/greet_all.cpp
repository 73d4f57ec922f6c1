// Asks several servers for their greetings, a few at a time, and prints the greetings in order.
//
// The lesson: fibers. The code of a fiber reads like the code of a thread: it does one thing after
// the other. The fibers take servers from a queue, a TaskGroup waits for the fibers, and a single
// timeout covers all of them. All fibers run on one thread, so the data that they share needs no
// lock.

#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/queue.hpp>

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

std::string greeting_of(const plug::HostPort& server) {
  plug::Socket sock = plug::create_connection(server);
  constexpr std::ptrdiff_t longest = 1 << 16;
  plug::Bytes greeting = sock.makefile("rb").read(longest);
  if (greeting.size() == longest) throw plug::ValueError("a greeting without an end");
  return greeting;
}

struct Answer {
  std::string text = "no answer in time";
  bool greeted = false;
};

/// Returns the answer of each server, in the order of `servers`.
std::vector<Answer> ask_all(const std::vector<plug::HostPort>& servers, std::size_t at_once,
                            double seconds) {
  std::vector<Answer> answers(servers.size());
  plug::Queue<std::size_t> left;
  for (std::size_t i = 0; i < servers.size(); ++i) left.put(i);
  left.shutdown();  // no more servers follow

  const auto ask_some = [&] {
    while (const auto next = left.next()) {
      try {
        answers[*next] = {greeting_of(servers[*next]), true};
      } catch (const std::exception& error) {
        // CancelledError, which ends the fiber after the timeout, is no std::exception.
        answers[*next] = {error.what(), false};
      }
    }
  };
  try {
    plug::timeout(seconds, [&] {
      plug::TaskGroup group;
      for (std::size_t i = 0; i < at_once; ++i) group.spawn(ask_some);
      group.wait();  // an exception here cancels the fibers
    });
  } catch (const plug::TimeoutError&) {
  }
  return answers;
}

}  // namespace

int main(int argc, char** argv) try {
  std::string host;
  std::vector<std::uint16_t> ports;
  std::size_t at_once = 10;
  double seconds = 5;
  CLI::App app("Prints what the servers on some ports of a host say.");
  app.add_option("HOST", host, "an address or a name")->required();
  app.add_option("PORT", ports, "one for each server")->required();
  app.add_option("--at-once", at_once, "how many are asked at a time")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--timeout", seconds, "seconds for all of them together")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    std::vector<plug::HostPort> servers;
    for (const std::uint16_t port : ports) servers.emplace_back(host, port);
    const auto answers = plug::fiber::run([&] { return ask_all(servers, at_once, seconds); });
    std::size_t silent = 0;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      lesson::print_line(std::to_string(ports[i]) + ": " + answers[i].text);
      if (!answers[i].greeted) ++silent;
    }
    if (silent > 0)
      throw std::runtime_error(std::to_string(silent) + " of " + std::to_string(servers.size()) +
                               " servers on '" + host + "' have not greeted");
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
