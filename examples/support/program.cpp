#include "support/program.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>

#include <errno.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "support/text.hpp"

namespace lesson {
namespace {

Endpoint arguments(int argc, char** argv, const std::string& description, bool server) {
  Endpoint endpoint;
  CLI::App app(description);
  add_endpoint(app, endpoint);
  if (server) add_once(app, endpoint);
  parse(app, argc, argv);
  return endpoint;
}

}  // namespace

std::string reason(const std::exception& error) {
  const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  return no_memory ? "out of memory" : error.what();
}

int fail(const std::exception& error) {
  complain(reason(error));
  return 1;
}

int run(const std::function<void(Stop&)>& body) {
  Stop stop;
  try {
    body(stop);
  } catch (const std::exception& error) {
    return stop.stopped() ? 0 : fail(error);
  }
  return 0;
}

int run(const std::function<void()>& body) {
  return run([&](Stop& stop) {
    const auto watch = stop.watch([] { _exit(0); });
    body();
  });
}

void complain(std::string_view what) {
  std::cerr << program_invocation_short_name << ": " + one_line(what) + "\n" << std::flush;
}

Endpoint server_arguments(int argc, char** argv, const std::string& description) {
  return arguments(argc, argv, description, true);
}

Endpoint client_arguments(int argc, char** argv, const std::string& description) {
  return arguments(argc, argv, description, false);
}

void add_endpoint(CLI::App& app, Endpoint& endpoint) {
  app.add_option("HOST", endpoint.host, "an IPv4 or IPv6 address, or a name")->required();
  app.add_option("PORT", endpoint.port, "0 to 65535; a server's 0 lets the system choose one")
      ->required()
      ->check(CLI::Range(0, 65535));
}

void add_once(CLI::App& app, Endpoint& endpoint) {
  app.add_flag("--once", endpoint.once, "serve one client, then end");
}

void parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& error) {
    complain(error.what());
    std::exit(1);
  }
}

plug::AddrInfo look_up(const Endpoint& endpoint, plug::SOCK type) {
  std::optional<std::string_view> host;
  if (!endpoint.host.empty()) host = endpoint.host;
  const auto found =
      plug::getaddrinfo(host, endpoint.port, plug::AF::UNSPEC, type, 0, plug::AI::PASSIVE);
  for (const plug::AddrInfo& info : found) {
    if (info.family == plug::AF::INET) return info;
  }
  return found.front();
}

plug::Socket listen_at(const Endpoint& endpoint) {
  return listen_at(look_up(endpoint, plug::SOCK::STREAM));
}

plug::Socket listen_at(const plug::AddrInfo& address) {
  return plug::create_server(address.sockaddr, {.family = address.family});
}

void announce(const plug::Socket& sock) {
  print_line("listening on " + to_string(sock.getsockname()));
}

void attend(Stop& stop, plug::Socket& conn, const plug::Address& peer,
            const std::function<void()>& conversation) {
  const auto watch = stop.watch(conn);
  attend(conn, peer, [&] {
    try {
      conversation();
    } catch (const std::exception&) {
      if (!stop.stopped()) throw;
    }
  });
}

void attend(plug::Socket& conn, const plug::Address& peer,
            const std::function<void()>& conversation) {
  print_line(peer, "connected");
  std::string end = "left";
  try {
    conversation();
  } catch (const std::exception& error) {
    end = reason(error);
  }
  std::error_code ignored;
  conn.close(ignored);
  print_line(peer, end);
}

void talk(const plug::AddressLike& peer, const std::function<void()>& conversation) {
  try {
    conversation();
  } catch (const std::exception& error) {
    throw std::runtime_error(to_string(peer) + ": " + reason(error));
  }
}

void print_line(std::string_view text) { std::cout << one_line(text) + "\n" << std::flush; }

void print_line(const plug::Address& peer, std::string_view text) {
  print_line(to_string(peer) + ": " + std::string(text));
}

void for_each_line(EmptyLine policy, const std::function<bool(const std::string&)>& body) {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  std::string line;
  std::cin.exceptions(std::ios::badbit);  // an exception is not the end of input
  while (true) {
    if (terminal) std::cout << "> " << std::flush;
    if (!std::getline(std::cin, line)) {
      if (std::ferror(stdin) != 0)
        plug::throw_if({errno, std::system_category()}, "standard input");
      if (terminal) std::cout << std::endl;
      return;
    }
    if (!line.empty()) {
      if (!body(line)) return;
    } else if (policy == EmptyLine::ends) {
      return;
    } else {
      print_line("an empty message reaches nobody: say something");
    }
  }
}

}  // namespace lesson
