// Compares name services, interfaces and connection helpers with Python's.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "support/namespaces.hpp"
#include "support/parity_names.hpp"

namespace plug::parity {
namespace {

const std::map<std::string, std::string> kFiles = {
    {"/etc/nsswitch.conf", "hosts: files\nservices: files\nprotocols: files\n"},
    {"/etc/hosts",
     "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
     "127.0.0.5 five five.test fifth.test\n127.0.0.5 again.test\n127.0.0.6 six.test six\n"
     "127.0.0.7 many.test\n127.0.0.8 many.test\n2001:db8::7 many.test\n"
     "2001:db8::9 only-six.test\n"}};

/// Compares with only the files above and without a name server.
void expect_parity(const std::vector<Case>& cases, std::size_t least) {
  const int status = run_in_namespaces(kFiles, false, [&] {
    parity::expect_parity(name_operations(), "parity_resolver.py", cases, least);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  if (status == kNoNamespaces) GTEST_SKIP() << "no name spaces here";
  EXPECT_EQ(status, 0);
}

/// Numbers and names as hosts, and texts that only look like them.
const std::vector<std::string> kHosts = {
    "127.0.0.1",       "127.0.0.9",  "127.1",      "0x7f.1",  "::1",       "::",
    "::ffff:1.2.3.4",  "fe80::1",    "fe80::1%1",  "ff02::1", "0.0.0.0",   "",
    "255.255.255.255", "localhost",  "256.0.0.1.", "it's",    "1.2.3.4.5", "no such host",
    "fe80::1%nope",    ":::",        "12345::",    "1..2",    "a b",       "2001:db8::1%1",
    "five.test",       "2001:db8::7"};

TEST(ResolverParity, HoldsForNameInfo) {
  std::vector<Case> cases;
  for (const std::string& host : kHosts) {
    for (const std::string flags : {"0", "1", "3", "4", "8", "0x10", "0x11", "0x13", "0x40000000"})
      for (const std::string port : {"0", "80", "53", "65535"})
        cases.push_back({"getnameinfo", flags, host, port});
    for (const std::string scope : {"0", "1", "99999"})
      cases.push_back({"getnameinfo", "3", host, "80", "5", scope});
  }
  for (const std::string flow : {"1048575", "1048576", "4294967295"})
    cases.push_back({"getnameinfo", "3", "::1", "80", flow, "0"});
  expect_parity(cases, 500);
}

TEST(ResolverParity, HoldsForHosts) {
  std::vector<Case> cases;
  std::vector<std::string> hosts = kHosts;
  for (const std::string name : {"five", "fifth.test", "again.test", "six.test", "six", "many.test",
                                 "only-six.test", "FIVE.TEST", "127.0.0.5", "127.0.0.6",
                                 "2001:db8::9", "<broadcast>", "10.1.2.3", "five.test."})
    hosts.push_back(name);
  for (const std::string& host : hosts)
    for (const std::string operation :
         {"gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"}) {
      // Python's encoding refuses these with UnicodeError; here libc refuses them.
      if (host == "1..2" || host == "256.0.0.1.") continue;
      cases.push_back({operation, host});
    }
  for (const std::string host : {" localhost ", "\tlocalhost\n", "0.0.0.0", "::", " "})
    cases.push_back({"getfqdn", host});
  expect_parity(cases, 120);
}

TEST(ResolverParity, HoldsForAddressesInTime) {
  std::vector<Case> cases;
  for (const std::string operation : {"getaddrinfo", "getaddrinfo in time"}) {
    for (const std::string host :
         {"None", "127.0.0.1", "::1", "localhost", "", "no such host", "many.test", "five"})
      for (const std::string port : {"None", "#80", "http", "#99999", "#-1", "no-such"})
        for (const std::string family : {"0", "2", "10", "99"})
          for (const std::string flags : {"0", "1", "0x20", "0x400"})
            cases.push_back({operation, host, port, family, "1", "0", flags});
    for (const std::string host : {"127.0.0.1", "::1", "localhost"})
      for (const std::string flags : {"4", "8", "0x18", "0x404", "0x40000000"})
        cases.push_back({operation, host, "#80", "10", "1", "0", flags});
    for (const std::string kind : {"0", "1", "2", "3", "5", "99"})
      for (const std::string proto : {"0", "6", "17", "255", "-1"})
        cases.push_back({operation, "127.0.0.1", "#80", "0", kind, proto, "0"});
  }
  expect_parity(cases, 1000);
}

TEST(ResolverParity, HoldsForServicesAndProtocols) {
  std::vector<Case> cases;
  for (int port = -1; port <= 200; ++port) cases.push_back({"getservbyport", std::to_string(port)});
  for (const std::string port : {"443", "993", "3306", "8080", "65535", "65536", "1000000"})
    for (const std::string protocol : {"tcp", "udp", "sctp", "no-such"})
      cases.push_back({"getservbyport", port, protocol});
  std::ifstream protocols("/etc/protocols");
  for (std::string line; std::getline(protocols, line);) {
    std::istringstream fields(line.substr(0, line.find('#')));
    std::string name;
    std::string number;
    std::string alias;
    if (!(fields >> name >> number)) continue;
    cases.push_back({"getprotobyname", name});
    if (fields >> alias) cases.push_back({"getprotobyname", alias});
  }
  for (const std::string name : {"", "no-such", "6", "tcp ", " tcp"})
    cases.push_back({"getprotobyname", name});
  cases.push_back({"getprotobyname", std::string("tcp\0", 4)});
  expect_parity(cases, 300);
}

TEST(ResolverParity, HoldsForInterfaces) {
  std::vector<Case> cases = {{"if_nameindex"}, {"has_dualstack_ipv6"}};
  for (const std::string name :
       {"lo", "", "no-such", "lo ", "LO", "a-name-beyond-16-bytes", "lo:1", "1"})
    cases.push_back({"if_nametoindex", name});
  for (const auto& [index, name] : if_nameindex()) {
    cases.push_back({"if_nametoindex", name});
    cases.push_back({"if_indextoname", std::to_string(index)});
  }
  for (const std::string index : {"0", "-1", "9999", "2147483647", "2147483648", "4294967295"})
    cases.push_back({"if_indextoname", index});
  for (const std::string descriptor : {"-1", "1000000"}) {
    cases.push_back({"dup", descriptor});
    cases.push_back({"close", descriptor});
  }
  expect_parity(cases, 20);
}

TEST(ResolverParity, HoldsForServers) {
  std::vector<Case> cases;
  for (const std::string family : {"2", "10", "1", "99"})
    for (const std::string host : {"", "127.0.0.1", "::1", "::", "localhost", "192.0.2.1"})
      for (const std::string backlog : {"-1", "0", "128"})
        for (const std::string reuse : {"False", "True"})
          for (const std::string dual : {"False", "True"}) {
            // Python's tuple is no Unix address: it raises TypeError.
            if (family == "1" && dual == "False") continue;
            cases.push_back({"create_server", family, host, "0", backlog, reuse, dual});
          }
  for (const std::string port : {"-1", "65536"})
    cases.push_back({"create_server", "2", "127.0.0.1", port, "1", "False", "False"});
  cases.push_back({"create_server in use", "2", "127.0.0.1"});
  cases.push_back({"create_server in use", "10", "::1"});
  expect_parity(cases, 150);
}

TEST(ResolverParity, HoldsForConnections) {
  std::vector<Case> cases;
  for (const std::string state : {"listening", "refusing"})
    for (const std::string all : {"False", "True"}) {
      const auto add = [&](const std::string& family, const std::string& host,
                           const std::string& target) {
        for (const std::string source :
             {"None", "127.0.0.1", "127.0.0.7", "::1", "", "192.0.2.1", "no such host"})
          cases.push_back({"create_connection", family, host, state, target, source, "0", all});
      };
      add("2", "127.0.0.1", "127.0.0.1");
      add("2", "127.0.0.1", "localhost");
      add("2", "127.0.0.3", "127.0.0.3");
      add("10", "::1", "::1");
      add("2", "127.0.0.1", "no such host");
      add("2", "127.0.0.1", "");
      add("2", "127.0.0.1", "::1");
    }
  expect_parity(cases, 190);
}

}  // namespace
}  // namespace plug::parity
