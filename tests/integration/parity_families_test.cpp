// Compares the constants and the addresses of every family with Python's socket module.

#include <plug/plug.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "address/access.hpp"
#include "support/parity.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

using namespace parity;

void expect_constants_of(const std::string& python) {
  int status = 0;
  const std::string output = run_program(
      {python, source_path("tests/integration/python_constants.py"),
       source_path("include/plug/constants.hpp"), source_path("include/plug/family/constants.hpp")},
      status);
  EXPECT_EQ(status, 0) << output;
}

TEST(PythonConstants, AreAllHereWithTheirValues) { expect_constants_of("python3"); }

// The system's Python may differ: Debian's has Bluetooth, which a build without its headers lacks.
TEST(PythonConstants, OfTheSystemsPythonAreAllHereWithTheirValues) {
  expect_constants_of("/usr/bin/python3");
}

// --- plug's side ---

Address typed(const Case& c) {
  const std::string& kind = c[1];
  const auto text = [&](std::size_t n) { return std::string_view(c.at(n + 2)); };
  const auto num = [&](std::size_t n, std::int64_t missing = 0) {
    return c.size() > n + 2 ? static_cast<std::int64_t>(std::stoull(c[n + 2], nullptr, 0))
                            : missing;
  };
  if (kind == "can" || kind == "bcm") return CanAddress(text(0));
  if (kind == "isotp") return IsotpAddress(text(0), num(1), num(2));
  if (kind == "j1939")
    return J1939Address(text(0), static_cast<std::uint64_t>(num(1)), num(2), num(3));
  if (kind == "packet")
    return PacketAddress(text(0), num(1), num(2), num(3), unhex(c.size() > 6 ? c[6] : ""));
  if (kind == "netlink") return NetlinkAddress(num(0), num(1));
  if (kind == "vsock") return VsockAddress(num(0), num(1));
  if (kind == "tipc") return TipcAddress(num(0), num(1), num(2), num(3), num(4, 2));
  if (kind == "alg") return AlgAddress(text(0), text(1), num(2), num(3));
  if (kind == "qrtr") return QrtrAddress(num(0), num(1));
  if (kind == "l2cap") return L2capAddress(text(0), num(1));
  if (kind == "hci") return HciAddress(num(0));
  if (kind == "sco") return ScoAddress(text(0));
  if (kind == "rfcomm") return RfcommAddress(text(0), num(1));
  throw std::logic_error("no such kind: " + kind);
}

/// Returns the kernel's form of an address, without the zeros at its end.
std::string take(const Case& c) {
  const Address address = typed(c);
  const std::string_view raw = address.bytes();
  const std::size_t end = raw.find_last_not_of('\0');
  return hex(raw.substr(0, end == std::string_view::npos ? 0 : end + 1));
}

int protocol_of(const std::string& kind) {
  const std::map<std::string, int> protocols = {{"can", 1}, {"bcm", 2}, {"isotp", 6}, {"j1939", 7},
                                                {"hci", 1}, {"sco", 2}, {"rfcomm", 3}};
  const auto found = protocols.find(kind);
  return found == protocols.end() ? 0 : found->second;
}

std::string show(const Case& c) {
  const std::string raw = unhex(c[2]);
  Address address;
  std::memcpy(detail::address::AddressAccess::storage(address), raw.data(), raw.size());
  detail::address::AddressAccess::set_size(address, raw.size(), protocol_of(c[1]));
  return to_string(address);
}

const Operations kOurs = {{"take", take}, {"show", show}};

/// Returns addresses of every kind, most of them random.
std::vector<Case> addresses() {
  std::mt19937_64 random(4711);
  const auto below = [&](std::uint64_t most) { return std::to_string(random() % most); };
  const auto u32 = [&] { return std::to_string(random() & 0xffffffffu); };
  const auto word = [&](std::size_t most) {
    std::string text;
    for (std::size_t n = 1 + random() % most; n > 0; --n)
      text += "abcxyz019(),-_'\"\\"[random() % 16];
    return text;
  };
  const auto bytes = [&](std::size_t most) {
    std::string text;
    for (std::size_t n = random() % (most + 1); n > 0; --n) text += static_cast<char>(random());
    return hex(text);
  };
  const auto device = [&] {
    std::string text;
    for (int n = 0; n < 6; ++n)
      text += (n > 0 ? ":" : "") + hex(std::string(1, static_cast<char>(random())));
    return text;
  };
  std::vector<Case> cases;
  const auto add = [&](std::vector<std::string> fields) {
    fields.insert(fields.begin(), "take");
    cases.push_back(std::move(fields));
  };
  for (const std::string interface : {"", "lo"}) {
    add({"can", interface});
    add({"bcm", interface});
  }
  for (int round = 0; round < 25; ++round) {
    const std::string interface = random() % 2 == 0 ? "" : "lo";
    add({"isotp", interface, u32(), u32()});
    add({"j1939", interface, std::to_string(random()), u32(), below(256)});
    add({"packet", "lo", below(65536)});
    add({"packet", "lo", below(65536), below(256), below(65536)});
    add({"packet", "lo", below(65536), below(256), below(65536), bytes(8)});
    add({"netlink", u32(), u32()});
    add({"vsock", u32(), u32()});
    add({"tipc", std::to_string(1 + random() % 3), u32(), u32(), u32()});
    add({"tipc", std::to_string(1 + random() % 3), u32(), u32(), u32(), below(256)});
    add({"alg", word(13), word(63)});
    add({"alg", word(13), word(63), below(65536), below(65536)});
    add({"qrtr", u32(), u32()});
    add({"l2cap", device(), below(65536)});
    add({"hci", below(65536)});
    add({"sco", device()});
    add({"rfcomm", device(), below(256)});
  }
  return cases;
}

TEST(PythonFamilies, MakeTheSameBytesOfTheSameFields) {
  expect_parity(kOurs, "parity_families.py", addresses(), 400);
}

TEST(PythonFamilies, PrintTheSameTextOfTheSameBytes) {
  std::vector<Case> cases;
  for (const Case& made : addresses()) cases.push_back({"show", made[1], hex(typed(made).bytes())});
  // Other addresses that the kernel may return: missing interfaces, longer forms, no typed address.
  for (const std::string kind : {"can", "bcm", "isotp", "j1939"}) {
    cases.push_back({"show", kind, "1d0000003930000001020304050607081122334455667788"});
    cases.push_back({"show", kind, "1d0000000100000001020304050607081122334455667788"});
  }
  cases.push_back({"show", "packet", "1100000339300000040300060102030405060000"});
  cases.push_back({"show", "packet", "110000030100000004030406010203040506"});
  cases.push_back({"show", "vsock", "63000102030405060708090a0b0c0d0e"});
  cases.push_back({"show", "netlink", "020000507f0000010000000000000000"});
  expect_parity(kOurs, "parity_families.py", cases, 400);
}

TEST(PythonFamilies, RefuseTheSameFields) {
  std::vector<Case> cases = {
      {"take", "can", std::string(15, 'x')},
      {"take", "can", std::string(16, 'x')},
      {"take", "can", std::string(300, 'x')},
      {"take", "can", "no-such-if"},
      {"take", "can", std::string("l\0o", 3)},
      {"take", "bcm", "no-such-if"},
      {"take", "isotp", std::string(16, 'x'), "1", "2"},
      {"take", "isotp", "no-such-if", "1", "2"},
      {"take", "j1939", std::string(16, 'x'), "1", "2", "3"},
      {"take", "j1939", "no-such-if", "1", "2", "3"},
      {"take", "packet", "no-such-if", "1"},
      {"take", "packet", std::string(40, 'x'), "1"},
      {"take", "packet", std::string("l\0o", 3), "1"},
      {"take", "packet", "lo", "65536"},
      {"take", "packet", "lo", "0", "0", "0", "010203040506070809"},
      {"take", "alg", std::string(14, 't'), "n"},
      {"take", "alg", "t", std::string(64, 'n')},
      {"take", "alg", std::string(14, 't'), std::string(64, 'n')},
      {"take", "alg", std::string("t\0t", 3), "n"},
      {"take", "alg", "t", std::string("n\0n", 3)},
  };
  for (const std::string device : {"", "x", "01:23:45:67:89", "01:23:45:67:89:AB:CD",
                                   "01:23:45:67:89:AB:", "0g:23:45:67:89:AB", "100:23:45:67:89:AB",
                                   "01-23-45-67-89-AB", "01:23:45:67:89:ABx", ":::::"}) {
    cases.push_back({"take", "l2cap", device, "1"});
    cases.push_back({"take", "rfcomm", device, "1"});
    cases.push_back({"take", "sco", device});
  }
  expect_parity(kOurs, "parity_families.py", cases, 50);
}

}  // namespace
}  // namespace plug
