// Sends each line of its input to a select_server, and prints data from the server as it arrives.
//
// The lesson: select() waits for the keyboard and for the socket at the same time, so neither has
// to wait for the other. The client asks select() for a writable socket only while it has something
// to send, because a socket is writable nearly always. While it has something to send, it reads no
// more input, so that unsent input does not pile up.
//
// A stream keeps no message boundaries: the server would take two lines that are sent close
// together for one message. The client therefore sends a line only after the greeting, or the
// answer to the previous line, has arrived. An answer repeats the line, so the client waits for as
// many bytes as the line has.

#include <algorithm>
#include <string>
#include <vector>

#include <errno.h>
#include <unistd.h>

#include "support/program.hpp"

namespace {

constexpr int kInput = STDIN_FILENO;
constexpr std::size_t kLongest = 1 << 16;  // a longer line is sent in parts

// Seconds of silence. After kPatience the client no longer expects an answer. When the input has
// ended and all answers have arrived, it waits another kFarewell seconds for the server to close
// the connection.
constexpr double kPatience = 5;
constexpr double kFarewell = 0.5;

class Conversation {
 public:
  explicit Conversation(plug::Socket& sock) : sock_(sock) { sock_.setblocking(false); }

  /// Runs until the server ends the conversation, or until the input has ended and the server has
  /// no more to say.
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
  /// Returns how long select() may wait.
  plug::Timeout patience() const {
    if (!line_.empty()) return {};
    if (due_ > 0) return kPatience;
    return input_ended_ ? plug::Timeout(kFarewell) : plug::Timeout();
  }

  /// Chooses the next line to send when the previous one has been answered. At the end of the
  /// input, tells the server that no more follows.
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
      // The server can still send its answers.
      sock_.shutdown(plug::SHUT::WR);
    }
  }

  void receive() {
    std::error_code error;
    const plug::Bytes data = sock_.recv(4096, error);
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
    const std::size_t sent = sock_.send(line_, error);
    if (error != std::errc::operation_would_block) plug::throw_if(error);
    line_.erase(0, sent);
  }

  plug::Socket& sock_;
  std::string typed_;    // input that has been read
  std::string line_;     // the line that is being sent
  std::size_t due_ = 1;  // missing bytes of the greeting or of an answer
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
