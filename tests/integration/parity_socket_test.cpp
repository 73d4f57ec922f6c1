// Makes the same calls with Python's socket module and with plug, and compares the results.

#include <plug/plug.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "support/parity.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using namespace parity;

// --- plug's side ---

std::string bind_pair(const Case& c) {
  Socket sock = make(c[1], c[2]);
  const auto field = [&](std::size_t n) {
    return c.size() > n ? static_cast<std::uint32_t>(std::stoul(c[n], nullptr, 0)) : 0;
  };
  sock.bind({c[3], number(c[4]), field(5), field(6)});
  return bare(sock, to_string(sock.getsockname()));
}

std::string bind_unix(const Case& c) {
  Socket sock = make("1", c[1]);
  sock.bind(UnixAddress(c[2]));
  const std::string text = to_string(sock.getsockname());
  if (!c[2].empty() && c[2][0] != '\0') ::unlink(c[2].c_str());
  return text;
}

std::string unix_sender(const Case& c) {
  Socket sender = make("1", "2");
  Socket receiver = make("1", "2");
  receiver.bind(UnixAddress(""));
  if (!c[1].empty()) sender.bind(UnixAddress(c[1]));
  sender.sendto("x", receiver.getsockname());
  const std::string text = to_string(receiver.recvfrom(10).second);
  if (!c[1].empty() && c[1][0] != '\0') ::unlink(c[1].c_str());
  return text;
}

std::string text_of(const Case& c) {
  Socket sock = make(c[1], c[2]);
  if (c[3] != "fresh") {
    if (c[1] == "1")
      sock.bind(UnixAddress(std::string(1, '\0') + c[4]));
    else
      sock.bind({c[4], 0});
  }
  if (c[3] == "listening") sock.listen();
  if (c[3] == "closed") sock.close();
  return bare(sock, to_string(sock));
}

std::string timeout(const Case& c) {
  Socket sock;
  sock.settimeout(std::stod(c[1]));
  return to_string(sock.gettimeout()) + " " + truth(sock.getblocking());
}

std::string default_timeout(const Case& c) {
  struct Restore {
    ~Restore() { setdefaulttimeout(std::nullopt); }
  } const restore;
  setdefaulttimeout(std::stod(c[1]));
  return to_string(getdefaulttimeout()) + " " + to_string(Socket().gettimeout());
}

std::string os_error(const Case& c) {
  throw_if({number(c[1]), std::system_category()});
  return "no error";
}

std::string addresses(const Case& c) {
  std::optional<std::string_view> host;
  if (c[1] != "None") host = c[1];
  const Service service = c[2] == "None"   ? Service(std::nullopt)
                          : c[2][0] == '#' ? Service(number(c[2].substr(1)))
                                           : Service(c[2]);
  std::string text;
  for (const AddrInfo& a : getaddrinfo(host, service, AF{number(c[3])}, SOCK{number(c[4])},
                                       number(c[5]), AI{number(c[6])}))
    text += (text.empty() ? "(" : " (") + std::to_string(static_cast<int>(a.family)) + ", " +
            std::to_string(static_cast<int>(a.type)) + ", " + std::to_string(a.proto) + ", '" +
            a.canonname + "', " + to_string(a.sockaddr) + ")";
  return text;
}

std::string set_none(const Case& c) {
  Socket sock = make(c[1], c[2]);
  sock.setsockopt(number(c[3]), number(c[4]), std::nullopt, static_cast<std::size_t>(wide(c[5])));
  return hex(sock.getsockopt(number(c[3]), number(c[4]), 64));
}

const std::map<std::string, std::function<std::string(Socket&)>>& calls() {
  static const auto repr = [](BytesView bytes) { return "b'" + std::string(bytes) + "'"; };
  static const std::map<std::string, std::function<std::string(Socket&)>> table = {
      {"listen", [](Socket& s) { return s.listen(), "done"; }},
      {"accept", [](Socket& s) { return std::ignore = s.accept(), "done"; }},
      {"recv", [](Socket& s) { return repr(s.recv(1)); }},
      {"recvfrom", [](Socket& s) { return s.recvfrom(1), "done"; }},
      {"recv negative", [](Socket& s) { return repr(s.recv(-1)); }},
      {"send", [](Socket& s) { return std::to_string(s.send("x")); }},
      {"send empty", [](Socket& s) { return std::to_string(s.send("")); }},
      {"sendall", [](Socket& s) { return s.sendall("x"), "done"; }},
      {"sendall empty", [](Socket& s) { return s.sendall(""), "done"; }},
      {"getsockname", [](Socket& s) { return s.getsockname(), "done"; }},
      {"getpeername", [](Socket& s) { return s.getpeername(), "done"; }},
      {"shutdown", [](Socket& s) { return s.shutdown(SHUT::RDWR), "done"; }},
      {"shutdown 9", [](Socket& s) { return s.shutdown(SHUT{9}), "done"; }},
      {"settimeout", [](Socket& s) { return s.settimeout(1), "done"; }},
      {"dup", [](Socket& s) { return std::ignore = s.dup(), "done"; }},
      {"close", [](Socket& s) { return s.close(), "done"; }},
  };
  return table;
}

std::string call(const Case& c) {
  Socket sock = make(c[1], c[2]);
  sock.setblocking(false);
  if (c[3] == "closed") sock.close();
  return calls().at(c[4])(sock);
}

std::string connect_ex(const Case& c) {
  Socket sock = make(c[1], "1");
  Socket other = make(c[1], "1");
  if (c[1] == "1") return std::to_string(sock.connect_ex(UnixAddress(c[2])));
  other.bind({c[1] == "2" ? "127.0.0.1" : "::1", 0});
  if (c[2] == "listening") other.listen();
  return std::to_string(sock.connect_ex(other.getsockname()));
}

std::string fileno(const Case& c) {
  const Socket sock(Fileno{make(c[1], c[2]).detach()});
  return std::to_string(static_cast<int>(sock.family())) + " " +
         std::to_string(static_cast<int>(sock.type())) + " " + std::to_string(sock.proto());
}

const Operations& operations() {
  static const Operations table = {
      {"bind", bind_pair},
      {"bind_unix", bind_unix},
      {"unix_sender", unix_sender},
      {"text", text_of},
      {"timeout", timeout},
      {"default_timeout", default_timeout},
      {"os_error", os_error},
      {"inet_aton", [](const Case& k) { return hex(inet_aton(k[1])); }},
      {"inet_ntoa", [](const Case& k) { return inet_ntoa(unhex(k[1])); }},
      {"inet_pton", [](const Case& k) { return hex(inet_pton(AF{number(k[1])}, k[2])); }},
      {"inet_ntop", [](const Case& k) { return inet_ntop(AF{number(k[1])}, unhex(k[2])); }},
      {"htons", [](const Case& k) { return std::to_string(htons_(wide(k[1]))); }},
      {"ntohs", [](const Case& k) { return std::to_string(ntohs_(wide(k[1]))); }},
      {"htonl", [](const Case& k) { return std::to_string(htonl_(wide(k[1]))); }},
      {"ntohl", [](const Case& k) { return std::to_string(ntohl_(wide(k[1]))); }},
      {"getaddrinfo", addresses},
      {"gethostbyname", [](const Case& k) { return gethostbyname(k[1]); }},
      {"gethostname", [](const Case&) { return gethostname(); }},
      {"getservbyname",
       [](const Case& k) {
         return std::to_string(k.size() > 2 ? getservbyname(k[1], k[2]) : getservbyname(k[1]));
       }},
      {"get_int",
       [](const Case& k) {
         return std::to_string(make(k[1], k[2]).getsockopt(number(k[3]), number(k[4])));
       }},
      {"get_bytes",
       [](const Case& k) {
         return hex(make(k[1], k[2]).getsockopt(number(k[3]), number(k[4]), wide(k[5])));
       }},
      {"set_int",
       [](const Case& k) {
         Socket sock = make(k[1], k[2]);
         sock.setsockopt(number(k[3]), number(k[4]), wide(k[5]));
         return std::to_string(sock.getsockopt(number(k[3]), number(k[4])));
       }},
      {"set_bytes",
       [](const Case& k) {
         Socket sock = make(k[1], k[2]);
         sock.setsockopt(number(k[3]), number(k[4]), BytesView(unhex(k[5])));
         return hex(sock.getsockopt(number(k[3]), number(k[4]), 64));
       }},
      {"set_none", set_none},
      {"socket",
       [](const Case& k) {
         return std::to_string(make(k[1], k[2], k.size() > 3 ? k[3] : "0").proto());
       }},
      {"call", call},
      {"connect_ex", connect_ex},
      {"fileno", fileno},
      {"bad_fileno", [](const Case& k) { return to_string(Socket(Fileno{number(k[1])})); }},
  };
  return table;
}

// --- the cases ---

const std::string kInet = "2", kInet6 = "10", kUnix = "1", kStream = "1", kDatagram = "2";

/// Returns the names with an IPv4 address in /etc/hosts. For another family the resolver would ask
/// name servers.
std::vector<std::string> ipv4_names() {
  std::vector<std::string> names = {"localhost"};
  std::ifstream hosts("/etc/hosts");
  for (std::string line; std::getline(hosts, line);) {
    std::istringstream fields(line.substr(0, line.find('#')));
    std::string field;
    fields >> field;
    if (field.find('.') == std::string::npos) continue;
    while (fields >> field) names.push_back(field);
  }
  return names;
}

std::vector<std::string> ipv4_texts(int random_ones) {
  std::vector<std::string> texts = {"0.0.0.0",   "127.0.0.1",  "255.255.255.255",
                                    "1.2.3.4",   "127.1",      "127.0.1",
                                    "1",         "0x7f.1",     "0177.0.0.1",
                                    "1.2.3",     "4294967295", "4294967296",
                                    "",          " ",          "1.2.3.4 ",
                                    " 1.2.3.4",  "1.2.3.4.5",  "256.0.0.1",
                                    "1..2",      ".1",         "1.",
                                    "::1",       "localhost",  "1.2.3.4x",
                                    "08.0.0.1",  "1.2.3.4 x",  "0x",
                                    "1.2.65536", "-1.0.0.0",   "01.02.03.04"};
  std::mt19937 random(1);
  std::uniform_int_distribution<int> byte(0, 255);
  for (int i = 0; i < random_ones; ++i) {
    std::string text = std::to_string(byte(random));
    for (int part = 0; part < 3; ++part) text += "." + std::to_string(byte(random));
    texts.push_back(text);
  }
  return texts;
}

std::string random_bytes(std::mt19937& random, std::size_t size) {
  // IPv6 texts abbreviate runs of zeros.
  std::uniform_int_distribution<int> byte(0, 255), coin(0, 1);
  std::string bytes;
  while (bytes.size() < size) {
    const bool zero = coin(random) != 0;
    for (int i = 0; i < 2 && bytes.size() < size; ++i)
      bytes += static_cast<char>(zero ? 0 : byte(random));
  }
  return bytes;
}

TEST(PythonParity, HoldsForPackedAddresses) {
  std::vector<Case> cases;
  for (const std::string& text : ipv4_texts(40)) {
    cases.push_back({"inet_aton", text});
    cases.push_back({"inet_pton", kInet, text});
    cases.push_back({"inet_pton", kInet6, text});
  }
  for (const std::string text : {"::",
                                 "::1",
                                 "1::",
                                 "::ffff:1.2.3.4",
                                 "1:2:3:4:5:6:7:8",
                                 "1:2:3:4:5:6:7::",
                                 "::1%lo",
                                 "1::2::3",
                                 "12345::",
                                 "[::1]",
                                 ":",
                                 ":::",
                                 "1:2:3:4:5:6:7:8:9",
                                 "::1.2.3",
                                 "FE80::A",
                                 "::ffff:0:0",
                                 "0:0:0:0:0:0:0:0",
                                 "2001:db8::8:800:200c:417a",
                                 "::1 ",
                                 "g::"})
    cases.push_back({"inet_pton", kInet6, text});
  std::mt19937 random(2);
  for (int i = 0; i < 60; ++i) {
    cases.push_back({"inet_ntop", kInet6, hex(random_bytes(random, 16))});
    cases.push_back({"inet_ntop", kInet, hex(random_bytes(random, 4))});
    cases.push_back({"inet_ntoa", hex(random_bytes(random, 4))});
  }
  for (std::size_t size : {0u, 1u, 3u, 5u, 15u, 17u}) {
    cases.push_back({"inet_ntoa", hex(std::string(size, 'x'))});
    cases.push_back({"inet_ntop", kInet, hex(std::string(size, 'x'))});
    cases.push_back({"inet_ntop", kInet6, hex(std::string(size, 'x'))});
  }
  for (const std::string family : {"0", "1", "99", "-1"}) {
    cases.push_back({"inet_pton", family, "1.2.3.4"});
    cases.push_back({"inet_ntop", family, "01020304"});
  }
  expect_parity(operations(), "parity_socket.py", cases, 350);
}

TEST(PythonParity, HoldsForByteOrder) {
  std::vector<Case> cases;
  std::vector<std::string> values = {"0",
                                     "1",
                                     "-1",
                                     "255",
                                     "256",
                                     "65535",
                                     "65536",
                                     "2147483647",
                                     "2147483648",
                                     "4294967295",
                                     "4294967296",
                                     "-2147483648",
                                     "4611686018427387904"};
  std::mt19937_64 random(3);
  for (int i = 0; i < 20; ++i) values.push_back(std::to_string(random() & 0xffff));
  for (int i = 0; i < 20; ++i) values.push_back(std::to_string(random() & 0xffffffff));
  for (const std::string function : {"htons", "ntohs", "htonl", "ntohl"})
    for (const std::string& value : values) cases.push_back({function, value});
  expect_parity(operations(), "parity_socket.py", cases, 200);
}

TEST(PythonParity, HoldsForTimeouts) {
  std::vector<std::string> values = {
      "0",    "-0.0",    "1",    "3",   "2.5",   "0.1",    "1e-9",       "1e-10",      "1.5e-9",
      "-1",   "-1e-9",   "nan",  "inf", "1e300", "1e10",   "9223372036", "9223372037", "100",
      "1000", "100000",  "1e6",  "1e7", "1e8",   "1e9",    "123456.789", "0.0001",     "1e-4",
      "1e-5", "0.00012", "4.35", "2.3", "0.3",   "5e-324", "60",         "86400",      "31536000"};
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> exponent(-9, 9.9);
  for (int i = 0; i < 100; ++i) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*g", 1 + static_cast<int>(random() % 17),
                  std::pow(10.0, exponent(random)));
    values.push_back(text);
  }
  std::vector<Case> cases;
  for (const std::string& value : values) {
    if (value == "5e-324") continue;  // std::stod refuses subnormal numbers
    cases.push_back({"timeout", value});
    cases.push_back({"default_timeout", value});
  }
  expect_parity(operations(), "parity_socket.py", cases, 200);
}

TEST(PythonParity, HoldsForErrorsByNumber) {
  std::vector<Case> cases;
  for (int value = 1; value <= 140; ++value) cases.push_back({"os_error", std::to_string(value)});
  expect_parity(operations(), "parity_socket.py", cases, 140);
}

TEST(PythonParity, HoldsForBoundAddresses) {
  std::vector<Case> cases;
  for (const std::string& name : ipv4_names())
    for (const std::string& kind : {kStream, kDatagram})
      cases.push_back({"bind", kInet, kind, name, "0"});
  std::vector<std::string> hosts;
  for (const std::string host :
       {"", "0.0.0.0", "127.0.0.1", "127.0.0.9", "127.255.255.254", "127.1", "0x7f.1", "::1",
        "::", "::ffff:127.0.0.1", "<broadcast>", "255.255.255.255", "192.0.2.1", "no such host",
        "2001:db8::1", "fe80::1", "it's", "a b"})
    hosts.push_back(host);
  for (const std::string& host : hosts)
    for (const std::string& family : {kInet, kInet6})
      for (const std::string& kind : {kStream, kDatagram})
        cases.push_back({"bind", family, kind, host, "0"});
  for (const std::string port : {"65536", "-1", "100000", "-2147483648", "2147483647"})
    for (const std::string& family : {kInet, kInet6})
      cases.push_back({"bind", family, kStream, family == kInet ? "127.0.0.1" : "::1", port});
  for (const std::string flow : {"0", "1", "5", "1048575", "1048576"})
    for (const std::string scope : {"0", "1", "4294967295"})
      cases.push_back({"bind", kInet6, kDatagram, "::1", "0", flow, scope});
  expect_parity(operations(), "parity_socket.py", cases, 100);
}

TEST(PythonParity, HoldsForUnixAddresses) {
  const TemporaryDirectory directory;
  const std::string base = directory / "";
  const std::string abstract = std::string(1, '\0') + base;
  std::vector<Case> cases;
  std::vector<std::string> names = {base + "s",
                                    base + "a b",
                                    base + "it's",
                                    base + "\"q\"",
                                    base +
                                        "b\xc3\xbc"
                                        "cher",
                                    base + "tab\tnew\nline",
                                    abstract,
                                    abstract + std::string("\0x\0", 3),
                                    abstract + "'\"\\\t\n\r",
                                    abstract + "\x01\x7f"};
  for (const std::size_t size : {106u, 107u, 108u, 109u, 200u}) {
    names.push_back(base + std::string(size - base.size(), 'p'));
    names.push_back(abstract + std::string(size - abstract.size(), 'n'));
  }
  names.push_back("/nonexistent/x");
  for (const std::string& name : names) {
    for (const std::string kind : {"1", "2", "5"}) cases.push_back({"bind_unix", kind, name});
    if (name != "/nonexistent/x" && name.size() < 108) cases.push_back({"unix_sender", name});
  }
  cases.push_back({"unix_sender", ""});
  expect_parity(operations(), "parity_socket.py", cases, 60);
}

TEST(PythonParity, HoldsForResolverAnswers) {
  std::vector<Case> cases;
  const auto add = [&cases](const std::string& host, const std::vector<std::string>& families) {
    for (const std::string& family : families) {
      for (const std::string port :
           {"None", "http", "#80", "80", "#0", "#65536", "no-such-service"})
        cases.push_back({"getaddrinfo", host, port, family, "1", "0", "0"});
      for (const std::string flags : {"1", "2", "4", "0x400", "0x40000000"}) {
        // With AI_CANONNAME the resolver asks name servers even for an impossible name.
        if (flags == "2" && host == "no such host") continue;
        cases.push_back({"getaddrinfo", host, "#80", family, "0", "0", flags});
      }
      cases.push_back({"getaddrinfo", host, "domain", family, "2", "17", "0"});
      cases.push_back({"getaddrinfo", host, "#80", family, "1", "17", "0"});
    }
    if (host != "None") cases.push_back({"gethostbyname", host});
  };
  for (const std::string& name : ipv4_names()) add(name, {"0", kInet});
  for (const std::string host : {"None", "", "127.0.0.1", "127.1", "::1", "::", "fe80::1%1",
                                 "no such host", "::ffff:1.2.3.4"})
    add(host, {"0", kInet, kInet6});
  cases.push_back({"gethostbyname", "<broadcast>"});
  cases.push_back({"gethostname"});
  cases.push_back({"getaddrinfo", "127.0.0.1", "#80", "99", "0", "0", "0"});
  cases.push_back({"getaddrinfo", "127.0.0.1", "#80", "2", "99", "0", "0"});
  for (const std::string service :
       {"http",  "https",  "ftp",     "ssh", "telnet", "smtp",    "domain",  "pop3",
        "imap2", "nntp",   "gopher",  "ntp", "echo",   "discard", "daytime", "time",
        "tftp",  "finger", "no-such", "",    "HTTP",   "www",     "80"}) {
    cases.push_back({"getservbyname", service});
    for (const std::string protocol : {"tcp", "udp", "sctp", "no-such"})
      cases.push_back({"getservbyname", service, protocol});
  }
  expect_parity(operations(), "parity_socket.py", cases, 400);
}

TEST(PythonParity, HoldsForTheTextOfSockets) {
  std::vector<Case> cases;
  for (const std::string state : {"fresh", "bound", "closed"}) {
    for (const std::string& kind : {kStream, kDatagram}) {
      cases.push_back({"text", kInet, kind, state, "127.0.0.1"});
      cases.push_back({"text", kInet, kind, state, ""});
      cases.push_back({"text", kInet6, kind, state, "::1"});
      cases.push_back({"text", kUnix, kind, state, "parity-" + std::to_string(::getpid())});
    }
  }
  cases.push_back({"text", kInet, kStream, "listening", "127.0.0.1"});
  cases.push_back({"text", kInet6, kStream, "listening", "::1"});
  cases.push_back({"text", kUnix, "5", "listening", "parity-" + std::to_string(::getpid())});
  expect_parity(operations(), "parity_socket.py", cases, 25);
}

TEST(PythonParity, HoldsForOptions) {
  std::vector<Case> cases;
  const std::pair<std::string, std::string> kinds[] = {
      {kInet, kStream}, {kInet, kDatagram}, {kInet6, kStream}, {kInet6, kDatagram},
      {kUnix, kStream}, {kUnix, kDatagram}, {kUnix, "5"}};
  for (const auto& [family, kind] : kinds) {
    for (int option = 1; option <= 60; ++option) {
      // Options such as SO_INCOMING_CPU depend on the machine, not on the call.
      if (option == 49 || option == 56 || option == 57) continue;
      cases.push_back({"get_int", family, kind, "1", std::to_string(option)});
    }
    for (int option = 1; option <= 40; ++option) {
      if (option == 24) continue;  // TCP_TIMESTAMP is a clock
      cases.push_back({"get_int", family, kind, "0", std::to_string(option)});
      cases.push_back({"get_int", family, kind, "6", std::to_string(option)});
      cases.push_back({"get_int", family, kind, "41", std::to_string(option)});
    }
    for (const std::string length : {"-1", "1", "2", "4", "8", "64", "1024", "1025"})
      cases.push_back({"get_bytes", family, kind, "1", "3", length});
    for (const std::string value : {"0", "1", "-1", "2", "8192", "2147483647", "-2147483648"})
      for (const std::string option : {"2", "6", "7", "8", "9", "12", "13", "15", "9999"})
        cases.push_back({"set_int", family, kind, "1", option, value});
    for (const std::string value : {"", "01", "01000000", "0100000005000000", "6c6f"})
      for (const std::string option : {"2", "9", "13", "25", "20"})
        cases.push_back({"set_bytes", family, kind, "1", option, value});
    for (const std::string option : {"2", "25"})
      for (const std::string length : {"0", "4"})
        cases.push_back({"set_none", family, kind, "1", option, length});
  }
  expect_parity(operations(), "parity_socket.py", cases, 1000);
}

TEST(PythonParity, HoldsForCallsThatFailOrDoNotWait) {
  std::vector<Case> cases;
  for (const auto& [family, kind] : {std::pair{kInet, kStream},
                                     {kInet, kDatagram},
                                     {kInet6, kStream},
                                     {kInet6, kDatagram},
                                     {kUnix, kStream},
                                     {kUnix, kDatagram},
                                     {kUnix, std::string("5")}}) {
    for (const auto& [name, body] : calls()) {
      for (const std::string state : {"open", "closed"})
        cases.push_back({"call", family, kind, state, name});
    }
    cases.push_back({"fileno", family, kind});
  }
  for (const std::string family : {"2", "10", "1", "0", "99", "12345"})
    for (const std::string kind : {"1", "2", "5", "77"})
      for (const std::string proto : {"0", "6", "17", "999"})
        cases.push_back({"socket", family, kind, proto});
  for (const std::string fd : {"-1", "-5", "1000000"}) cases.push_back({"bad_fileno", fd});
  for (const std::string family : {"2", "10"})
    for (const std::string what : {"listening", "refusing"})
      cases.push_back({"connect_ex", family, what});
  cases.push_back({"connect_ex", "1", "/nonexistent/x"});
  cases.push_back({"connect_ex", "1", "/etc/hosts"});
  cases.push_back({"connect_ex", "1", "/"});
  expect_parity(operations(), "parity_socket.py", cases, 250);
}

}  // namespace
}  // namespace plug
