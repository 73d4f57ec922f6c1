#pragma once

// The management protocol, as server and client share it.
//
// A textbook peer sends each command as one chunk and reads the answer:
//
//   (connects)                                         欢迎进入管理界面.
//   dir                                                a listing
//   cd X                                               X成功
//   {"action": "put", "filename": N, "file_size": S}   {"status": 200}
//   S raw bytes
//
// This server and client add extensions that such a peer does not notice. The second line of the
// greeting names them:
//
//   features: ack whole
//
// ack    A put with "ack": true is answered at its end with
//        {"status": 226, "received": S, "sha256": "..."}.
// whole  {"action": "dir"} and {"action": "cd", "path": X} are answered with
//        {"status": 200, "size": L}, followed by the L bytes that "dir" and "cd X" answer with.
//
// A refused request is answered with {"status": 4xx or 5xx, "error": "the reason"}.

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

inline constexpr int kReady = 200;     ///< the client may send a file, or an answer follows
inline constexpr int kReceived = 226;  ///< the file has arrived

/// The most bytes of a command, and the time in which all of it must arrive once it has begun.
inline constexpr std::size_t kLongestCommand = 64 << 10;
inline constexpr std::chrono::seconds kCommandTime{10};

/// A request that is refused, with the reason. The server answers with it, and the conversation
/// goes on.
class Refusal : public std::runtime_error {
 public:
  Refusal(int status, const std::string& what) : std::runtime_error(what), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

/// Formats text from a peer for an error message: quoted, in one line, shortened if it is long.
std::string in_quotes(std::string_view text);

/// Formats a flat object as Python's json.dumps() does: in ASCII, so it is the same in every
/// encoding.
std::string to_wire(const Json& object);

/// Returns the next byte without removing it; nullopt at the end of the stream.
std::optional<char> peek(plug::Socket& sock, plug::Framer& framer);

/// Returns kCommandTime, or the socket's timeout if that is shorter.
plug::Timeout command_time(const plug::Socket& sock);

/// Reads a JSON object. The object has no length in front and no delimiter behind it: it ends with
/// the brace that closes its first one. Bytes that follow it stay in `framer`.
///
/// Throws Refusal if the object is not JSON (400), longer than kLongestCommand (413), or not
/// complete within command_time() (408). An object that is too long is read to its end.
Json read_object(plug::Socket& sock, plug::Framer& framer, const lesson::Codec& codec);

/// Decodes as Codec::decode() does. Throws Refusal (400) for bytes that are not text.
lesson::Codec::Decoded decode(const lesson::Codec& codec, std::string_view bytes);

}  // namespace management
