#pragma once

// The server classes of plug under the example programs: --server chooses one for a handler class.
// Whichever it is, the program says what the others say, and ends on a signal as they do.

#include <plug/plug.hpp>

#include <atomic>
#include <string>
#include <utility>

#include "support/program.hpp"

namespace lesson {

/// Adds --server=plain|tcp|threading|forking|pool|fiber and --drain. Fibers are there where plug
/// has been built with them.
void add_server_type(CLI::App& app, Endpoint& endpoint);

/// As server_arguments(), with these.
Endpoint server_type_arguments(int argc, char** argv, const std::string& description);

/// Serves with the class that endpoint.server names, which is not `plain`, and a handler each for
/// the clients, until a signal comes, or one client has been served when endpoint.once says so. A
/// signal ends the conversations, after endpoint.drain seconds. Throws OSError naming the address
/// when it cannot listen there.
///
/// Not within run(), whose Stop has the signals.
void serve(const Endpoint& endpoint, const plug::HandlerFactory& handler);
/// The same at an address that was looked up already.
void serve(const Endpoint& endpoint, const plug::AddrInfo& address,
           const plug::HandlerFactory& handler);

/// A server class, listening at an address of either family, that says who comes and leaves. Make
/// it as plug::Server<Attending<Base>>.
template <class Base>
class Attending : public Base {
 public:
  Attending(const plug::AddrInfo& address, plug::HandlerFactory handler, bool only_one = false)
      : Base(address.sockaddr, std::move(handler), false), once_(only_one) {
    this->address_family = address.family;
  }

  /// Once: the second client is not served.
  bool verify_request(plug::Request& request, const plug::Address& peer) override {
    const bool is_first = !seen_.exchange(true);
    return (is_first || !once_) && Base::verify_request(request, peer);
  }

  /// Calls the handler, in whichever thread or process that is to happen.
  void finish_request(plug::Request& request, const plug::Address& peer) override {
    attend(request, peer, [&] { Base::finish_request(request, peer); });
    if (once_) this->stop_serving();
  }

  /// What the client's handler throws has been said by then: this is for a client without one,
  /// since there can be no thread or process for it.
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

  /// Once: a client that was a process's has been served when that has ended.
  void service_actions() override {
    Base::service_actions();
    if constexpr (requires { this->active_children; }) {
      if (once_ && seen_ && this->active_children.empty()) this->stop_serving();
    }
  }

  /// Whether there has been a client.
  bool seen() const { return seen_; }

 private:
  const bool once_;
  std::atomic<bool> seen_{false};
};

/// Blocks the signals that end a server, so that none comes too early; says where it listens; and
/// serves until one comes, or once as the server was told.
void serve_until_signal(plug::TCPServer& server, const Endpoint& endpoint);

}  // namespace lesson
