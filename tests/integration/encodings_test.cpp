// Compares text files in every encoding of Python's with io.TextIOWrapper. docs/encodings.md lists
// exactly the differences.

#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>

#include <gnu/libc-version.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/connected_pair.hpp"
#include "support/parity.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

using parity::hex;

/// The differences of each encoding: "unknown", "reading", "malformed", "writing".
using Differences = std::map<std::string, std::set<std::string>>;

std::string unhex(const std::string& field) { return field == "-" ? "" : parity::unhex(field); }

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

std::string field(const std::string& text) { return text.empty() ? "-" : hex(text); }

/// Removes the place of a missing byte-order mark from a message, because Python's does not have
/// it.
std::string without_place(const std::string& message) {
  for (const std::string missing : {"UTF-16 stream does not", "UTF-32 stream does not"})
    if (const auto at = message.find(missing); at != std::string::npos) return message.substr(at);
  return message;
}

std::string perform(File& file, const std::string& call) {
  const std::size_t colon = call.find(':');
  const std::string name = call.substr(0, colon);
  const int argument = std::stoi(call.substr(colon + 1));
  if (name == "read") return file.read(argument);
  if (name == "readline") return file.readline(argument);
  EXPECT_EQ(name, "readlines");
  std::string all;
  for (const std::string& line : file.readlines(argument)) all += line;
  return all;
}

/// Reads a stream of `data` that arrives in pieces. Returns the results as encodings.py prints
/// them.
std::string read(const std::string& encoding, const std::string& errors, std::size_t piece,
                 const std::string& data, const std::string& calls) {
  ConnectedPair pair(socketpair(AF::UNIX, piece == 0 ? SOCK::STREAM : SOCK::SEQPACKET));
  pair.peer.setsockopt(SOL::SOCKET, SO::SNDBUF, 1 << 20);
  if (piece == 0)
    pair.peer.sendall(data);
  else
    for (std::size_t at = 0; at < data.size(); at += piece)
      pair.peer.sendall(data.substr(at, piece));
  pair.peer.shutdown(SHUT::WR);
  std::string results;
  File file = pair.sock.makefile("r", {.encoding = encoding, .errors = errors});
  for (const std::string& call : split(calls)) {
    results += results.empty() ? "" : ",";
    try {
      results += field(perform(file, call));
    } catch (const UnicodeDecodeError& error) {
      return results + "!" + hex(without_place(error.what()));
    }
  }
  return results;
}

/// Writes the texts. Returns the content of the file and the results of write().
std::pair<std::string, std::string> write(const std::string& encoding, const std::string& errors,
                                          const std::string& texts) {
  ConnectedPair pair;
  pair.sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 1 << 20);
  std::string results;
  File file = pair.sock.makefile("w", {.encoding = encoding, .errors = errors, .newline_ = ""});
  pair.sock.close();
  for (const std::string& text : split(texts)) {
    results += results.empty() ? "" : ",";
    try {
      results += std::to_string(file.write(unhex(text)));
    } catch (const UnicodeEncodeError& error) {
      results += "!" + hex(std::string(error.what()));
    }
  }
  file.close();
  return {field(pair.peer.makefile("rb").read()), results};
}

bool is_known(const std::string& encoding) {
  try {
    ConnectedPair().sock.makefile("r", {.encoding = encoding});
    return true;
  } catch (const ValueError&) {
    return false;
  }
}

/// Returns the rows of the table in the document: the names, and a cross for each column.
Differences documented() {
  const std::vector<std::string> columns{"unknown", "reading", "malformed", "writing"};
  Differences all;
  std::ifstream file(source_path("docs/encodings.md"));
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    std::vector<std::string> cells;
    std::istringstream stream(line.substr(1));
    for (std::string cell; std::getline(stream, cell, '|');) cells.push_back(cell);
    std::istringstream names(cells.at(0));
    for (std::string name; names >> name;) {
      name = name.substr(1, name.find('`', 1) - 1);
      for (std::size_t i = 0; i < columns.size(); ++i)
        if (cells.at(i + 1).find('x') != std::string::npos) all[name].insert(columns[i]);
    }
  }
  return all;
}

std::string text_of(const Differences& differences) {
  std::string text;
  for (const auto& [encoding, columns] : differences) {
    text += encoding + ":";
    for (const std::string& column : columns) text += " " + column;
    text += "\n";
  }
  return text;
}

/// Returns both answers from the place where they begin to differ.
std::string first_difference(const std::string& python, const std::string& plug) {
  std::size_t at = 0;
  while (at < python.size() && at < plug.size() && python[at] == plug[at]) ++at;
  const std::size_t from = at < 40 ? 0 : at - 40;
  return "\n  at " + std::to_string(at) + "\n  python: " + python.substr(from, 200) +
         "\n  plug:   " + plug.substr(std::min(from, plug.size()), 200);
}

constexpr int kParts = 6;

class EncodingsOfPython : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Part, EncodingsOfPython, testing::Range(0, kParts));

TEST_P(EncodingsOfPython, AreReadAndWrittenAsByPythonButForWhatTheTableSays) {
  int status = -1;
  std::istringstream lines(run_program({"python3", source_path("tests/integration/encodings.py"),
                                        std::to_string(GetParam()), std::to_string(kParts)},
                                       status));
  ASSERT_EQ(status, 0);
  Differences found;
  std::map<std::pair<std::string, std::string>, std::string> examples;
  std::set<std::string> encodings;
  std::string encoding;
  std::size_t compared = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string kind;
    std::string about;
    fields >> kind >> about;
    if (kind == "encoding") {
      encoding = about;
      encodings.insert(encoding);
      if (!is_known(encoding)) found[encoding].insert("unknown");
      continue;
    }
    const bool unknown = found[encoding].count("unknown") > 0;
    if (kind == "alias") {
      EXPECT_NE(is_known(about), unknown) << about << " of " << encoding;
      continue;
    }
    if (unknown) continue;
    ++compared;
    std::string errors;
    std::string python;
    std::string plug;
    fields >> errors;
    if (kind == "read") {
      std::size_t piece = 0;
      std::string data;
      std::string calls;
      fields >> piece >> data >> calls >> python;
      plug = read(encoding, errors, piece, unhex(data), calls);
    } else {
      std::string texts;
      std::string results;
      fields >> texts >> python >> results;
      const auto [wire, count] = write(encoding, errors, texts);
      python += " " + results;
      plug = wire + " " + count;
    }
    if (python == plug) continue;
    found[encoding].insert(about);
    examples.try_emplace({encoding, about}, line.substr(0, 200) + first_difference(python, plug));
  }
  EXPECT_GT(compared, 900u);
  EXPECT_GE(encodings.size(), 15u);
  std::erase_if(found, [](const auto& row) { return row.second.empty(); });

  Differences told = documented();
  std::erase_if(told, [&](const auto& row) { return encodings.count(row.first) == 0; });
  EXPECT_EQ(text_of(found), text_of(told)) << "with glibc " << gnu_get_libc_version();
  for (const auto& [key, example] : examples) {
    const auto row = told.find(key.first);
    if (row != told.end() && row->second.count(key.second) > 0) continue;
    ADD_FAILURE() << key.first << ", " << key.second << ": " << example;
  }
}

}  // namespace
}  // namespace plug
