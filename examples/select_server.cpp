// Greets every client and sends back each chunk with "response" appended. One thread serves many
// clients at once.
//
// The lesson: a selector waits for all sockets at once, so the server never waits for one client
// alone. No other call may block either: every socket is non-blocking, and the server keeps data
// that a client does not accept yet.
//
// While the server keeps data for a client, it does not read from that client. A client that only
// sends can therefore neither block the server nor make it use more and more memory: TCP makes the
// client wait.

#include <string>
#include <string_view>
#include <utility>

#include "support/program.hpp"

namespace {

class SelectServer {
 public:
  SelectServer(plug::Socket listener, bool once) : listener_(std::move(listener)), once_(once) {
    listener_.setblocking(false);
    listen();
    selector_.register_(wake_.first, plug::EVENT::READ);
  }

  const plug::Socket& listener() const { return listener_; }

  void serve() {
    while (!stopped_) {
      for (auto& [key, mask] : selector_.select()) {
        if (key.fileobj.is(wake_.first))
          stopped_ = true;
        else if (key.fileobj.is(listener_))
          accept();
        else
          converse(key.fileobj.get<plug::Socket>(), key.data.get<Client>(), mask);
      }
    }
  }

  /// Ends serve(). Safe to call from any thread: closing one socket of the pair wakes the selector,
  /// which watches the other.
  void stop() noexcept {
    std::error_code ignored;
    wake_.second.close(ignored);
  }

 private:
  struct Client {
    plug::Address peer;
    std::string kept;  // data that has not been sent yet
  };

  void listen() {
    if (!listening_) selector_.register_(listener_, plug::EVENT::READ);
    listening_ = true;
  }
  void stop_listening() {
    if (listening_) selector_.unregister(listener_);
    listening_ = false;
  }

  /// Returns the number of clients: the selector watches wake_ and the listener as well.
  std::size_t clients() const { return selector_.get_map()->size() - 1 - (listening_ ? 1 : 0); }

  void accept() {
    std::error_code error;
    auto [sock, peer] = listener_.accept(error);
    if (error == std::errc::operation_would_block) return;
    if (error) {
      lesson::print_line("accept: " + error.message());
      // Without a free file descriptor, accept() would fail again at once. Listen again when a
      // client has left.
      if (error != std::errc::connection_aborted && clients() > 0) stop_listening();
      return;
    }
    sock.setblocking(false);
    selector_.register_(std::move(sock), plug::EVENT::WRITE, Client{peer, "hello"});
    lesson::print_line(peer, "connected");
    if (once_) stop_listening();
  }

  void converse(plug::Socket& sock, Client& client, plug::EVENT mask) {
    try {
      if (mask == plug::EVENT::READ && !read(sock, client))
        leave(sock, client, "left");
      else if (!client.kept.empty())
        write(sock, client);
    } catch (const plug::OSError& error) {
      leave(sock, client, error.what());
    }
  }

  /// Returns false at the end of the client's stream.
  bool read(plug::Socket& sock, Client& client) {
    std::error_code error;
    const plug::Bytes data = sock.recv(4096, error);
    if (error == std::errc::operation_would_block) return true;
    plug::throw_if(error);
    if (data.empty()) return false;
    lesson::print_line(client.peer, data);
    client.kept = data + "response";
    return true;
  }

  void write(plug::Socket& sock, Client& client) {
    std::error_code error;
    const std::size_t sent = sock.send(client.kept, error);
    if (error != std::errc::operation_would_block) plug::throw_if(error);
    client.kept.erase(0, sent);
    const plug::EVENT wanted = client.kept.empty() ? plug::EVENT::READ : plug::EVENT::WRITE;
    selector_.modify(sock, wanted, plug::kKeepData);
  }

  void leave(plug::Socket& sock, Client& client, std::string_view how) {
    lesson::print_line(client.peer, how);
    selector_.unregister(sock);  // and closes it
    if (once_)
      stopped_ = true;
    else
      listen();
  }

  plug::DefaultSelector selector_;  // owns the clients
  plug::Socket listener_;
  std::pair<plug::Socket, plug::Socket> wake_ = plug::socketpair();  // watched; closed by stop()
  bool once_;
  bool listening_ = false;
  bool stopped_ = false;
};

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint = lesson::server_arguments(
      argc, argv, "Sends back what comes, with a response, to many clients at once.");
  return lesson::run([&](lesson::Stop& stop) {
    SelectServer server(lesson::listen_at(endpoint), endpoint.once);
    const auto watch = stop.watch([&] { server.stop(); });
    lesson::announce(server.listener());
    server.serve();
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
