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

#include <map>
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
      for (const auto& [key, events] : selector_.select()) {
        if (key.fileobj.is(wake_.first))
          stopped_ = true;
        else if (key.fileobj.is(listener_))
          accept();
        else
          converse(*key.data.get<Client*>(), events);
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
    plug::Socket sock;
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

  void accept() {
    std::error_code error;
    auto [sock, peer] = listener_.accept(error);
    if (error == std::errc::operation_would_block) return;
    if (error) {
      lesson::print_line("accept: " + error.message());
      // Without a free file descriptor, accept() would fail again at once. Listen again when a
      // client has left.
      if (error != std::errc::connection_aborted && !clients_.empty()) stop_listening();
      return;
    }
    sock.setblocking(false);
    const int number = sock.fileno();
    Client& client =
        clients_.try_emplace(number, Client{std::move(sock), peer, "hello"}).first->second;
    selector_.register_(number, plug::EVENT::WRITE, &client);
    lesson::print_line(peer, "connected");
    if (once_) stop_listening();
  }

  void converse(Client& client, plug::EVENT events) {
    try {
      if (events == plug::EVENT::READ && !read(client))
        leave(client, "left");
      else if (!client.kept.empty())
        write(client);
    } catch (const plug::OSError& error) {
      leave(client, error.what());
    }
  }

  /// Returns false at the end of the client's stream.
  bool read(Client& client) {
    std::error_code error;
    const plug::Bytes data = client.sock.recv(4096, error);
    if (error == std::errc::operation_would_block) return true;
    plug::throw_if(error);
    if (data.empty()) return false;
    lesson::print_line(client.peer, data);
    client.kept = data + "response";
    return true;
  }

  void write(Client& client) {
    std::error_code error;
    const std::size_t sent = client.sock.send(client.kept, error);
    if (error != std::errc::operation_would_block) plug::throw_if(error);
    client.kept.erase(0, sent);
    const plug::EVENT wanted = client.kept.empty() ? plug::EVENT::READ : plug::EVENT::WRITE;
    selector_.modify(client.sock, wanted, plug::kKeepData);
  }

  void leave(Client& client, std::string_view how) {
    lesson::print_line(client.peer, how);
    const int number = client.sock.fileno();
    selector_.unregister(number);
    clients_.erase(number);
    if (once_)
      stopped_ = true;
    else
      listen();
  }

  plug::DefaultSelector selector_;
  plug::Socket listener_;
  std::pair<plug::Socket, plug::Socket> wake_ = plug::socketpair();  // watched; closed by stop()
  std::map<int, Client> clients_;                                    // by file descriptor
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
