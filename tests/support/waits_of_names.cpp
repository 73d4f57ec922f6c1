// Waits of lookups, and of connections to a name.

#include <plug/resolve.hpp>

#include <atomic>
#include <tuple>

#include "support/sockets.hpp"
#include "support/waits.hpp"

namespace waits {

using plug::AF;
using plug::Bytes;
using plug::HostPort;
using plug::Socket;
using plug::Timeout;

namespace {

/// A name server that holds its answers back until let_go(). It answers 127.0.0.1 for every name,
/// and no name for any address.
class HeldNameServer {
 public:
  HeldNameServer() : sock_(AF::INET, plug::SOCK::DGRAM) { sock_.bind({"127.0.0.1", 53}); }
  HeldNameServer(const HeldNameServer&) = delete;
  HeldNameServer& operator=(const HeldNameServer&) = delete;
  /// Answers all queries: libc continues a lookup after its caller has given it up.
  ~HeldNameServer() {
    let_go();
    ending_ = true;
    answering_.join();
  }

  void let_go() {
    if (answering_.joinable()) return;
    sock_.settimeout(0.02);
    answering_ = std::thread([this] {
      // Continues until no query is left.
      for (bool more = true; more || !ending_;) {
        std::error_code none;
        auto [query, sender] = sock_.recvfrom(512, none);
        more = !none;
        if (more) answer(query, sender);
      }
    });
  }

 private:
  void answer(const Bytes& query, const plug::Address& sender) {
    constexpr std::size_t kHeader = 12;  // RFC 1035, 4.1
    const std::size_t type = query.find('\0', kHeader) + 1;
    const bool of_address = query.substr(type, 2) == Bytes("\0\1", 2);
    const bool of_name = query.substr(type, 2) == Bytes("\0\14", 2);
    Bytes reply = query.substr(0, type + 4);
    reply.replace(2, 10, Bytes("\x81\x80\0\1\0\0\0\0\0\0", 10));
    reply[3] = static_cast<char>(of_name ? 0x83 : 0x80);
    if (of_address) {
      reply[7] = 1;
      reply += Bytes("\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1", 16);
    }
    std::error_code gone;
    sock_.sendto(reply, sender, gone);
  }

  Socket sock_;
  std::atomic<bool> ending_{false};
  std::thread answering_;
};

template <class F>
Wait looking_up(F look_up) {
  auto server = std::make_shared<HeldNameServer>();
  return {.call = [server, look_up] { look_up(); }, .let_go = [server] { server->let_go(); }};
}

template <class F>
Scenario of_look_up(std::string_view name, std::string_view file, F look_up) {
  return {name, "select", file, kNeedsNames | kNoHookOnThreads,
          [look_up](Timeout) { return looking_up(look_up); }};
}

plug::ConnectOptions with(Timeout timeout, bool happy_eyeballs, bool all_errors) {
  plug::ConnectOptions options{.timeout = timeout, .all_errors = all_errors};
  if (happy_eyeballs) options.happy_eyeballs_delay = 30;
  return options;
}

/// Connects to a name with two addresses (see the test's /etc/hosts). The first does not answer,
/// the second would.
Wait connecting(const plug::ConnectOptions& options) {
  struct Things {
    FullListener silent;
    Socket listener;
  };
  auto things = std::make_shared<Things>();
  const int port = things->silent.address().port();
  things->listener.bind({"127.0.0.2", port});
  things->listener.listen();
  return {.call = [things, options, port] {
    std::ignore = plug::create_connection({"two.test", port}, options);
  }};
}

Scenario of_connection(std::string_view name, bool happy_eyeballs, bool all_errors) {
  return {name, happy_eyeballs ? "select" : "connect",
          happy_eyeballs ? "socket/connect_race.cpp" : "socket/connect.cpp", kNeedsNames,
          [=](Timeout timeout) { return connecting(with(timeout, happy_eyeballs, all_errors)); }};
}

/// Connects while the source address, which is given as a name, is looked up.
Wait connecting_from_a_name(bool happy_eyeballs, bool all_errors) {
  auto server = std::make_shared<HeldNameServer>();
  auto listener = std::make_shared<Socket>(tcp_listener());
  plug::ConnectOptions options = with(std::nullopt, happy_eyeballs, all_errors);
  options.source = HostPort("silent.test", 0);
  return {.call =
              [server, listener, options] {
                std::ignore =
                    plug::create_connection({"127.0.0.1", listener->getsockname().port()}, options);
              },
          .let_go = [server] { server->let_go(); }};
}

Wait connecting_to_a_silent_name() {
  auto server = std::make_shared<HeldNameServer>();
  auto listener = std::make_shared<Socket>(tcp_listener());
  return {
      .call =
          [server, listener] {
            std::ignore = plug::create_connection({"silent.test", listener->getsockname().port()});
          },
      .let_go = [server] { server->let_go(); }};
}

Wait looking_up_in_time(Timeout timeout) {
  return looking_up([timeout] {
    plug::getaddrinfo("silent.test", 80, AF::INET, plug::SOCK{}, 0, plug::AI{}, timeout);
  });
}

}  // namespace

std::vector<Scenario> of_names() {
  const std::string_view resolve = "resolve/resolve.cpp";
  constexpr unsigned kLibc = kNeedsNames | kNoHookOnThreads;
  return {
      {"getaddrinfo", "select", "wait/offload.cpp", kNeedsNames | kTimed | kNoHookOnThreads,
       looking_up_in_time},
      of_look_up("gethostbyname", resolve, [] { plug::gethostbyname("silent.test"); }),
      of_look_up("gethostbyname_ex", resolve, [] { plug::gethostbyname_ex("silent.test"); }),
      of_look_up("gethostbyaddr", resolve,
                 [] {
                   try {
                     plug::gethostbyaddr("127.0.0.99");
                   } catch (const plug::herror&) {
                     // The address has no name.
                   }
                 }),
      of_look_up("getfqdn", resolve, [] { plug::getfqdn("127.0.0.99"); }),
      of_look_up("getnameinfo", resolve,
                 [] { plug::getnameinfo(HostPort("127.0.0.99", 80), plug::NI{}); }),
      of_look_up("connect to a name", "socket/calls.hpp",
                 [] {
                   std::error_code refused;
                   Socket sock;
                   sock.connect({"silent.test", 9}, refused);
                   if (refused != std::errc::connection_refused) plug::throw_if(refused);
                 }),
      of_look_up("bind to a name", "socket/calls.hpp",
                 [] {
                   Socket().bind({"silent.test", 0});
                 }),
      of_look_up("sendto a name", "socket/calls.hpp",
                 [] {
                   Socket(AF::INET, plug::SOCK::DGRAM).sendto("x", {"silent.test", 9});
                 }),
      {"create_connection to a silent name", "select", "socket/connect.cpp", kLibc,
       [](Timeout) { return connecting_to_a_silent_name(); }},
      {"create_connection from a name", "select", "socket/connect_race.cpp", kLibc,
       [](Timeout) { return connecting_from_a_name(false, false); }},
      {"create_connection from a name, all_errors", "select", "socket/connect_race.cpp", kLibc,
       [](Timeout) { return connecting_from_a_name(false, true); }},
      {"create_connection from a name, happy eyeballs", "select", "socket/connect_race.cpp", kLibc,
       [](Timeout) { return connecting_from_a_name(true, false); }},
      {"create_connection from a name, happy eyeballs, all_errors", "select",
       "socket/connect_race.cpp", kLibc,
       [](Timeout) { return connecting_from_a_name(true, true); }},
      of_connection("create_connection", false, false),
      of_connection("create_connection, all_errors", false, true),
      of_connection("create_connection, happy eyeballs", true, false),
      of_connection("create_connection, happy eyeballs, all_errors", true, true),
  };
}

}  // namespace waits
