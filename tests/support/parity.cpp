#include "support/parity.hpp"

#include <cxxabi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <typeinfo>
#include <utility>

#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace plug::parity {

namespace {

struct Outcome {
  bool ok = false;
  std::string type;  // of the error
  int number = 0;    // of the error
  std::string text;  // the result, or of the error
};

std::string describe(const Case& test) {
  std::string text;
  for (const std::string& field : test) text += (text.empty() ? "" : ", ") + field;
  return text;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// --- plug's side ---

Outcome plugs(const Operations& ours, const Case& test) {
  const auto name_of = [](const std::exception& error) {
    int status = 0;
    char* name = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status);
    std::string text = name;
    std::free(name);
    return text.substr(text.rfind(':') + 1);
  };
  try {
    return {true, {}, 0, ours.at(test[0])(test)};
  } catch (const OSError& error) {
    return {false, name_of(error), error.number(), error.what()};
  } catch (const std::exception& error) {
    return {false, name_of(error), 0, error.what()};
  }
}

// --- Python's side ---

std::vector<Outcome> pythons(const std::string& python_file, const std::vector<Case>& cases) {
  const TemporaryDirectory directory;
  {
    std::ofstream file(directory / "cases");
    for (const Case& test : cases) {
      std::string line;
      for (const std::string& field : test) line += (line.empty() ? "x" : " x") + hex(field);
      file << line << "\n";
    }
  }
  int status = 0;
  std::istringstream output(
      run_program({"python3", source_path("tests/support/parity.py"),
                   source_path("tests/integration/" + python_file), directory / "cases"},
                  status));
  if (status != 0) throw std::runtime_error("python3 ended with " + std::to_string(status));
  std::vector<Outcome> outcomes;
  for (std::string line; std::getline(output, line);) {
    std::istringstream fields(line);
    std::string kind;
    std::string text;
    Outcome outcome;
    fields >> kind;
    outcome.ok = kind == "ok";
    if (!outcome.ok) fields >> outcome.type >> outcome.number;
    fields >> text;
    outcome.text = unhex(text);
    outcomes.push_back(outcome);
  }
  return outcomes;
}

// --- the comparison ---

/// Returns the beginning of plug's text for Python's error. plug words some texts differently,
/// because it names the value; the class and the number are the same. Each of these is listed with
/// plug's wording.
std::string expected_text(const Outcome& python) {
  const std::pair<std::string, std::string> reworded[] = {
      {"bind(): port must be 0-65535.", "port must be 0-65535"},
      {"bind(): proto must be 0-65535.", "proto must be 0-65535"},
      {"bind(): flowinfo must be 0-1048575.", "flowinfo must be 0-1048575"},
      {"IPv4 sockaddr must be 2 tuple", "address family mismatched"},
      {"getnameinfo(): flowinfo must be 0-1048575.", "flowinfo must be 0-1048575"},
      {"negative buffersize in recv", "negative buffersize"},
      {"negative buffersize in recv_into", "negative buffersize"},
      {"negative buffer size in recvmsg()", "negative buffersize"},
      {"nbytes is greater than the length of the buffer", "buffer too small for requested bytes"},
      {"timestamp too large to convert to C _PyTime_t", "Timeout value too large"},
      {"timeout doesn't fit into C timeval", "Timeout value too large"},
      {"timestamp out of range for platform time_t", "Timeout value too large"},
  };
  for (const auto& [from, to] : reworded)
    if (python.text == from) return to;
  // Python's text names the first C type that the number does not fit into; plug's does not.
  for (const std::string about : {"integer", "unsigned int", " int ", "int larger than"})
    if (python.type == "OverflowError" && python.text.find(about) != std::string::npos) return "";
  return python.text;
}

/// Returns the difference between the two outcomes; empty if there is none.
std::string difference(const Outcome& python, const Outcome& plug) {
  if (python.ok != plug.ok) return "one fails";
  if (python.ok) return python.text == plug.text ? "" : "the result";
  if (python.type != plug.type) return "the class of the error";
  if (python.number != plug.number) return "the number of the error";
  const std::string expected = expected_text(python);
  // plug's text begins with Python's, and may add the subject of the error.
  return plug.text.rfind(expected, 0) == 0 ? "" : "the text of the error";
}

std::string text(const Outcome& outcome) {
  return outcome.ok ? outcome.text
                    : outcome.type + "(" + std::to_string(outcome.number) + "): " + outcome.text;
}

}  // namespace

void expect_parity(const Operations& ours, const std::string& python_file,
                   const std::vector<Case>& cases, std::size_t least) {
  ASSERT_GE(cases.size(), least);
  const std::vector<Outcome> python = pythons(python_file, cases);
  ASSERT_EQ(python.size(), cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Outcome plug = plugs(ours, cases[i]);
    EXPECT_EQ(difference(python[i], plug), "")
        << describe(cases[i]) << "\n  python: " << text(python[i]) << "\n  plug:   " << text(plug);
  }
}

std::string hex(BytesView bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    (text += kDigits[byte >> 4]) += kDigits[byte & 15];
  }
  return text;
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

int number(const std::string& text) { return static_cast<int>(std::stol(text, nullptr, 0)); }
std::int64_t wide(const std::string& text) { return std::stoll(text, nullptr, 0); }

Socket make(const std::string& family, const std::string& kind, const std::string& proto) {
  return Socket(AF{number(family)}, SOCK{number(kind)}, number(proto));
}

std::string bare(const Socket& sock, std::string text) {
  std::error_code error;
  const Address name = sock.getsockname(error);
  if (!error && (name.family() == AF::INET || name.family() == AF::INET6))
    replace(text, ", " + std::to_string(name.port()), ", PORT");
  replace(text, "fd=" + std::to_string(sock.fileno()) + ",", "fd=FD,");
  return text;
}

std::string truth(bool value) { return value ? "True" : "False"; }

}  // namespace plug::parity
