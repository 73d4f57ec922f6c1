// Takes COUNT lines or messages of 100 bytes out of data that is already buffered:
//
//   one_line OPERATION COUNT
//
// bench/count_calls counts the instructions.
//
// The operation "memchr" is the reference: a loop over memory that a careful programmer writes by
// hand. The preparation does not depend on COUNT, so the difference between two runs is the cost of
// the operations alone. All data is received before the first operation, except for
// "readline_text", which needs one receive for 64 lines and decodes them together.

#include <plug/plug.hpp>

#include <charconv>
#include <cstring>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr int kMost = 128;
constexpr std::size_t kSize = 100;
constexpr int kLinesOfAReceive = 64;

/// Sums up the results, so that the compiler removes none of them.
std::size_t total = 0;

const std::string& line() {
  static const std::string text = std::string(kSize - 1, 'x') + '\n';
  return text;
}

void by_hand(int count) {
  std::string buffer;
  for (int i = 0; i <= kMost; ++i) buffer += line();
  const char* at = buffer.data();
  const char* const end = at + buffer.size();
  for (int i = 0; i < count; ++i) {
    const auto left = static_cast<std::size_t>(end - at);
    const auto* const newline = static_cast<const char*>(std::memchr(at, '\n', left));
    if (newline == nullptr) throw std::logic_error("no line is left");
    const plug::Bytes bytes(at, newline + 1);
    at = newline + 1;
    total += bytes.size();
  }
}

void from_file(std::string_view operation, int count) {
  std::string lines;
  for (int i = 0; i < 3 * kMost; ++i) lines += line();
  auto [sock, peer] = plug::socketpair();
  peer.sendall(lines);
  const bool text = operation == "readline_text";
  const int buffering = text ? kLinesOfAReceive * static_cast<int>(kSize) : 1 << 16;
  plug::File file = sock.makefile(text ? "r" : "rb", {.buffering = buffering});
  if (operation == "iteration") {
    auto each = file.begin();
    for (int i = 0; i < count; ++i) {
      ++each;
      total += (*each).size();
    }
    return;
  }
  total += file.readline().size();
  for (int i = 0; i < count; ++i) total += file.readline().size();
}

void from_framer(const plug::Framing& framing, int count) {
  auto [sock, peer] = plug::socketpair();
  const std::string message(kSize, 'x');
  const bool delimited = std::holds_alternative<plug::Delimiter>(framing);
  plug::Framer sender(peer, framing);
  for (int i = 0; i <= kMost; ++i) sender.send(std::string_view(message).substr(delimited ? 1 : 0));
  plug::Framer framer(sock, framing);
  total += framer.recv()->size();
  for (int i = 0; i < count; ++i) total += framer.recv()->size();
}

void run(std::string_view operation, int count) {
  const std::map<std::string_view, plug::Framing> framings = {
      {"Delimiter", plug::Delimiter{"\n"}},      {"Delimiter_two", plug::Delimiter{"\n", "\r\n"}},
      {"LengthPrefix_1", plug::LengthPrefix{1}}, {"LengthPrefix_2", plug::LengthPrefix{2}},
      {"LengthPrefix_4", plug::LengthPrefix{4}}, {"LengthPrefix_8", plug::LengthPrefix{8}},
      {"VarintPrefix", plug::VarintPrefix{}},    {"FixedSize", plug::FixedSize{kSize}},
  };
  if (operation == "memchr") {
    by_hand(count);
  } else if (operation == "readline" || operation == "readline_text" || operation == "iteration") {
    from_file(operation, count);
  } else {
    const auto framing = framings.find(operation);
    if (framing == framings.end()) throw std::invalid_argument("no such operation");
    from_framer(framing->second, count);
  }
  std::cout << total << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int count = -1;
    const std::string_view number = argc == 3 ? argv[2] : "";
    std::from_chars(number.data(), number.data() + number.size(), count);
    if (count < 0 || count > kMost)
      throw std::invalid_argument("one_line OPERATION 0.." + std::to_string(kMost));
    run(argv[1], count);
  } catch (const std::exception& error) {
    std::cerr << "one_line: " << error.what() << '\n';
    return 1;
  }
}
