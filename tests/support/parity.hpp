#pragma once

// Makes the same calls with Python's socket module and with plug, and compares the results.
//
// A case is an operation and its arguments, all text. Each side has a table of operations: C++
// functions here, Python functions in a file beside the test (run by parity.py). Both answer with a
// text or with an error.

#include <plug/plug.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace plug::parity {

/// An operation and its arguments.
using Case = std::vector<std::string>;

/// The operations on plug by name. Each returns its result as Python's str() would print it.
using Operations = std::map<std::string, std::function<std::string(const Case&)>>;

/// Runs all cases on both sides and expects the same results: the same text, or the same class of
/// error with the same number and a text that begins with Python's. `python_file`, in
/// tests/integration, defines a dictionary OPERATIONS. Fails if there are fewer than `least` cases,
/// so that a table that lost its cases is noticed.
void expect_parity(const Operations& ours, const std::string& python_file,
                   const std::vector<Case>& cases, std::size_t least);

std::string hex(BytesView bytes);
std::string unhex(const std::string& text);
int number(const std::string& text);
std::int64_t wide(const std::string& text);
/// Returns "True" or "False".
std::string truth(bool value);

Socket make(const std::string& family, const std::string& kind, const std::string& proto = "0");

/// Removes from a text about a socket all that differs from run to run: its port and its
/// descriptor.
std::string bare(const Socket& sock, std::string text);

}  // namespace plug::parity
