#include "management/session.hpp"

#include <optional>
#include <utility>

#include "management/directory.hpp"
#include "management/protocol.hpp"
#include "support/incoming_file.hpp"
#include "support/progress.hpp"
#include "support/sha256.hpp"

namespace management {
namespace {

/// A put request whose members have been checked.
struct Put {
  std::string filename;
  std::uint64_t size;
  bool ack;
};

const Json& member(const Json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end()) throw Refusal(400, "'" + std::string(name) + "' is missing");
  return *found;
}

std::string string_member(const Json& request, const char* name) {
  const Json& value = member(request, name);
  if (!value.is_string()) {
    throw Refusal(400, std::string(name) + " " + in_quotes(value.dump()) + " is not a string");
  }
  return value;
}

std::uint64_t size_member(const Json& request, const char* name, std::uint64_t most) {
  const Json& value = member(request, name);
  const auto refuse = [&](int status, const std::string& why) -> Refusal {
    return {status, std::string(name) + " " + in_quotes(value.dump()) + " " + why};
  };
  // The parser has turned an integer that does not fit into 64 bits into a floating-point number.
  if (value.is_number_float() && value.get<double>() > 1.8e19) {
    throw refuse(413, "is more than the " + std::to_string(most) + " bytes that are allowed");
  }
  if (!value.is_number_integer()) throw refuse(400, "is not an integer");
  if (!value.is_number_unsigned() && value.get<std::int64_t>() < 0) {
    throw refuse(400, "is negative");
  }
  const auto size = value.get<std::uint64_t>();
  if (size > most) {
    throw refuse(413, "is more than the " + std::to_string(most) + " bytes that are allowed");
  }
  return size;
}

int status_for(const plug::OSError& error) {
  if (error.code() == std::errc::no_space_on_device || error.code() == std::errc::file_too_large ||
      error.number() == EDQUOT) {
    return 507;
  }
  if (dynamic_cast<const plug::PermissionError*>(&error) != nullptr ||
      error.code() == std::errc::read_only_file_system) {
    return 403;
  }
  return 500;
}

class Session {
 public:
  Session(plug::Socket& conn, const SessionOptions& options,
          const std::function<void(const std::string&)>& log)
      : conn_(conn),
        framer_(conn, plug::LengthPrefix{}, kLongestCommand),
        options_(options),
        log_(log),
        directory_(options.root) {
    conn_.settimeout(options.timeout);
  }

  void run() {
    send(std::string(kGreeting) + "\n" + std::string(kFeatures) + " " + std::string(kAck) + " " +
         std::string(kWhole) + "\n");
    while (const std::optional<char> first = peek(conn_, framer_)) {
      try {
        if (*first == '{') {
          object_command();
        } else {
          text_command();
        }
      } catch (const Refusal& refusal) {
        // A command begins a chunk. Drop the bytes that arrived together with the refused command.
        if (!framer_.buffered().empty()) (void)framer_.read(framer_.buffered().size());
        report(refusal);
      }
    }
  }

 private:
  void send(std::string_view text) { conn_.sendall(options_.codec.encode_lossy(text)); }

  void report(const Refusal& refusal) {
    log_(std::string("refused: ") + refusal.what());
    send(to_wire({{"status", refusal.status()}, {"error", refusal.what()}}));
  }

  /// Throws the failure of the previous put if that had no "ack", and so no answer at its end. The
  /// current command is then answered with this failure and not executed, so requests and answers
  /// stay in step.
  void tell_owed() {
    if (!owed_) return;
    const Refusal owed = *std::exchange(owed_, std::nullopt);
    throw Refusal(owed.status(), std::string(owed.what()) + " (this command was not done)");
  }

  std::string read_text() {
    std::string bytes = framer_.read(kLongestCommand);
    lesson::Codec::Decoded decoded = decode(options_.codec, bytes);
    // If the chunk was cut inside a character, read the rest of it.
    conn_.settimeout(command_time(conn_));
    std::error_code error;
    while (decoded.incomplete && !error) {
      const plug::Bytes more = framer_.read(kLongestCommand, error);
      bytes += more;
      if (more.empty() || bytes.size() > kLongestCommand) break;
      decoded = decode(options_.codec, bytes);
    }
    conn_.settimeout(options_.timeout);
    if (error && error != plug::timed_out()) plug::throw_if(error);
    if (decoded.incomplete) throw Refusal(400, in_quotes(bytes) + " ends inside a character");
    return plug::rstrip(decoded.text, "\r\n");
  }

  void text_command() {
    const std::string command = read_text();
    tell_owed();
    if (command == "dir") {
      send(list());
    } else if (command.starts_with("cd ")) {
      send(change(command.substr(3)));
    } else {
      throw Refusal(400, "unknown command " + in_quotes(command) +
                             ": there are dir, cd X, and a JSON object with an action");
    }
  }

  void object_command() {
    const Json request = read_object(conn_, framer_, options_.codec);
    tell_owed();
    const std::string action = string_member(request, "action");
    if (action == "put") {
      put(read_put(request));
    } else if (action == "dir") {
      send_whole(list());
    } else if (action == "cd") {
      send_whole(change(string_member(request, "path")));
    } else {
      throw Refusal(400, "unknown action " + in_quotes(action) + ": there are put, dir and cd");
    }
  }

  std::string list() {
    log_("dir " + directory_.path());
    try {
      return directory_.listing();
    } catch (const plug::OSError& error) {
      throw Refusal(status_for(error), error.what());
    }
  }

  std::string change(const std::string& name) {
    directory_.change(name);
    log_("cd " + directory_.path());
    return name + std::string(kChanged);
  }

  void send_whole(std::string_view text) {
    const std::string bytes = options_.codec.encode_lossy(text);
    conn_.sendall(to_wire({{"status", kReady}, {"size", bytes.size()}}) + bytes);
  }

  Put read_put(const Json& request) {
    Put put{string_member(request, "filename"),
            size_member(request, "file_size", options_.max_size), false};
    if (const auto ack = request.find("ack"); ack != request.end()) {
      if (!ack->is_boolean()) {
        throw Refusal(400, "ack " + in_quotes(ack->dump()) + " is neither true nor false");
      }
      put.ack = *ack;
    }
    try {
      static_cast<void>(options_.codec.encode(put.filename));
    } catch (const plug::UnicodeEncodeError& error) {
      throw Refusal(400, "filename " + in_quotes(put.filename) + ": " + error.what());
    }
    check_filename(directory_, put.filename);
    return put;
  }

  /// Receives a file. Once the client has been told to send, reads all of its bytes, even if they
  /// cannot be written.
  void put(const Put& put) {
    const std::string about =
        "put " + in_quotes(put.filename) + ", " + std::to_string(put.size) + " bytes";
    std::optional<lesson::IncomingFile> file;
    std::optional<Refusal> failure;
    const auto attempt = [&](const auto& step) {
      if (failure) return;
      try {
        step();
      } catch (const plug::OSError& error) {
        failure.emplace(status_for(error), error.what());
        file.reset();
      }
    };

    attempt([&] { file.emplace(directory_.descriptor(), put.filename); });
    if (failure) throw Refusal(*failure);
    conn_.sendall(to_wire({{"status", kReady}}));

    lesson::Sha256 hash;
    {
      lesson::Progress progress(put.filename, put.size);
      std::error_code error;
      const auto take = [&](plug::BytesView piece) {
        attempt([&] { file->write(piece); });
        if (put.ack) hash.update(piece);
        progress.add(piece.size());
      };
      const std::uint64_t came = framer_.copy(put.size, take, error);
      if (error) log_(about + ", broken after " + std::to_string(came));
      plug::throw_if(error);
    }
    attempt([&] { file->keep(); });

    if (failure && put.ack) {
      report(*failure);
    } else if (failure) {
      log_(about + ", failed: " + failure->what());
      owed_ = failure;
    } else {
      log_(about);
      if (put.ack) {
        conn_.sendall(
            to_wire({{"status", kReceived}, {"received", put.size}, {"sha256", hash.hex()}}));
      }
    }
  }

  plug::Socket& conn_;
  plug::Framer framer_;
  const SessionOptions& options_;
  const std::function<void(const std::string&)>& log_;
  Directory directory_;
  std::optional<Refusal> owed_;
};

}  // namespace

void serve_session(plug::Socket& conn, const SessionOptions& options,
                   const std::function<void(const std::string&)>& log) {
  Session(conn, options, log).run();
}

}  // namespace management
