#pragma once

// Serves a handler class with one of plug's server classes, which --server chooses. With each of
// them a program prints the same lines, and ends on a signal in the same way.

#include <plug/plug.hpp>

#include <atomic>
#include <string>
#include <utility>

#include "support/program.hpp"

namespace lesson {

/// Adds --server=plain|tcp|threading|forking|pool|fiber and --drain. "fiber" exists if plug was
/// built with fibers.
void add_server_type(CLI::App& app, Endpoint& endpoint);

/// Like server_arguments(), plus the options of add_server_type().
Endpoint server_type_arguments(int argc, char** argv, const std::string& description);

/// Serves with the class that endpoint.server names, and makes a handler for each client. The class
/// must not be `plain`. Returns after a signal, or after one client if endpoint.once is set. After
/// a signal clients may go on for endpoint.drain seconds. Throws OSError with the address if it
/// cannot listen there.
///
/// Do not call it within run(), whose Stop takes the signals.
void serve(const Endpoint& endpoint, const plug::HandlerFactory& handler);
/// The same, at an address that has been looked up already.
void serve(const Endpoint& endpoint, const plug::AddrInfo& address,
           const plug::HandlerFactory& handler);

/// A server class that listens at an address of either family and prints a line when a client
/// connects or leaves. Create it as plug::Server<Attending<Base>>.
template <class Base>
class Attending : public Base {
 public:
  Attending(const plug::AddrInfo& address, plug::HandlerFactory handler, bool only_one = false)
      : Base(address.sockaddr, std::move(handler), false), once_(only_one) {}

  /// With `only_one`, refuses every client but the first.
  bool verify_request(plug::Request& request, const plug::Address& peer) override {
    const bool is_first = !seen_.exchange(true);
    return (is_first || !once_) && Base::verify_request(request, peer);
  }

  /// Runs the handler, in the thread or process that the server class uses.
  void finish_request(plug::Request& request, const plug::Address& peer) override {
    attend(request, peer, [&] { Base::finish_request(request, peer); });
    if (once_) this->stop_serving();
  }

  /// Prints the error of a client for which no thread or process could be started. attend() has
  /// already printed the exceptions of handlers.
  void handle_error(plug::Request& request, const plug::Address& peer) override {
    try {
      throw;
    } catch (const std::exception& error) {
      print_line(peer, reason(error));
    } catch (...) {
      Base::handle_error(request, peer);
    }
    seen_ = false;
  }

  /// With `only_one` in a forking server: ends when the child process that served the client has
  /// ended.
  void service_actions() override {
    Base::service_actions();
    if constexpr (requires { this->active_children; }) {
      if (once_ && seen_ && this->active_children.empty()) this->stop_serving();
    }
  }

  /// Returns true if a client has been served, or is being served.
  bool seen() const { return seen_; }

 private:
  const bool once_;
  std::atomic<bool> seen_{false};
};

/// Blocks the signals that end a server, so that none arrives too early. Prints the address, and
/// serves until a signal arrives, or until one client has been served with --once.
void serve_until_signal(plug::TCPServer& server, const Endpoint& endpoint);

}  // namespace lesson
