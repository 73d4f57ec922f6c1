// Compares File with Python's io module: the same bytes and the same calls give the same results.

#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/process.hpp"

namespace plug {
namespace {

struct Step {
  std::string kind;
  std::string name;
  std::ptrdiff_t argument = 0;
  std::string told;  // the result, or the message
};

struct Case {
  std::string mode;
  FileOptions options;
  std::vector<std::string> chunks;
  std::vector<Step> steps;
  std::string wire;
  std::string text;  // the oracle's line
};

std::string from_hex(const std::string& field) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < field.size(); i += 2)
    bytes += static_cast<char>(std::stoi(field.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string to_hex(const std::string& bytes) {
  if (bytes.empty()) return "-";
  constexpr const char* kDigits = "0123456789abcdef";
  std::string field;
  for (const char c : bytes) {
    field += kDigits[static_cast<unsigned char>(c) >> 4];
    field += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return field;
}

std::string to_fields(const std::vector<std::string>& items) {
  std::string fields;
  for (const std::string& item : items) fields += (fields.empty() ? "" : ",") + to_hex(item);
  return items.empty() ? "nothing" : fields;
}

std::vector<Case> ask_python(const std::string& what, int seed, int count) {
  int status = -1;
  std::istringstream lines(run_program({"python3", source_path("tests/support/io_oracle.py"), what,
                                        std::to_string(seed), std::to_string(count)},
                                       status));
  EXPECT_EQ(status, 0);
  std::vector<Case> cases;
  Case now;
  for (std::string line; std::getline(lines, line);) {
    now.text += line.substr(0, 300) + "\n";
    std::istringstream fields(line);
    std::string kind;
    fields >> kind;
    if (kind == "case") {
      std::string newline;
      fields >> now.mode >> now.options.buffering >> newline >> now.options.errors >>
          now.options.encoding;
      if (newline != "none") now.options.newline_ = from_hex(newline);
    } else if (kind == "chunk") {
      std::string data;
      fields >> data;
      now.chunks.push_back(from_hex(data));
    } else if (kind == "call" || kind == "fail") {
      Step step;
      step.kind = kind;
      fields >> step.name >> step.argument >> step.told;
      now.steps.push_back(step);
    } else if (kind == "write" || kind == "refuse") {
      Step step;
      step.kind = kind;
      fields >> step.name >> step.told;
      now.steps.push_back(step);
    } else if (kind == "wire") {
      fields >> now.wire;
    } else {
      EXPECT_EQ(kind, "end");
      cases.push_back(std::exchange(now, {}));
    }
  }
  EXPECT_EQ(cases.size(), static_cast<std::size_t>(count));
  return cases;
}

std::string perform(File& file, const Step& step) {
  if (step.name == "readline") return to_hex(file.readline(step.argument));
  if (step.name == "readlines") return to_fields(file.readlines(step.argument));
  if (step.name == "read1") return to_hex(file.read1(step.argument));
  if (step.name == "readinto") {
    std::string buffer(static_cast<std::size_t>(step.argument), '?');
    buffer.resize(file.readinto(buffer));
    return to_hex(buffer);
  }
  EXPECT_EQ(step.name, "read");
  return to_hex(file.read(step.argument));
}

/// Replays a case on a socket of `type`. Fails the test with the difference from Python.
void replay(const Case& now, SOCK type) {
  auto [sock, peer] = socketpair(AF::UNIX, type);
  sock.settimeout(30);
  peer.settimeout(30);
  peer.setsockopt(SOL::SOCKET, SO::SNDBUF, 1 << 18);
  for (const std::string& chunk : now.chunks) peer.sendall(chunk);
  peer.shutdown(SHUT::WR);

  File file = sock.makefile(now.mode, now.options);
  for (const Step& step : now.steps) {
    const std::string call = step.name + "(" + std::to_string(step.argument) + ")";
    if (step.kind == "call") {
      ASSERT_EQ(perform(file, step), step.told) << call << " of\n" << now.text;
      continue;
    }
    try {
      const std::string result = perform(file, step);
      FAIL() << call << " gave " << result << " of\n" << now.text;
    } catch (const UnicodeDecodeError& error) {
      ASSERT_EQ(error.what(), from_hex(step.told)) << call << " of\n" << now.text;
    }
  }
}

TEST(FileAndPython, ReadTheSameFromTheSameStream) {
  int refused = 0;
  for (const Case& now : ask_python("read", 20240229, 900)) {
    refused += now.steps.back().kind == "fail" ? 1 : 0;
    // A datagram is a chunk, which one call receives; a stream joins the chunks.
    const bool fits = std::all_of(now.chunks.begin(), now.chunks.end(),
                                  [](const std::string& chunk) { return chunk.size() <= 5000; });
    if (now.options.buffering < 0 && fits) replay(now, SOCK::SEQPACKET);
    if (HasFatalFailure()) return;
    const bool counts_receives = std::any_of(now.steps.begin(), now.steps.end(),
                                             [](const Step& step) { return step.name == "read1"; });
    if (!counts_receives) replay(now, SOCK::STREAM);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(refused, 20);
}

TEST(FileAndPython, WriteTheSameFromTheSameText) {
  int refused = 0;
  for (const Case& now : ask_python("write", 20240229, 300)) {
    auto [sock, peer] = socketpair();
    sock.settimeout(30);
    peer.settimeout(30);
    sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 1 << 20);
    File file = sock.makefile(now.mode, now.options);
    sock.close();
    for (const Step& step : now.steps) {
      const std::string text = from_hex(step.name);
      if (step.kind == "write") {
        ASSERT_EQ(std::to_string(file.write(text)), step.told) << now.text;
        continue;
      }
      ++refused;
      try {
        file.write(text);
        FAIL() << "was written:\n" << now.text;
      } catch (const UnicodeEncodeError& error) {
        ASSERT_EQ(error.what(), from_hex(step.told)) << now.text;
      }
    }
    file.close();
    ASSERT_EQ(to_hex(peer.makefile("rb").read()), now.wire) << now.text;
  }
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace plug
