#pragma once

#include <plug/socket.hpp>

#include <sys/types.h>
#include <string>
#include <vector>

/// Runs dnsmasq on port 53 of 127.0.0.1 until the destructor. dnsmasq knows only the records that
/// its arguments name, and asks no other server.
class DnsServer {
 public:
  /// Returns once the server has started. Throws std::runtime_error if it cannot start.
  explicit DnsServer(const std::vector<std::string>& arguments);
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;
  ~DnsServer();

 private:
  pid_t process_ = -1;
};

/// A name server on port 53 of 127.0.0.1 that answers only when the test tells it to.
class SilentDnsServer {
 public:
  struct Query {
    plug::Bytes message;
    plug::Address sender;
  };

  SilentDnsServer();

  /// Returns the next query. Throws TimeoutError if none arrives within `timeout`.
  Query next(plug::Timeout timeout = 20);
  /// Answers a query for the IPv4 address of a name with 127.0.0.1.
  void answer(const Query& query);

 private:
  plug::Socket sock_;
};
