// Tests that the form of a call with an error code has the same result as the throwing one.

#include <plug/family/constants.hpp>
#include <plug/socket.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <tuple>
#include <typeinfo>
#include <utility>
#include <vector>

#include "support/sockets.hpp"

namespace plug {
namespace {

using Error = std::error_code;

/// The objects that the calls need; each call gets new ones.
struct World {
  World() {
    std::tie(sock, peer) = tcp_pair();
    peer.sendall("data");
    udp.bind({"127.0.0.1", 0});
    udp.settimeout(0);
    udp.sendto("datagram", udp.getsockname());
    listening = tcp_listener();
    client.connect(listening.getsockname());
    closed.close();
    silent.first.settimeout(1e-3);
    silent.second.settimeout(1);
    silent.first.sendall("quiet");
  }

  int port() const { return listening.getsockname().port(); }

  Socket sock, peer, closed, fresh, listening, client;
  Socket udp{AF::INET, SOCK::DGRAM};
  Socket refusing = refusing_socket();
  std::pair<Socket, Socket> silent = socketpair();
  OwnedFd file{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  char room[8] = {};
};

struct Case {
  std::string name;
  std::function<std::string(World&)> throwing;
  std::function<std::string(World&, Error&)> coded;
};

std::string text(const Socket& sock) { return sock.fileno() < 0 ? "no socket" : "a socket"; }
std::string text(const std::pair<Socket, Address>& pair) {
  return text(pair.first) + " " + std::to_string(static_cast<int>(pair.second.family()));
}
std::string text(const std::pair<Socket, Socket>& pair) {
  return text(pair.first) + " " + text(pair.second);
}
std::string text(const std::pair<Bytes, Address>& pair) {
  return pair.first + " " + std::to_string(static_cast<int>(pair.second.family()));
}
std::string text(const std::pair<std::size_t, Address>& pair) {
  return text({std::to_string(pair.first), pair.second});
}
std::string text(const ReceivedMessage& message) { return text({message.data, message.address}); }
std::string text(const ReceivedInto& message) { return text({message.count, message.address}); }
std::string text(const ReceivedFds& message) { return text({message.data, message.address}); }
std::string text(const OwnedFd& fd) { return fd ? "a descriptor" : ""; }
std::string text(std::int64_t count) { return std::to_string(count); }
std::string text(const std::string& bytes) { return bytes; }
std::string text(std::size_t count) { return std::to_string(count); }
std::string text(int value) { return std::to_string(value); }
std::string text(const Address& address) {
  return std::to_string(static_cast<int>(address.family()));
}
std::string text(const std::vector<AddrInfo>& answers) { return std::to_string(answers.size()); }

/// A test case: a call in both forms. The coded form has `error` where the other has nothing.
#define BOTH(name, call, coded_call)                                                  \
  Case {                                                                              \
    name, [](World& w) { return static_cast<void>(w), text(call); },                  \
        [](World& w, Error& error) { return static_cast<void>(w), text(coded_call); } \
  }
#define BOTH_VOID(name, call, coded_call)                                                        \
  Case {                                                                                         \
    name, [](World& w) { return static_cast<void>(w), (call), std::string(); },                  \
        [](World& w, Error& error) { return static_cast<void>(w), (coded_call), std::string(); } \
  }

const Address kLoopback = Address::parse("127.0.0.1:0");

std::vector<Case> successes() {
  return {
      BOTH("socket", Socket(AF::INET, SOCK::STREAM, 0), Socket(AF::INET, SOCK::STREAM, 0, error)),
      BOTH("fileno", Socket(Fileno{w.sock.dup().detach()}),
           Socket(Fileno{w.sock.dup().detach()}, {}, {}, {}, error)),
      BOTH("fromfd", fromfd(w.sock.fileno(), AF::INET, SOCK::STREAM),
           fromfd(w.sock.fileno(), AF::INET, SOCK::STREAM, 0, error)),
      BOTH("socketpair", socketpair(), socketpair(AF::UNIX, SOCK::STREAM, 0, error)),
      BOTH("create_connection", create_connection({"127.0.0.1", w.port()}, 20),
           create_connection({"127.0.0.1", w.port()}, error)),
      BOTH("create_server", create_server({"127.0.0.1", 0}),
           create_server({"127.0.0.1", 0}, error)),
      BOTH_VOID("bind", w.fresh.bind(kLoopback), w.fresh.bind(kLoopback, error)),
      BOTH_VOID("listen", w.refusing.listen(3), w.refusing.listen(3, error)),
      BOTH("accept", w.listening.accept(), w.listening.accept(error)),
      BOTH_VOID("connect", w.fresh.connect({"127.0.0.1", w.port()}),
                w.fresh.connect({"127.0.0.1", w.port()}, error)),
      BOTH_VOID("shutdown", w.sock.shutdown(SHUT::WR), w.sock.shutdown(SHUT::WR, error)),
      BOTH_VOID("close", w.sock.close(), w.sock.close(error)),
      BOTH_VOID("close again", w.closed.close(), w.closed.close(error)),
      BOTH("dup", w.sock.dup(), w.sock.dup(error)),
      BOTH("recv", w.sock.recv(3), w.sock.recv(3, error)),
      BOTH("recv flags", w.sock.recv(3, MSG::PEEK), w.sock.recv(3, error, MSG::PEEK)),
      BOTH("recv_into", w.sock.recv_into(w.room), w.sock.recv_into(w.room, error)),
      BOTH("recvfrom", w.udp.recvfrom(3), w.udp.recvfrom(3, error)),
      BOTH("recvfrom stream", w.sock.recvfrom(3), w.sock.recvfrom(3, error)),
      BOTH("recvfrom_into", w.udp.recvfrom_into(w.room), w.udp.recvfrom_into(w.room, error)),
      BOTH("send", w.sock.send("abc"), w.sock.send("abc", error)),
      BOTH("sendall", w.sock.sendall("abc"), w.sock.sendall("abc", error)),
      BOTH("sendall nothing", w.sock.sendall(""), w.sock.sendall("", error)),
      BOTH("sendto", w.udp.sendto("abc", w.udp.getsockname()),
           w.udp.sendto("abc", w.udp.getsockname(), error)),
      BOTH("recvmsg", w.udp.recvmsg(3), w.udp.recvmsg(3, 0, error)),
      BOTH("recvmsg ancsize", w.sock.recvmsg(3, 100), w.sock.recvmsg(3, 100, error)),
      BOTH("recvmsg_into", w.sock.recvmsg_into({w.room}), w.sock.recvmsg_into({w.room}, 0, error)),
      BOTH("recv_fds", recv_fds(w.silent.second, 3, 1), recv_fds(w.silent.second, 3, 1, error)),
      BOTH("sendmsg", w.sock.sendmsg({"abc", "d"}), w.sock.sendmsg({"abc", "d"}, {}, error)),
      BOTH("sendmsg address", w.udp.sendmsg({"abc"}, {}, w.udp.getsockname()),
           w.udp.sendmsg({"abc"}, {}, w.udp.getsockname(), error)),
      BOTH("send_fds", send_fds(w.silent.first, {"abc"}, {0}),
           send_fds(w.silent.first, {"abc"}, {0}, error)),
      BOTH("send_fds address", send_fds(w.silent.first, {"abc"}, {0}, Address()),
           send_fds(w.silent.first, {"abc"}, {0}, Address(), error)),
      BOTH("sendfile", w.sock.sendfile(w.file.fileno(), 1, 2),
           w.sock.sendfile(w.file.fileno(), 1, 2, error)),
      BOTH("dup of fileno", dup(Fileno{0}), dup(Fileno{0}, error)),
      BOTH_VOID("close of fileno", close(Fileno{w.file.detach()}),
                close(Fileno{w.file.detach()}, error)),
      BOTH_VOID("close of OwnedFd", w.file.close(), w.file.close(error)),
      BOTH("getsockname", w.sock.getsockname(), w.sock.getsockname(error)),
      BOTH("getpeername", w.sock.getpeername(), w.sock.getpeername(error)),
      BOTH_VOID("setsockopt int", w.sock.setsockopt(SOL::SOCKET, SO::KEEPALIVE, 1),
                w.sock.setsockopt(SOL::SOCKET, SO::KEEPALIVE, 1, error)),
      BOTH_VOID("setsockopt bytes", w.sock.setsockopt(SOL::SOCKET, SO::LINGER, "12345678"),
                w.sock.setsockopt(SOL::SOCKET, SO::LINGER, "12345678", error)),
      BOTH("getsockopt int", w.sock.getsockopt(SOL::SOCKET, SO::TYPE),
           w.sock.getsockopt(SOL::SOCKET, SO::TYPE, error)),
      BOTH("getsockopt bytes", w.sock.getsockopt(SOL::SOCKET, SO::TYPE, 4),
           w.sock.getsockopt(SOL::SOCKET, SO::TYPE, 4, error)),
      BOTH_VOID("settimeout", w.sock.settimeout(3), w.sock.settimeout(3, error)),
      BOTH("getaddrinfo", getaddrinfo("127.0.0.1", 80),
           getaddrinfo("127.0.0.1", 80, AF::UNSPEC, SOCK{}, 0, AI{}, error)),
  };
}

std::vector<Case> failures() {
  return {
      BOTH("socket", Socket(AF{999}, SOCK::STREAM, 0), Socket(AF{999}, SOCK::STREAM, 0, error)),
      BOTH("fileno negative", Socket(Fileno{-1}), Socket(Fileno{-1}, {}, {}, {}, error)),
      BOTH("fileno closed", Socket(Fileno{1 << 20}), Socket(Fileno{1 << 20}, {}, {}, {}, error)),
      BOTH("fromfd", fromfd(-1, AF::INET, SOCK::STREAM),
           fromfd(-1, AF::INET, SOCK::STREAM, 0, error)),
      BOTH("socketpair", socketpair(AF::INET6), socketpair(AF::INET6, SOCK::STREAM, 0, error)),
      BOTH("create_connection refused",
           create_connection({"127.0.0.1", w.refusing.getsockname().port()}, 20),
           create_connection({"127.0.0.1", w.refusing.getsockname().port()}, error)),
      BOTH("create_connection name", create_connection({"no such host", 1}, 20),
           create_connection({"no such host", 1}, error)),
      BOTH("create_server", create_server(w.listening.getsockname()),
           create_server(w.listening.getsockname(), {}, error)),
      BOTH_VOID("bind used", w.fresh.bind(w.listening.getsockname()),
                w.fresh.bind(w.listening.getsockname(), error)),
      BOTH_VOID("bind closed", w.closed.bind(kLoopback), w.closed.bind(kLoopback, error)),
      BOTH_VOID("bind name", w.fresh.bind({"no such host", 1}),
                w.fresh.bind({"no such host", 1}, error)),
      BOTH_VOID("bind family", w.silent.first.bind({"127.0.0.1", 1}),
                w.silent.first.bind({"127.0.0.1", 1}, error)),
      BOTH_VOID("listen", w.udp.listen(3), w.udp.listen(3, error)),
      BOTH("accept not listening", w.fresh.accept(), w.fresh.accept(error)),
      BOTH("accept closed", w.closed.accept(), w.closed.accept(error)),
      BOTH_VOID("connect refused", w.fresh.connect(w.refusing.getsockname()),
                w.fresh.connect(w.refusing.getsockname(), error)),
      BOTH_VOID("connect name", w.fresh.connect({"no such host", 1}),
                w.fresh.connect({"no such host", 1}, error)),
      BOTH_VOID("shutdown", w.fresh.shutdown(SHUT::WR), w.fresh.shutdown(SHUT::WR, error)),
      BOTH("dup", w.closed.dup(), w.closed.dup(error)),
      BOTH("recv negative", w.sock.recv(-1), w.sock.recv(-1, error)),
      BOTH("recv timeout", w.silent.first.recv(3), w.silent.first.recv(3, error)),
      BOTH("recv would block", w.sock.recv(9, MSG::OOB | MSG::DONTWAIT),
           w.sock.recv(9, error, MSG::OOB | MSG::DONTWAIT)),
      BOTH("recv closed", w.closed.recv(3), w.closed.recv(3, error)),
      BOTH("recv_into timeout", w.silent.first.recv_into(w.room),
           w.silent.first.recv_into(w.room, error)),
      BOTH("recvfrom negative", w.udp.recvfrom(-1), w.udp.recvfrom(-1, error)),
      BOTH("recvfrom closed", w.closed.recvfrom(3), w.closed.recvfrom(3, error)),
      BOTH("recvfrom_into timeout", w.silent.first.recvfrom_into(w.room),
           w.silent.first.recvfrom_into(w.room, error)),
      BOTH("send", w.fresh.send("abc"), w.fresh.send("abc", error)),
      BOTH("sendall", w.fresh.sendall("abc"), w.fresh.sendall("abc", error)),
      BOTH("sendto name", w.udp.sendto("abc", {"no such host", 1}),
           w.udp.sendto("abc", {"no such host", 1}, error)),
      BOTH("sendto family", w.udp.sendto("abc", Address::parse("[::1]:1")),
           w.udp.sendto("abc", Address::parse("[::1]:1"), error)),
      BOTH("recvmsg negative", w.sock.recvmsg(-1), w.sock.recvmsg(-1, 0, error)),
      BOTH("recvmsg ancsize", w.sock.recvmsg(1, -1), w.sock.recvmsg(1, -1, error)),
      BOTH("recvmsg timeout", w.silent.first.recvmsg(1), w.silent.first.recvmsg(1, 0, error)),
      BOTH("recvmsg closed", w.closed.recvmsg(1), w.closed.recvmsg(1, 0, error)),
      BOTH("recvmsg_into ancsize", w.sock.recvmsg_into({w.room}, 1L << 40),
           w.sock.recvmsg_into({w.room}, 1L << 40, error)),
      BOTH("recvmsg_into timeout", w.silent.first.recvmsg_into({w.room}),
           w.silent.first.recvmsg_into({w.room}, 0, error)),
      BOTH("recv_fds negative", recv_fds(w.sock, 3, -1), recv_fds(w.sock, 3, -1, error)),
      BOTH("recv_fds timeout", recv_fds(w.silent.first, 3, 1),
           recv_fds(w.silent.first, 3, 1, error)),
      BOTH("sendmsg", w.fresh.sendmsg({"abc"}), w.fresh.sendmsg({"abc"}, {}, error)),
      BOTH("sendmsg name", w.udp.sendmsg({"abc"}, {}, {"no such host", 1}),
           w.udp.sendmsg({"abc"}, {}, {"no such host", 1}, error)),
      BOTH("send_fds", send_fds(w.silent.first, {"abc"}, {-1}),
           send_fds(w.silent.first, {"abc"}, {-1}, error)),
      BOTH("sendmsg_afalg", w.udp.sendmsg_afalg(ALG::OP_ENCRYPT),
           w.udp.sendmsg_afalg(ALG::OP_ENCRYPT, {}, {}, error)),
      BOTH("sendfile", w.fresh.sendfile(w.file.fileno()),
           w.fresh.sendfile(w.file.fileno(), 0, std::nullopt, error)),
      BOTH("sendfile file", w.sock.sendfile(1 << 20),
           w.sock.sendfile(1 << 20, 0, std::nullopt, error)),
      BOTH("sendfile count", w.sock.sendfile(w.file.fileno(), 0, 0),
           w.sock.sendfile(w.file.fileno(), 0, 0, error)),
      BOTH("sendfile datagram", w.udp.sendfile(w.file.fileno()),
           w.udp.sendfile(w.file.fileno(), 0, std::nullopt, error)),
      BOTH("dup of fileno", dup(Fileno{-1}), dup(Fileno{-1}, error)),
      BOTH_VOID("close of fileno", close(Fileno{-1}), close(Fileno{-1}, error)),
      BOTH_VOID("close of OwnedFd", OwnedFd(1 << 20).close(), OwnedFd(1 << 20).close(error)),
      BOTH("getsockname", w.closed.getsockname(), w.closed.getsockname(error)),
      BOTH("getpeername", w.fresh.getpeername(), w.fresh.getpeername(error)),
      BOTH_VOID("setsockopt int", w.sock.setsockopt(SOL::SOCKET, 9999, 1),
                w.sock.setsockopt(SOL::SOCKET, 9999, 1, error)),
      BOTH_VOID("setsockopt bytes", w.sock.setsockopt(SOL::SOCKET, SO::LINGER, "123"),
                w.sock.setsockopt(SOL::SOCKET, SO::LINGER, "123", error)),
      BOTH("getsockopt int", w.sock.getsockopt(SOL::SOCKET, 9999),
           w.sock.getsockopt(SOL::SOCKET, 9999, error)),
      BOTH("getsockopt bytes", w.sock.getsockopt(SOL::SOCKET, SO::TYPE, 0),
           w.sock.getsockopt(SOL::SOCKET, SO::TYPE, 0, error)),
      BOTH_VOID("settimeout", w.closed.settimeout(3), w.closed.settimeout(3, error)),
      BOTH("getaddrinfo", getaddrinfo("no such host", 80),
           getaddrinfo("no such host", 80, AF::UNSPEC, SOCK{}, 0, AI{}, error)),
  };
}

TEST(ErrorCodeLayout, GivesTheSameResultAndClearsTheError) {
  for (const Case& test : successes()) {
    World first;
    World second;
    const std::string expected = test.throwing(first);
    Error error = std::make_error_code(std::errc::io_error);
    std::string result;
    EXPECT_NO_THROW(result = test.coded(second, error)) << test.name;
    EXPECT_EQ(result, expected) << test.name;
    EXPECT_FALSE(error) << test.name << ": " << error.message();
  }
}

TEST(ErrorCodeLayout, StoresWhatTheOtherThrowsAndDoesNotThrow) {
  for (const Case& test : failures()) {
    World first;
    World second;
    std::string thrown_type;
    std::string thrown_text;
    try {
      test.throwing(first);
    } catch (const std::exception& exception) {
      thrown_type = typeid(exception).name();
      thrown_text = exception.what();
    }
    EXPECT_NE(thrown_type, "") << test.name << " did not throw";

    Error error;
    EXPECT_NO_THROW(test.coded(second, error)) << test.name;
    EXPECT_TRUE(error) << test.name;
    try {
      throw_if(error);
    } catch (const std::exception& exception) {
      EXPECT_EQ(typeid(exception).name(), thrown_type) << test.name;
      const std::string plain = exception.what();
      // Both forms have Python's text. The throwing one may append the object of the call.
      EXPECT_TRUE(thrown_text == plain || thrown_text.rfind(plain + ": ", 0) == 0)
          << test.name << ": " << thrown_text << " / " << plain;
    }
  }
}

TEST(ErrorCodeLayout, ReturnsNothingWhereNothingWasDone) {
  for (const Case& test : failures()) {
    World world;
    Error error;
    const std::string result = test.coded(world, error);
    EXPECT_TRUE(result == "" || result == "0" || result == " 0" || result == "0 0" ||
                result == "no socket" || result == "no socket 0" || result == "no socket no socket")
        << test.name << ": " << result;
  }
}

TEST(ErrorCodeLayout, LeavesNoDescriptorBehind) {
  for (const auto& cases : {successes(), failures()}) {
    for (const Case& test : cases) {
      const int before = settled_descriptors();
      {
        World first;
        World second;
        Error error;
        test.coded(first, error);
        try {
          test.throwing(second);
        } catch (const std::exception&) {
          // The test checks below that nothing is left behind.
        }
      }
      EXPECT_EQ(settled_descriptors(), before) << test.name;
    }
  }
}

TEST(ThrowingLayout, TellsWhatItWasAbout) {
  for (const Case& test : failures()) {
    World world;
    Error error;
    World other;
    test.coded(other, error);
    try {
      test.throwing(world);
    } catch (const std::exception& exception) {
      EXPECT_GT(std::string(exception.what()).size(), error.message().size() + 2) << test.name;
    }
  }
}

}  // namespace
}  // namespace plug
