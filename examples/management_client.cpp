// Lists and changes the directory of a management_server, and sends files to it.
//
// The lesson: client and server always agree on whose turn it is. The client sends a file only
// after the server has said that it is ready, sends exactly as many bytes as it announced, reads
// each answer to its end, and lets the server confirm the checksum. With a server that lacks these
// extensions it uses the basic protocol: see management/protocol.hpp.

#include <algorithm>
#include <filesystem>
#include <iostream>

#include <fcntl.h>
#include <sys/stat.h>
#include <CLI/CLI.hpp>

#include "management/protocol.hpp"
#include "support/answer.hpp"
#include "support/descriptor.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"
#include "support/sha256.hpp"

namespace {

using management::Json;

constexpr std::size_t kPiece = 256 << 10;           ///< bytes per send
constexpr std::uint64_t kLongestAnswer = 64 << 20;  ///< bytes

/// The failure of one command. The conversation goes on.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file to send.
struct LocalFile {
  lesson::Descriptor descriptor;
  std::string name;  ///< the last component of the path
  std::uint64_t size;
};

LocalFile open_local(const std::string& path) {
  try {
    // Without O_NONBLOCK, open() would block on a named pipe.
    lesson::Descriptor file(
        lesson::check(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path));
    struct stat status {};
    lesson::check(fstat(file.get(), &status), path);
    if (!S_ISREG(status.st_mode)) throw Failure(path + ": not a plain file");
    return {std::move(file), std::filesystem::path(path).filename().string(),
            static_cast<std::uint64_t>(status.st_size)};
  } catch (const plug::OSError& error) {
    throw Failure(error.what());
  }
}

class Client {
 public:
  Client(plug::Socket& sock, const lesson::Codec& codec, plug::Timeout pause)
      : sock_(sock),
        framer_(sock, plug::LengthPrefix{}, management::kLongestCommand),
        codec_(codec),
        pause_(pause) {}

  /// Reads and prints the greeting. Its second line names the extensions of the server.
  void greet() {
    const std::string greeting = plain_answer(EndsIn::two_lines);
    const auto [first_line, newline, second_line] = plug::partition(greeting, "\n");
    const std::vector<plug::Bytes> words = plug::split(second_line);
    if (!words.empty() && words.front() == management::kFeatures) {
      ack_ = std::ranges::find(words, management::kAck) != words.end();
      whole_ = std::ranges::find(words, management::kWhole) != words.end();
    }
    print(first_line);
  }

  /// Runs one command and prints its result. Returns false if it failed.
  bool run(const std::string& command) {
    try {
      if (command.empty()) {
        throw Failure("an empty message reaches nobody");
      } else if (command.starts_with("put ")) {
        put(command.substr(4));
      } else if (whole_ && command == "dir") {
        print(whole_answer({{"action", "dir"}}));
      } else if (whole_ && command.starts_with("cd ")) {
        print(whole_answer({{"action", "cd"}, {"path", command.substr(3)}}));
      } else {
        send_plain(command);
      }
      return true;
    } catch (const Failure& failure) {
      lesson::complain(failure.what());
    } catch (const management::Refusal& refusal) {
      lesson::complain(refusal.what());
    }
    return false;
  }

  /// Ends the conversation. A server without acknowledgements may still be reading, and may have
  /// sent data that the client has not read. Closing the socket would then reset the connection, so
  /// the client first stops sending and reads until the server closes or is silent for two seconds.
  void finish() {
    if (!unacknowledged_) return;
    std::error_code error;
    sock_.shutdown(plug::SHUT::WR, error);
    sock_.settimeout(std::chrono::seconds(2));
    while (!error && !framer_.read(kPiece, error).empty()) {
    }
  }

 private:
  static void print(std::string_view text) {
    std::istringstream lines{std::string(text)};
    lines.exceptions(std::ios::badbit);
    for (std::string line; std::getline(lines, line);) lesson::print_line(line);
  }

  std::string encode(const std::string& text) const {
    try {
      return codec_.encode(text);
    } catch (const plug::UnicodeEncodeError& error) {
      throw Failure(error.what());
    }
  }

  std::string decode(const std::string& bytes) const {
    return management::decode(codec_, bytes).text;
  }

  enum class EndsIn { a_pause, two_lines };

  /// Receives an answer that has no length in front.
  std::string plain_answer(EndsIn end = EndsIn::a_pause) {
    std::string bytes;
    const bool open =
        lesson::receive_until_pause(sock_, framer_, pause_, [&](plug::BytesView piece) {
          if (bytes.size() + piece.size() > kLongestAnswer) {
            throw plug::ValueError("an answer of more than 64 MiB");
          }
          bytes += std::string_view(piece);
          return end == EndsIn::a_pause || !bytes.ends_with('\n') ||
                 std::ranges::count(bytes, '\n') < 2;
        });
    if (!open && bytes.empty()) throw plug::EOFError("the server has ended the conversation");
    return decode(bytes);
  }

  /// Returns the object that the server answers with. Throws Failure if the server refuses.
  Json object_answer() {
    const std::optional<char> first = management::peek(sock_, framer_);
    if (!first) throw plug::EOFError("the server has ended the conversation");
    if (*first != '{') throw Failure("an unexpected answer: " + plain_answer());
    try {
      Json answer = management::read_object(sock_, framer_, codec_);
      check_status(answer);
      return answer;
    } catch (const management::Refusal& refusal) {
      // This ends the conversation: the client cannot tell where the next answer begins.
      throw plug::ValueError(std::string("an answer that cannot be read: ") + refusal.what());
    }
  }

  static void check_status(const Json& answer) {
    const auto status = answer.find("status");
    if (status == answer.end() || !status->is_number_integer()) {
      throw Failure("an answer without a status: " + management::to_wire(answer));
    }
    if (status->get<int>() < 300) return;
    const auto error = answer.find("error");
    const bool told = error != answer.end() && error->is_string();
    throw Failure("refused (" + status->dump() +
                  "): " + (told ? error->get<std::string>() : management::to_wire(answer)));
  }

  /// Throws Failure if an answer without a length is an object whose status refuses the command. A
  /// leading brace is not enough: a listing may begin with a file whose name has one.
  static void refuse_status(const std::string& answer) {
    const Json object = Json::parse(answer, nullptr, false);
    if (!object.is_object()) return;
    const auto status = object.find("status");
    if (status != object.end() && status->is_number_integer()) check_status(object);
  }

  template <class T>
  static T number(const Json& answer, const char* name) {
    const auto value = answer.find(name);
    if (value == answer.end() || !value->is_number_unsigned()) {
      throw Failure("an answer without '" + std::string(name) +
                    "': " + management::to_wire(answer));
    }
    return value->get<T>();
  }

  std::string whole_answer(const Json& request) {
    sock_.sendall(management::to_wire(request));
    const auto size = number<std::uint64_t>(object_answer(), "size");
    if (size > kLongestAnswer) throw plug::ValueError("an answer of more than 64 MiB");
    std::string bytes;
    framer_.copy(size, [&](plug::BytesView piece) { bytes += std::string_view(piece); });
    return decode(bytes);
  }

  void send_plain(const std::string& command) {
    sock_.sendall(encode(command));
    if (whole_ && management::peek(sock_, framer_) == '{') {
      print(management::to_wire(object_answer()));
    } else {
      const std::string answer = plain_answer();
      refuse_status(answer);
      print(answer);
    }
  }

  void put(const std::string& path) {
    const LocalFile file = open_local(path);
    Json request{{"action", "put"}, {"filename", file.name}, {"file_size", file.size}};
    if (ack_) request["ack"] = true;
    try {
      sock_.sendall(management::to_wire(request));
    } catch (const Json::exception&) {
      throw Failure(path + ": the name is not UTF-8");
    }
    if (number<int>(object_answer(), "status") != management::kReady) {
      throw Failure(path + ": the server does not take it");
    }
    const std::string sha256 = send_bytes(file, path);
    const std::string about = file.name + ": " + std::to_string(file.size) + " bytes";
    if (ack_) {
      check_ack(object_answer(), file, sha256);
      lesson::print_line(about + ", sha256 " + sha256 + ", received");
    } else {
      lesson::print_line(about + ", sent; this server does not tell what it has got");
      wait_unacknowledged();
    }
  }

  /// Sends exactly the announced number of bytes. Returns their SHA-256.
  std::string send_bytes(const LocalFile& file, const std::string& path) {
    lesson::Progress progress(file.name, file.size);
    lesson::Sha256 hash;
    std::vector<char> buffer(kPiece);
    for (std::uint64_t left = file.size; left > 0;) {
      const auto count = ::read(file.descriptor.get(), buffer.data(),
                                static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece)));
      // This ends the conversation: the server waits for bytes that the client does not have.
      lesson::check(count < 0 ? -1 : 0, path);
      if (count == 0) throw plug::EOFError(path + " has become shorter while it was being sent");
      const plug::BytesView piece(buffer.data(), static_cast<std::size_t>(count));
      sock_.sendall(piece);
      hash.update(piece);
      progress.add(piece.size());
      left -= piece.size();
    }
    return hash.hex();
  }

  static void check_ack(const Json& ack, const LocalFile& file, const std::string& sha256) {
    const auto got = ack.find("sha256");
    if (number<std::uint64_t>(ack, "received") != file.size || got == ack.end() || *got != sha256) {
      throw Failure(file.name + ": the server has got something else: " + management::to_wire(ack));
    }
  }

  /// Waits until nothing has arrived for a pause, and prints anything that arrives. Without
  /// acknowledgement the client cannot tell when the server has read the whole file, and a server
  /// that reads in large pieces could take the next command for the end of the file.
  void wait_unacknowledged() {
    unacknowledged_ = true;
    const plug::Timeout patience = sock_.gettimeout();
    sock_.settimeout(pause_);
    try {
      print(plain_answer());
    } catch (const plug::TimeoutError&) {
      // The server said nothing, as expected.
    } catch (const plug::EOFError&) {
      // The server takes one file and closes. The next command, if any, fails.
    }
    sock_.settimeout(patience);
  }

  plug::Socket& sock_;
  plug::Framer framer_;
  const lesson::Codec& codec_;
  plug::Timeout pause_;
  bool ack_ = false;
  bool whole_ = false;
  bool unacknowledged_ = false;
};

}  // namespace

int main(int argc, char** argv) try {
  lesson::Endpoint endpoint;
  std::vector<std::string> commands;
  std::string encoding = "utf-8";
  double timeout = 300;
  double pause = 0.3;
  CLI::App app("Lists a management server's directory, changes it, and puts files there.");
  lesson::add_endpoint(app, endpoint);
  app.add_option("COMMAND", commands,
                 "'dir', 'cd X' or 'put FILE', each one argument; without any, lines of "
                 "standard input");
  app.add_option("--encoding", encoding, "what the server speaks")
      ->check(CLI::IsMember({"utf-8", "gbk"}))
      ->capture_default_str();
  app.add_option("--timeout", timeout, "seconds that the server may be silent")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--pause", pause, "seconds of silence that end an answer without a length")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  lesson::parse(app, argc, argv);

  bool failed = false;
  const int status = lesson::run([&] {
    const lesson::Codec codec(encoding);
    plug::Socket sock = plug::create_connection(endpoint.address(), timeout);
    lesson::talk(sock.getpeername(), [&] {
      Client client(sock, codec, pause);
      client.greet();
      for (const std::string& command : commands) failed = !client.run(command) || failed;
      if (commands.empty()) {
        lesson::for_each_line(lesson::EmptyLine::asks_again, [&](const std::string& line) {
          failed = !client.run(line) || failed;
          return true;
        });
      }
      client.finish();
    });
  });
  return status != 0 || failed ? 1 : 0;
} catch (const std::exception& error) {
  return lesson::fail(error);
}
