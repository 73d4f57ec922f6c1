#pragma once

#include <plug/socket.hpp>

#include <sys/types.h>
#include <string>
#include <vector>

/// dnsmasq on port 53 of 127.0.0.1, for as long as this lives. It knows what its arguments say and
/// asks nobody else.
class DnsServer {
 public:
  /// Returns once it answers. Throws std::runtime_error when it cannot be started.
  explicit DnsServer(const std::vector<std::string>& arguments);
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;
  ~DnsServer();

 private:
  pid_t process_ = -1;
};

/// A name server on port 53 of 127.0.0.1 that answers when the test says so.
class SilentDnsServer {
 public:
  struct Query {
    plug::Bytes message;
    plug::Address sender;
  };

  SilentDnsServer();

  /// The next query. Throws TimeoutError when none comes within `timeout`.
  Query next(plug::Timeout timeout = 20);
  /// Answers a query of a name's IPv4 address with 127.0.0.1.
  void answer(const Query& query);

 private:
  plug::Socket sock_;
};
