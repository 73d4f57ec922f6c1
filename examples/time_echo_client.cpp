// Sends each line to a time_echo_server and prints the answer.
//
// The lesson: data that is sent at once may arrive in pieces. This client knows two forms that the
// answer may have, and receives until the answer matches one of them. If the answer has another
// form, the client can only wait until nothing more arrives.

#include <algorithm>
#include <cstdio>

#include "support/program.hpp"

namespace {

// A server that receives 1024 bytes at a time takes this much at once. A longer line is sent in
// several pieces, and each piece gets an answer.
constexpr std::size_t kPiece = 1024;

constexpr std::size_t kStamp = std::string_view("[Thu Sep 15 22:29:12 2016] ").size();
constexpr double kPause = 0.3;

/// Formats bytes as Python 3 does when it prints them: b'hello'.
std::string in_quotes(std::string_view bytes) {
  const auto has = [&](char c) { return bytes.find(c) != std::string_view::npos; };
  const char quote = has('\'') && !has('"') ? '"' : '\'';
  std::string text = std::string("b") + quote;
  for (const char c : bytes) {
    char escape[8];
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\')
      std::snprintf(escape, sizeof escape, "\\%c", c);
    else if (c == '\t' || c == '\r')
      std::snprintf(escape, sizeof escape, "\\%c", c == '\t' ? 't' : 'r');
    else
      std::snprintf(escape, sizeof escape, byte < 0x20 || byte > 0x7E ? "\\x%02x" : "%c", byte);
    text += escape;
  }
  return text + quote;
}

/// Receives the answer to a piece: a timestamp, and the piece in the form that the server gives it.
std::string receive_answer(plug::Socket& sock, plug::Framer& answers, std::string_view piece) {
  const std::string forms[] = {std::string(piece), in_quotes(piece)};
  std::string answer;
  const auto may_go_on = [&] {
    const std::string_view echo = std::string_view(answer).substr(std::min(kStamp, answer.size()));
    return std::ranges::any_of(forms, [&](const std::string& form) {
      return form.size() > echo.size() && form.starts_with(echo);
    });
  };
  const auto is_whole = [&] {
    return answer.size() >= kStamp && std::ranges::find(forms, answer.substr(kStamp)) != forms + 2;
  };
  // A complete answer may also be the beginning of the other form ("b" of b'b'). Only a pause tells
  // which one it is.
  while (answer.size() < kStamp || (may_go_on() && !is_whole())) {
    const plug::Bytes more = answers.read(kPiece);
    if (more.empty()) throw plug::EOFError("the server has ended the conversation");
    answer += more;
  }
  if (is_whole() && !may_go_on()) return answer;
  sock.settimeout(kPause);
  std::error_code error;
  for (plug::Bytes more = answers.read(kPiece, error); !more.empty() && !error;
       more = answers.read(kPiece, error))
    answer += more;
  if (error != plug::timed_out()) plug::throw_if(error);
  sock.settimeout(plug::Timeout());
  return answer;
}

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint = lesson::client_arguments(argc, argv, "Sends lines, prints the answers.");
  return lesson::run([&] {
    plug::Socket sock = plug::create_connection(endpoint.address());
    lesson::talk(endpoint.address(), [&] {
      plug::Framer answers(sock);
      lesson::for_each_line(lesson::EmptyLine::ends, [&](const std::string& line) {
        for (plug::BytesView rest = line; !rest.empty();) {
          const plug::BytesView piece = rest.first(std::min(rest.size(), kPiece));
          rest = rest.subspan(piece.size());
          sock.sendall(piece);
          lesson::print_line(receive_answer(sock, answers, piece));
        }
        return true;
      });
    });
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
