#include "management/protocol.hpp"

#include "support/text.hpp"

namespace management {
namespace {

/// Finds the brace that closes a JSON object. The bytes of the object may arrive in pieces.
class ObjectEnd {
 public:
  explicit ObjectEnd(bool double_bytes) : double_bytes_(double_bytes) {}

  /// Reads the next bytes. Returns true if the object ends in them.
  bool feed(std::string_view bytes) {
    for (const char byte : bytes) {
      if (step(byte)) return true;
    }
    return false;
  }

 private:
  bool step(char byte) {
    if (std::exchange(skip_, false)) return false;
    if (static_cast<unsigned char>(byte) > 0x80) {
      // The second byte of a GBK character may look like a brace or a backslash. UTF-8 has no such
      // bytes.
      skip_ = double_bytes_;
    } else if (byte == '"') {
      in_string_ = !in_string_;
    } else if (in_string_) {
      skip_ = byte == '\\';
    } else if (byte == '{') {
      ++depth_;
    } else if (byte == '}') {
      return --depth_ == 0;
    }
    return false;
  }

  bool double_bytes_;
  bool skip_ = false;
  bool in_string_ = false;
  int depth_ = 0;
};

/// The bytes of an object. They are incomplete if there were more than kLongestCommand.
struct ObjectBytes {
  std::string bytes;
  bool too_long = false;
};

ObjectBytes read_object_bytes(plug::Framer& framer, plug::Timeout time, bool double_bytes) {
  const auto end = std::chrono::steady_clock::now() + time.duration();
  const plug::Delimiter brace("}");
  ObjectEnd object_end(double_bytes);
  ObjectBytes object;
  std::string piece;
  do {
    if (std::chrono::steady_clock::now() >= end) plug::throw_if(plug::timed_out());
    try {
      std::optional<plug::Bytes> message = framer.recv(brace);
      if (!message) throw plug::EOFError("the connection ended inside a JSON object");
      piece = *std::move(message) + '}';
    } catch (const plug::LimitOverrunError&) {
      piece = framer.read(kLongestCommand);
    }
    object.too_long = object.too_long || object.bytes.size() + piece.size() > kLongestCommand;
    if (!object.too_long) object.bytes += piece;
  } while (!object_end.feed(piece));
  return object;
}

std::string shortened(std::string_view text) {
  constexpr std::size_t longest = 200;
  return lesson::one_line(text.substr(0, longest)) + (text.size() > longest ? "..." : "");
}

/// Parses `text`. Limits the depth of nesting, because writing a value recurses.
Json parse(const std::string& text) {
  constexpr int deepest = 100;
  try {
    return Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
      if (depth > deepest) throw plug::ValueError("it is nested deeper than 100 levels");
      return true;
    });
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Refusal(400, in_quotes(text) + " is not JSON: " + shortened(error.what()));
  }
}

}  // namespace

std::string in_quotes(std::string_view text) {
  std::string result = "'";
  return result.append(shortened(text)).append("'");
}

std::string to_wire(const Json& object) {
  std::string text = "{";
  for (const auto& [key, value] : object.items()) {
    if (text.size() > 1) text += ", ";
    text += Json(key).dump(-1, ' ', true) + ": " + value.dump(-1, ' ', true);
  }
  return text + "}";
}

std::optional<char> peek(plug::Socket& sock, plug::Framer& framer) {
  if (!framer.buffered().empty()) return *framer.buffered().data();
  char first = 0;
  if (sock.recv_into({&first, 1}, plug::MSG::PEEK) == 0) return std::nullopt;
  return first;
}

plug::Timeout command_time(const plug::Socket& sock) {
  const plug::Timeout patience = sock.gettimeout();
  const bool longer = patience.is_none() || patience.duration() > kCommandTime;
  return longer ? plug::Timeout(kCommandTime) : patience;
}

Json read_object(plug::Socket& sock, plug::Framer& framer, const lesson::Codec& codec) {
  const plug::Timeout patience = sock.gettimeout();
  const plug::Timeout time = command_time(sock);
  sock.settimeout(time);
  ObjectBytes object;
  try {
    object = read_object_bytes(framer, time, codec.encoding() == "gbk");
  } catch (const plug::TimeoutError&) {
    sock.settimeout(patience);
    throw Refusal(408, "a JSON object was not whole after " + to_string(time) +
                           " seconds: " + in_quotes(framer.buffered()));
  }
  sock.settimeout(patience);
  if (object.too_long) {
    throw Refusal(413, "a JSON object of more than " + std::to_string(kLongestCommand) + " bytes");
  }
  return parse(decode(codec, object.bytes).text);
}

lesson::Codec::Decoded decode(const lesson::Codec& codec, std::string_view bytes) {
  try {
    return codec.decode(bytes);
  } catch (const plug::UnicodeDecodeError& error) {
    throw Refusal(400, error.what());
  }
}

}  // namespace management
