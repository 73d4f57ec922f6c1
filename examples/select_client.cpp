// Sends each line of its input to a select_server and prints whatever comes, when it comes.
//
// The lesson: select() waits for the keyboard and for the socket at once, so neither has to wait
// for the other. It asks for room to send only while there is something to send, since there is
// room nearly always; and it does not read on while there is, so that what is not taken does not
// pile up.

#include <string>
#include <vector>

#include <errno.h>
#include <unistd.h>

#include "support/program.hpp"

namespace {

constexpr int kInput = STDIN_FILENO;

class Conversation {
 public:
  explicit Conversation(plug::Socket& sock) : sock_(sock) { sock_.setblocking(false); }

  /// Until the server has ended it.
  void hold() {
    while (!ended_) {
      std::vector<plug::FileObject> to_read = {sock_};
      std::vector<plug::FileObject> to_write;
      if (!kept_.empty())
        to_write.push_back(sock_);
      else if (!input_ended_)
        to_read.push_back(kInput);
      const auto [readable, writable, exceptional] = plug::select(to_read, to_write);
      for (const plug::FileObject& object : readable) object.is(sock_) ? receive() : read_input();
      if (!writable.empty()) send();
    }
  }

 private:
  void receive() {
    std::error_code error;
    const plug::Bytes data = sock_.recv(4096, plug::MSG{}, error);
    if (error == std::errc::operation_would_block) return;
    plug::throw_if(error);
    ended_ = data.empty();
    if (!ended_) lesson::print_line(data);
  }

  void read_input() {
    char data[4096];
    const ssize_t count = ::read(kInput, data, sizeof data);
    if (count < 0) plug::throw_if({errno, std::system_category()}, "standard input");
    for (ssize_t i = 0; i < count; ++i)
      if (data[i] != '\n') kept_ += data[i];
    input_ended_ = count == 0;
    // The server still answers what it has got.
    if (input_ended_) sock_.shutdown(plug::SHUT::WR);
  }

  void send() {
    std::error_code error;
    const std::size_t sent = sock_.send(kept_, plug::MSG{}, error);
    if (error != std::errc::operation_would_block) plug::throw_if(error);
    kept_.erase(0, sent);
  }

  plug::Socket& sock_;
  std::string kept_;  // what has not been sent yet
  bool input_ended_ = false;
  bool ended_ = false;
};

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint =
      lesson::client_arguments(argc, argv, "Talks to a select_server, both ways at once.");
  return lesson::run([&] {
    plug::Socket sock = plug::create_connection(endpoint.address());
    lesson::talk(endpoint.address(), [&] { Conversation(sock).hold(); });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
