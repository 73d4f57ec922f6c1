#pragma once

// The management protocol: what server and client have in common.
//
// A textbook peer sends a command as one chunk and reads what comes:
//
//   (connects)                                         欢迎进入管理界面.
//   dir                                                a listing
//   cd X                                               X成功
//   {"action": "put", "filename": N, "file_size": S}   {"status": 200}
//   S raw bytes
//
// Ours adds what such a peer never notices. The greeting has a second line that names it:
//
//   features: ack whole
//
// ack    "ack": true in a put asks for {"status": 226, "received": S, "sha256": "..."} at its end.
// whole  {"action": "dir"} and {"action": "cd", "path": X} are answered with
//        {"status": 200, "size": L} and then exactly L bytes: what "dir" and "cd X" give.
//
// What is refused is answered with {"status": 4xx or 5xx, "error": "what and why"}.

#include <plug/plug.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/codec.hpp"

namespace management {

using Json = nlohmann::ordered_json;

inline constexpr std::string_view kGreeting = "欢迎进入管理界面.";
inline constexpr std::string_view kFeatures = "features:";
inline constexpr std::string_view kAck = "ack";
inline constexpr std::string_view kWhole = "whole";
inline constexpr std::string_view kChanged = "成功";

inline constexpr int kReady = 200;     ///< a put may send its bytes; an answer follows
inline constexpr int kReceived = 226;  ///< the file is there

/// Bytes of a command at most, and how long all of it may take once it has begun.
inline constexpr std::size_t kLongestCommand = 64 << 10;
inline constexpr std::chrono::seconds kCommandTime{10};

/// Why a request is not done: an answer, and the conversation goes on.
class Refusal : public std::runtime_error {
 public:
  Refusal(int status, const std::string& what) : std::runtime_error(what), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

/// Text from a peer for an error message: quoted, one line, cut when long.
std::string in_quotes(std::string_view text);

/// A flat object as Python's json.dumps() writes it, in ASCII, and so the same in every encoding.
std::string to_wire(const Json& object);

/// The first byte of what comes next, which stays unread; none when the stream has ended.
std::optional<char> peek(plug::Socket& sock, plug::Framer& framer);

/// kCommandTime, or the socket's time-out when that is shorter.
plug::Timeout command_time(const plug::Socket& sock);

/// Reads a JSON object, which has no length before it nor an end after it: it ends with the brace
/// that closes its first one. What follows, in the same chunk or not, is left to the next reader.
///
/// Throws Refusal for what is no JSON object (400), longer than kLongestCommand (413), or not whole
/// within command_time() (408); of a longer object the end is found all the same.
Json read_object(plug::Socket& sock, plug::Framer& framer, const lesson::Codec& codec);

/// decode(), with a Refusal (400) for bytes that are no text.
lesson::Codec::Decoded decode(const lesson::Codec& codec, std::string_view bytes);

}  // namespace management
