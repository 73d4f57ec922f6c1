// Prints the timeout of a socket before and after setting it, and the errors of calls that time
// out.
//
// The lesson: a call on a new socket may block forever. With a timeout, a call that takes longer
// throws TimeoutError. With a timeout of zero no call blocks: it throws BlockingIOError instead.
// Neither error harms the socket: the next call returns the data that has arrived by then.

#include <chrono>
#include <cstdio>

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

void show(const std::string& what, const plug::Socket& sock) {
  lesson::print_line(what + ": timeout " + to_string(sock.gettimeout()) +
                     (sock.getblocking() ? ", blocking" : ", non-blocking"));
}

/// Calls recv() and prints its result and how long it took.
void receive(plug::Socket& sock) {
  const auto start = std::chrono::steady_clock::now();
  std::string result;
  try {
    result = "'" + sock.recv(1024) + "'";
  } catch (const plug::TimeoutError& error) {
    result = "TimeoutError " + std::string(error.what());
  } catch (const plug::BlockingIOError& error) {
    result = "BlockingIOError " + std::string(error.what());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.2f s", took.count());
  lesson::print_line("recv: " + result + " after " + seconds);
}

}  // namespace

int main(int argc, char** argv) try {
  lesson::Endpoint endpoint;
  double seconds = 0.25;
  CLI::App app("Shows what timeouts do, on a connection to itself.");
  lesson::add_endpoint(app, endpoint);
  app.add_option("--seconds", seconds, "the timeout to set")
      ->check(CLI::Range(0.001, 60.0))
      ->capture_default_str();
  lesson::parse(app, argc, argv);

  return lesson::run([&] {
    plug::Socket server = lesson::listen_at(endpoint);
    lesson::announce(server);
    plug::Socket sock(server.family());
    show("a new socket", sock);
    sock.connect(server.getsockname());
    plug::Socket peer = server.accept().first;

    sock.settimeout(seconds);
    show("after settimeout(" + to_string(plug::Timeout(seconds)) + ")", sock);
    receive(sock);
    peer.sendall("better late than never");
    receive(sock);

    sock.settimeout(0);
    show("after settimeout(0)", sock);
    receive(sock);

    sock.settimeout(std::nullopt);
    show("after settimeout(None)", sock);

    plug::setdefaulttimeout(seconds);
    show("a new socket after setdefaulttimeout(" + to_string(plug::Timeout(seconds)) + ")",
         plug::Socket());
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
