// Sends lists and dictionaries as JSON messages and gets them back. Server and client in one
// program.
//
// The lesson: a Framer keeps messages apart on a stream. It sends the length of each message (4
// bytes, big-endian) before the message, so a message may hold any bytes, and several may follow
// each other. After a message that is malformed or too long, the Framer still finds the next one.
//
// A dictionary comes back with its keys sorted: in JSON their order has no meaning.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "support/program.hpp"

namespace {

using Json = nlohmann::json;

/// Parses a message from an untrusted peer. Limits the depth of nesting, because writing a value
/// recurses.
Json read_json(std::string_view message) {
  constexpr int deepest = 100;
  return Json::parse(message, [](int depth, Json::parse_event_t event, Json&) {
    const bool opens =
        event == Json::parse_event_t::array_start || event == Json::parse_event_t::object_start;
    if (opens && depth == deepest) throw std::runtime_error("nested deeper than 100 levels");
    return true;
  });
}

std::string answer_to(std::string_view message) {
  try {
    return read_json(message).dump();
  } catch (const std::exception& error) {
    return Json{{"error", lesson::reason(error)}}.dump(-1, ' ', false,
                                                       Json::error_handler_t::replace);
  }
}

void converse(plug::Socket& conn, const plug::Address& peer) {
  plug::Framer framer(conn, plug::LengthPrefix{});
  while (true) {
    try {
      const std::optional<plug::Bytes> message = framer.recv();
      if (!message) return;
      lesson::print_line(peer, *message);
      framer.send(answer_to(*message));
    } catch (const plug::LimitOverrunError& error) {
      lesson::print_line(peer, error.what());
      framer.skip();
      framer.send(Json{{"error", error.what()}}.dump());
    }
  }
}

void serve(const lesson::Endpoint& endpoint, lesson::Stop& stop) {
  plug::Socket server = lesson::listen_at(endpoint);
  const auto watch = stop.watch(server);
  lesson::announce(server);
  do {
    auto [conn, peer] = server.accept();
    lesson::attend(stop, conn, peer, [&conn = conn, &peer = peer] { converse(conn, peer); });
  } while (!endpoint.once);
}

void ask(const lesson::Endpoint& endpoint) {
  plug::Socket sock = plug::create_connection(endpoint.address());
  lesson::talk(endpoint.address(), [&] {
    plug::Framer framer(sock, plug::LengthPrefix{});
    lesson::for_each_line(lesson::EmptyLine::asks_again, [&](const std::string& line) {
      framer.send(line);
      const std::optional<plug::Bytes> answer = framer.recv();
      if (!answer) throw plug::EOFError("the server has ended the conversation");
      lesson::print_line(*answer);
      return true;
    });
  });
}

}  // namespace

int main(int argc, char** argv) try {
  std::string role;
  lesson::Endpoint endpoint;
  CLI::App app("Sends JSON there and back; the client reads a value from each line.");
  app.add_option("ROLE", role, "server or client")
      ->required()
      ->check(CLI::IsMember({"server", "client"}));
  lesson::add_endpoint(app, endpoint);
  lesson::add_once(app, endpoint);
  lesson::parse(app, argc, argv);

  if (role == "client") return lesson::run([&] { ask(endpoint); });
  return lesson::run([&](lesson::Stop& stop) { serve(endpoint, stop); });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
