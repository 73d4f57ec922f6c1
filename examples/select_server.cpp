// Greets every client and sends back what it says with "response" appended, to many clients at
// once, in one thread.
//
// The lesson: a selector waits for all sockets at once, so no client is waited for alone. Nothing
// else may wait either: every socket is non-blocking, and what a client does not take now is kept
// until it does. While something is kept the client is not read from, so that one that only sends
// makes the server neither wait nor grow: it is TCP that makes the client wait.

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

  /// Ends serve(). Any thread may call it: a selector is woken by what it watches, here by the end
  /// of a stream.
  void stop() noexcept {
    std::error_code ignored;
    wake_.second.close(ignored);
  }

 private:
  struct Client {
    plug::Socket sock;
    plug::Address peer;
    std::string kept;  // what has not been sent yet
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
      // Without descriptors to spare it would fail again at once: not before a client has left.
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

  /// False at the end of what the client says.
  bool read(Client& client) {
    std::error_code error;
    const plug::Bytes data = client.sock.recv(4096, plug::MSG{}, error);
    if (error == std::errc::operation_would_block) return true;
    plug::throw_if(error);
    if (data.empty()) return false;
    lesson::print_line(client.peer, data);
    client.kept = data + "response";
    return true;
  }

  void write(Client& client) {
    std::error_code error;
    const std::size_t sent = client.sock.send(client.kept, plug::MSG{}, error);
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
  std::pair<plug::Socket, plug::Socket> wake_ = plug::socketpair();  // its ends: woken, waker
  std::map<int, Client> clients_;                                    // by descriptor
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
