// Receives mail over SMTP and stores each message as a file in a directory.
//
//   mail_server 127.0.0.1 2525 inbox
//   curl --url smtp://127.0.0.1:2525 --mail-from me@a.example --mail-rcpt you@b.example
//        --upload-file message.eml
//
// The lesson: a protocol is a handler class, written as if there were one client.
// ThreadingTCPServer runs a handler for each client, each in its own thread. StreamRequestHandler
// reads lines from rfile and writes to wfile, so the handler does not notice whether commands
// arrive in one piece (pipelining) or in many. Everything that a client controls has a limit.
// Source: RFC 5321, with the extensions of RFC 1870, 2920 and 6152.

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <CLI/CLI.hpp>

#include "support/incoming_file.hpp"
#include "support/loopback.hpp"
#include "support/serve.hpp"

namespace {

using plug::upper;

constexpr std::size_t kLongestCommand = 1024;  // bytes, including the end of the line
constexpr std::size_t kLongestText = 1000;     // the same, for a line of a message
constexpr std::size_t kLongestPath = 256;
constexpr std::size_t kMostRecipients = 100;
constexpr int kMostFaults = 20;  // refused commands of one client

struct MailOptions {
  lesson::Descriptor directory;
  std::uint64_t max_size = 10 << 20;
  double timeout = 300;
  std::string host = plug::gethostname();
};

/// A negative reply to the client: "503 ...".
class Refusal : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

/// Removes the next word from the front of `text` and returns it.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

/// Removes "<a@b.example>" from the front of `text` and returns the part in the brackets.
std::string take_path(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  bool quoted = false;
  std::size_t end = 1;
  while (end < text.size() && (quoted || (text[end] != '>' && text[end] != ' '))) {
    if (text[end] == '"') quoted = !quoted;
    end += quoted && text[end] == '\\' ? 2U : 1U;
  }
  if (!text.starts_with('<') || end >= text.size() || text[end] != '>')
    throw Refusal("501 a path is <user@host>, in these brackets");
  std::string_view path = text.substr(1, end - 1);
  text.remove_prefix(end + 1);
  if (path.starts_with('@')) {  // an obsolete source route, which is ignored
    path.remove_prefix(std::min(path.find(':'), path.size() - 1) + 1);
    if (path.empty()) throw Refusal("501 a path is <user@host>");
  }
  if (path.size() > kLongestPath) throw Refusal("501 a path has at most 256 bytes");
  if (!is_printable(path)) throw Refusal("501 a path has printable ASCII characters only");
  return std::string(path);
}

bool is_mailbox(std::string_view path) {
  const std::size_t at = path.rfind('@');
  return at != path.npos && at > 0 && at + 1 < path.size();
}

std::string new_name() {
  std::random_device random;
  char name[60];
  std::snprintf(name, sizeof name, "%lld-%08x%08x.eml", static_cast<long long>(std::time(nullptr)),
                random(), random());
  return name;
}

std::string date() {
  char text[40];
  const std::time_t time = std::time(nullptr);
  std::tm parts;
  const char* const form = "%a, %d %b %Y %H:%M:%S +0000";
  return std::string(text, std::strftime(text, sizeof text, form, gmtime_r(&time, &parts)));
}

/// The sender and the recipients of a message, as MAIL and RCPT name them.
struct Envelope {
  std::string from;
  std::vector<std::string> to;
};

class MailRequestHandler : public plug::StreamRequestHandler {
 public:
  explicit MailRequestHandler(const MailOptions& options) : options_(options) {
    settimeout(options.timeout);
  }

  void handle() override {
    reply("220 " + options_.host + " ESMTP");
    try {
      for (int faults = 0; faults < kMostFaults;) {
        try {
          const std::optional<std::string> line = read_command();
          if (!line || !obey(*line)) return;
        } catch (const Refusal& refusal) {
          lesson::print_line(client_address, std::string("refused: ") + refusal.what());
          reply(refusal.what());
          ++faults;
        }
      }
      reply("421 too many errors");
    } catch (const plug::TimeoutError&) {
      reply("421 nothing has come for too long");
      throw;
    }
  }

 private:
  void reply(const std::string& text) { wfile.write(text + "\r\n"); }

  /// Returns the next line without its end; nullopt if the stream ends before the line does.
  std::optional<std::string> read_command() {
    std::string line = rfile.readline(kLongestCommand);
    if (line.size() == kLongestCommand && !line.ends_with('\n')) {
      while (!line.empty() && !line.ends_with('\n')) line = rfile.readline(kLongestCommand);
      throw Refusal("500 a command has at most 1024 bytes");
    }
    if (!line.ends_with('\n')) return std::nullopt;
    line.pop_back();
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }

  /// Executes a command. Returns false if the command ends the conversation.
  bool obey(std::string_view line) {
    const std::string verb = upper(take_word(line));
    if (verb == "HELO" || verb == "EHLO") {
      greet(verb, line);
    } else if (verb == "MAIL") {
      begin(line);
    } else if (verb == "RCPT") {
      add_recipient(line);
    } else if (verb == "DATA") {
      refuse_arguments(line);
      take_message();
    } else if (verb == "RSET") {
      refuse_arguments(line);
      envelope_.reset();
      reply("250 forgotten");
    } else if (verb == "NOOP") {
      reply("250 nothing done");
    } else if (verb == "VRFY") {
      reply("252 not told; send to it and see");
    } else if (verb == "QUIT") {
      refuse_arguments(line);
      reply("221 goodbye");
      return false;
    } else {
      throw Refusal("500 unknown command");
    }
    return true;
  }

  static void refuse_arguments(std::string_view rest) {
    if (!take_word(rest).empty()) throw Refusal("501 the command takes no arguments");
  }

  void greet(const std::string& verb, std::string_view rest) {
    const std::string_view name = take_word(rest);
    if (name.empty() || !is_printable(name)) throw Refusal("501 say which host you are");
    refuse_arguments(rest);
    protocol_ = verb == "EHLO" ? "ESMTP" : "SMTP";
    client_ = name;
    envelope_.reset();
    const std::string hello = options_.host + " greets " + client_;
    reply(verb == "HELO" ? "250 " + hello
                         : "250-" + hello + "\r\n250-SIZE " + std::to_string(options_.max_size) +
                               "\r\n250-8BITMIME\r\n250 PIPELINING");
  }

  /// Removes "FROM:" or "TO:", in upper or lower case, from the front of `rest`.
  static void take_prefix(std::string_view& rest, std::string_view prefix) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (upper(rest.substr(0, prefix.size())) != prefix)
      throw Refusal("501 " + std::string(prefix) + "<user@host> has to follow");
    rest.remove_prefix(prefix.size());
  }

  void begin(std::string_view rest) {
    if (client_.empty()) throw Refusal("503 EHLO or HELO has to come first");
    if (envelope_) throw Refusal("503 there is a message already: DATA or RSET");
    take_prefix(rest, "FROM:");
    Envelope envelope{take_path(rest), {}};
    // Mail that reports an error has the empty sender <>, so that nobody answers it.
    if (!envelope.from.empty() && !is_mailbox(envelope.from))
      throw Refusal("501 <" + envelope.from + "> is no mailbox");
    for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest))
      check_parameter(word);
    envelope_ = std::move(envelope);
    reply("250 sender accepted");
  }

  void check_parameter(std::string_view word) const {
    const std::string parameter = upper(word);
    if (parameter == "BODY=7BIT" || parameter == "BODY=8BITMIME") return;
    if (!parameter.starts_with("SIZE=")) throw Refusal("555 unknown parameter");
    std::uint64_t size = 0;
    const char* const end = word.data() + word.size();
    const auto [last, error] = std::from_chars(word.data() + 5, end, size);
    if (last != end || error == std::errc::invalid_argument)
      throw Refusal("501 SIZE is a number of bytes");
    if (error != std::errc() || size > options_.max_size) throw Refusal(too_large());
  }

  std::string too_large() const {
    return "552 a message has at most " + std::to_string(options_.max_size) + " bytes";
  }

  void add_recipient(std::string_view rest) {
    if (!envelope_) throw Refusal("503 MAIL has to come first");
    take_prefix(rest, "TO:");
    const std::string to = take_path(rest);
    if (!is_mailbox(to) && upper(to) != "POSTMASTER")
      throw Refusal("501 <" + to + "> is no mailbox");
    if (!take_word(rest).empty()) throw Refusal("555 unknown parameter");
    if (envelope_->to.size() >= kMostRecipients) throw Refusal("452 too many recipients");
    envelope_->to.push_back(to);
    reply("250 recipient accepted");
  }

  void take_message() {
    if (!envelope_ || envelope_->to.empty()) throw Refusal("503 RCPT has to come first");
    const Envelope envelope = *std::exchange(envelope_, std::nullopt);
    const std::string name = new_name();
    std::optional<lesson::IncomingFile> file;
    std::optional<Refusal> failure;
    const auto attempt = [&](const auto& step) {
      if (failure) return;
      try {
        step();
      } catch (const plug::OSError& error) {
        lesson::print_line(client_address, error.what());
        failure.emplace(error.number() == ENOSPC ? "452 there is no room for it"
                                                 : "451 it cannot be written");
        file.reset();
      }
    };
    attempt([&] {
      file.emplace(options_.directory.get(), name);
      file->write(trace(envelope));
    });
    if (failure) throw Refusal(*failure);

    reply("354 go on, and end with a line that is a dot");
    std::uint64_t size = 0;
    for_each_text([&](std::string_view text, bool whole) {
      size += text.size();
      if (!failure && !whole) failure.emplace("500 a line has at most 1000 bytes");
      if (!failure && size > options_.max_size) failure.emplace(too_large());
      if (failure) file.reset();
      attempt([&] { file->write(text); });
    });
    attempt([&] { file->keep(); });
    if (failure) throw Refusal(*failure);
    lesson::print_line(client_address, "message from <" + envelope.from + "> to " +
                                           std::to_string(envelope.to.size()) + " recipients, " +
                                           std::to_string(size) + " bytes: " + name);
    reply("250 kept as " + name);
  }

  /// Calls `take` for each line of the message, up to the line that ends it. Passes a line that is
  /// too long in parts. Only CR LF ends a line in SMTP: a dot after a bare LF is text.
  template <class Take>
  void for_each_text(const Take& take) {
    bool begins = true;
    bool after_cr = false;
    for (;;) {
      const std::string piece = rfile.readline(kLongestText);
      if (piece.empty()) throw plug::EOFError("the stream ended inside a message");
      std::string_view text = piece;
      if (begins && text == ".\r\n") return;
      if (begins && text.starts_with('.')) text.remove_prefix(1);
      begins = piece.ends_with("\r\n") || (after_cr && piece == "\n");
      after_cr = piece.ends_with('\r');
      take(text, piece.ends_with('\n'));
    }
  }

  /// Returns the lines that a server puts before a message: sender, recipients, and how it arrived.
  std::string trace(const Envelope& envelope) const {
    std::string text = "Return-Path: <" + envelope.from + ">\r\n";
    for (const std::string& to : envelope.to) text += "Delivered-To: " + to + "\r\n";
    return text + "Received: from " + client_ + " ([" + client_address.host() + "])\r\n by " +
           options_.host + " with " + protocol_ + ";\r\n " + date() + "\r\n";
  }

  const MailOptions& options_;
  std::string protocol_;
  std::string client_;  // the name that the client gave
  std::optional<Envelope> envelope_;
};

}  // namespace

int main(int argc, char** argv) try {
  lesson::Endpoint endpoint;
  bool i_know = false;
  std::string directory;
  MailOptions options;
  CLI::App app("Receives mail over SMTP into a directory.");
  lesson::add_endpoint(app, endpoint);
  app.add_option("DIRECTORY", directory, "where each message becomes a file")->required();
  app.add_option("--max-size", options.max_size, "bytes that a message may have")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--timeout", options.timeout, "seconds after which a silent client is left")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  lesson::add_i_know(app, i_know);
  lesson::add_once(app, endpoint);
  lesson::parse(app, argc, argv);
  // write() beyond this process's RLIMIT_FSIZE shall fail, so that the message is refused. By
  // default SIGXFSZ would end the server.
  std::signal(SIGXFSZ, SIG_IGN);

  options.directory = lesson::Descriptor(
      lesson::check(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), directory));
  const plug::AddrInfo address =
      lesson::look_up_loopback(endpoint, i_know, "clients fill the disk without a password");
  plug::Server<lesson::Attending<plug::ThreadingTCPServer>> server(
      address, [&](auto&... request) { MailRequestHandler(options).run(request...); },
      endpoint.once);
  server.max_connections = 200;
  server.connection_lifetime = std::chrono::hours(1);
  lesson::serve_until_signal(server, endpoint);
  return 0;
} catch (const std::exception& error) {
  return lesson::fail(error);
}
