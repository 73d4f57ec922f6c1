// Accepts one client by polling, and the next one by waiting.
//
// The lesson: a loop around a non-blocking accept() wakes up for nothing, and yet accepts a client
// up to half a second late. A timeout is better: the program sleeps in accept(), which returns as
// soon as a client connects or the timeout expires.

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

void greet(lesson::Stop& stop, plug::Socket& conn, const plug::Address& peer,
           const std::string& text) {
  lesson::attend(stop, conn, peer, [&] {
    lesson::print_line(peer, text);
    conn.sendall(text + "\n");
  });
}

bool accept_by_polling(plug::Socket& server, lesson::Stop& stop, int tries, double interval) {
  server.setblocking(false);
  for (int i = 1; i <= tries; ++i) {
    std::error_code error;
    auto [conn, peer] = server.accept(error);
    if (!error) {
      greet(stop, conn, peer, "accepted by polling, at try " + std::to_string(i));
      return true;
    }
    if (error != std::errc::operation_would_block) plug::throw_if(error);
    lesson::print_line("nobody yet, try " + std::to_string(i) + " of " + std::to_string(tries) +
                       ": " + error.message());
    if (i < tries && stop.wait_for(plug::Timeout(interval).duration())) return false;
  }
  return false;
}

bool accept_by_waiting(plug::Socket& server, lesson::Stop& stop, double seconds) {
  server.settimeout(seconds);
  std::error_code error;
  auto [conn, peer] = server.accept(error);
  if (error == plug::timed_out()) return false;
  plug::throw_if(error);
  greet(stop, conn, peer, "accepted by waiting, with one call");
  return true;
}

}  // namespace

int main(int argc, char** argv) try {
  lesson::Endpoint endpoint;
  int tries = 120;
  double interval = 0.5;
  CLI::App app("Accepts a client by polling, then one by waiting.");
  lesson::add_endpoint(app, endpoint);
  app.add_option("--tries", tries, "how often to try")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--interval", interval, "seconds between two tries")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  lesson::parse(app, argc, argv);

  return lesson::run([&](lesson::Stop& stop) {
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    if (!accept_by_polling(server, stop, tries, interval) ||
        !accept_by_waiting(server, stop, tries * interval))
      lesson::print_line("nobody came");
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
