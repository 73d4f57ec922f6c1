// Sends each line of its input to a select_server and prints whatever comes, when it comes.
//
// The lesson: select() waits for the keyboard and for the socket at once, so neither has to wait
// for the other. It asks for room to send only while there is something to send, since there is
// room nearly always; and it does not read on while there is, so that what is not taken does not
// pile up.
//
// A stream keeps no boundaries: two lines that are sent close together are one message for the
// server. So a line is sent when the greeting has come, or the answer to the line before, which
// repeats that.

#include <algorithm>
#include <string>
#include <vector>

#include <errno.h>
#include <unistd.h>

#include "support/program.hpp"

namespace {

constexpr int kInput = STDIN_FILENO;
constexpr std::size_t kLongest = 1 << 16;  // what has no newline by then goes out without it

// Seconds of silence: after which no answer is expected any more, and, with all answers there and
// the input at its end, after which the server is not expected to close the connection.
constexpr double kPatience = 5;
constexpr double kFarewell = 0.5;

class Conversation {
 public:
  explicit Conversation(plug::Socket& sock) : sock_(sock) { sock_.setblocking(false); }

  /// Until the server has ended it, or has nothing more to say to an input that has ended.
  void hold() {
    while (!ended_) {
      next_line();
      std::vector<plug::FileObject> to_read = {sock_};
      std::vector<plug::FileObject> to_write;
      if (!line_.empty())
        to_write.push_back(sock_);
      else if (!input_ended_ && typed_.size() < kLongest)
        to_read.push_back(kInput);
      const auto [readable, writable, exceptional] =
          plug::select(to_read, to_write, {}, patience());
      if (readable.empty() && writable.empty()) {
        ended_ = due_ == 0;
        due_ = 0;
      }
      for (const plug::FileObject& object : readable) object.is(sock_) ? receive() : read_input();
      if (!writable.empty()) send();
    }
  }

 private:
  /// How long to wait for something to happen.
  plug::Timeout patience() const {
    if (!line_.empty()) return {};
    if (due_ > 0) return kPatience;
    return input_ended_ ? plug::Timeout(kFarewell) : plug::Timeout();
  }

  /// Takes the next line up for sending, when the last one has been answered. At the end of the
  /// input says so to the server.
  void next_line() {
    while (line_.empty() && due_ == 0 && !typed_.empty()) {
      const std::size_t newline = typed_.find('\n');
      if (newline == std::string::npos && !input_ended_ && typed_.size() < kLongest) return;
      line_ = typed_.substr(0, std::min(newline, kLongest));
      typed_.erase(0, line_.size() + (line_.size() == newline ? 1 : 0));
      due_ = line_.size();
    }
    if (input_ended_ && line_.empty() && typed_.empty() && !told_end_) {
      told_end_ = true;
      // The server still answers what it has got.
      sock_.shutdown(plug::SHUT::WR);
    }
  }

  void receive() {
    std::error_code error;
    const plug::Bytes data = sock_.recv(4096, plug::MSG{}, error);
    if (error == std::errc::operation_would_block) return;
    plug::throw_if(error);
    ended_ = data.empty();
    if (!ended_) lesson::print_line(data);
    due_ -= std::min(due_, data.size());
  }

  void read_input() {
    char data[4096];
    const ssize_t count = ::read(kInput, data, sizeof data);
    if (count < 0) plug::throw_if({errno, std::system_category()}, "standard input");
    typed_.append(data, static_cast<std::size_t>(count));
    input_ended_ = count == 0;
  }

  void send() {
    std::error_code error;
    const std::size_t sent = sock_.send(line_, plug::MSG{}, error);
    if (error != std::errc::operation_would_block) plug::throw_if(error);
    line_.erase(0, sent);
  }

  plug::Socket& sock_;
  std::string typed_;    // what has been read of the input
  std::string line_;     // what is being sent
  std::size_t due_ = 1;  // bytes of the greeting, or of an answer, that have not come yet
  bool input_ended_ = false;
  bool told_end_ = false;
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
