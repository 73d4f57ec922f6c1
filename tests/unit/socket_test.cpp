// Tests how a socket is created, adopted, duplicated, detached and closed.

#include <plug/socket.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

static_assert(!std::is_copy_constructible_v<Socket> && !std::is_copy_assignable_v<Socket>);
static_assert(std::is_nothrow_move_constructible_v<Socket>);
static_assert(std::is_nothrow_move_assignable_v<Socket>);
static_assert(!std::is_convertible_v<AF, Socket> && !std::is_convertible_v<Fileno, Socket>);
static_assert(!std::is_constructible_v<Socket, SOCK, AF>);
static_assert(!std::is_constructible_v<Socket, int> && !std::is_constructible_v<Socket, int, int>);
static_assert(std::is_same_v<SocketType, Socket>);

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
bool closes_on_exec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }
bool nonblocking(const Socket& sock) { return (::fcntl(sock.fileno(), F_GETFL) & O_NONBLOCK) != 0; }

/// A descriptor that its destructor closes.
struct Raw {
  explicit Raw(int value) : fd(value) {}
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() { ::close(fd); }
  int fd;
};

// --- creating ---

TEST(SocketConstructor, MakesATcpSocketByDefault) {
  const Socket sock;
  EXPECT_EQ(sock.family(), AF::INET);
  EXPECT_EQ(sock.type(), SOCK::STREAM);
  EXPECT_EQ(sock.proto(), 0);
  EXPECT_GE(sock.fileno(), 0);
}

TEST(SocketConstructor, MakesEveryFamilyAndTypeOfThisLibrary) {
  const std::tuple<AF, SOCK, Protocol> table[] = {
      {AF::INET, SOCK::STREAM, 0},           {AF::INET, SOCK::DGRAM, 0},
      {AF::INET6, SOCK::STREAM, 0},          {AF::INET6, SOCK::DGRAM, 0},
      {AF::UNIX, SOCK::STREAM, 0},           {AF::UNIX, SOCK::DGRAM, 0},
      {AF::UNIX, SOCK::SEQPACKET, 0},        {AF::INET, SOCK::STREAM, IPPROTO::TCP},
      {AF::INET, SOCK::DGRAM, IPPROTO::UDP},
  };
  for (const auto& [family, type, proto] : table) {
    const Socket sock(family, type, proto);
    EXPECT_EQ(sock.family(), family);
    EXPECT_EQ(sock.type(), type);
    EXPECT_EQ(sock.proto(), int{proto});
    EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::DOMAIN), static_cast<int>(family));
    EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::TYPE), static_cast<int>(type));
  }
}

TEST(SocketConstructor, PassesTheFlagsOfTheTypeOnAndLeavesThemOut) {
  const Socket sock(AF::INET, SOCK::STREAM | SOCK::NONBLOCK | SOCK::CLOEXEC);
  EXPECT_EQ(sock.type(), SOCK::STREAM);
  EXPECT_TRUE(nonblocking(sock));
  EXPECT_TRUE(sock.gettimeout().is_zero());
}

TEST(SocketConstructor, NamesWhatTheSystemRefuses) {
  const int before = count_descriptors();
  try {
    Socket(AF{12345}, SOCK::STREAM);
    ADD_FAILURE();
  } catch (const OSError& error) {
    EXPECT_EQ(error.number(), EAFNOSUPPORT);
    EXPECT_THAT(error.what(), HasSubstr("family=12345"));
  }
  EXPECT_EQ(number_of_error([] { Socket(AF::INET, SOCK{77}); }), EINVAL);
  EXPECT_EQ(number_of_error([] { Socket(AF::INET, SOCK::STREAM, IPPROTO::UDP); }), EPROTONOSUPPORT);
  std::error_code error;
  const Socket sock(AF{12345}, SOCK::STREAM, 0, error);
  EXPECT_EQ(error, std::errc::address_family_not_supported);
  EXPECT_EQ(sock.fileno(), -1);
  EXPECT_EQ(count_descriptors(), before);
}

TEST(Socketpair, ConnectsTwoOfEachType) {
  for (const SOCK type : {SOCK::STREAM, SOCK::DGRAM, SOCK::SEQPACKET}) {
    auto [first, second] = socketpair(AF::UNIX, type);
    EXPECT_EQ(first.type(), type);
    first.sendall("there");
    second.sendall("back");
    EXPECT_EQ(second.recv(100), "there");
    EXPECT_EQ(first.recv(100), "back");
  }
  EXPECT_EQ(socketpair().first.family(), AF::UNIX);
}

TEST(Socketpair, OfAFamilyThatHasNoneFailsAndLeavesNothingOpen) {
  const int before = count_descriptors();
  EXPECT_EQ(number_of_error([] { std::ignore = socketpair(AF::INET); }), EOPNOTSUPP);
  std::error_code error;
  const auto pair = socketpair(AF::INET, SOCK::STREAM, 0, error);
  EXPECT_TRUE(error);
  EXPECT_EQ(pair.first.fileno(), -1);
  EXPECT_EQ(pair.second.fileno(), -1);
  EXPECT_EQ(count_descriptors(), before);
}

// --- adopting ---

TEST(AdoptedDescriptor, TellsItsFamilyTypeAndProtocol) {
  const std::tuple<int, int, int> table[] = {
      {AF_INET, SOCK_STREAM, IPPROTO_TCP},
      {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
      {AF_INET6, SOCK_STREAM, IPPROTO_TCP},
      {AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
      {AF_UNIX, SOCK_STREAM, 0},
      {AF_UNIX, SOCK_SEQPACKET, 0},
  };
  for (const auto& [family, type, proto] : table) {
    const int fd = ::socket(family, type, 0);
    const Socket sock(Fileno{fd});
    EXPECT_EQ(sock.fileno(), fd);
    EXPECT_EQ(static_cast<int>(sock.family()), family);
    EXPECT_EQ(static_cast<int>(sock.type()), type);
    EXPECT_EQ(sock.proto(), proto);
  }
}

TEST(AdoptedDescriptor, IsWhatTheCallerSaysWhereTheCallerSays) {
  const Socket sock(Fileno{::socket(AF_INET, SOCK_STREAM, 0)}, AF::INET6, SOCK::DGRAM,
                    IPPROTO::UDP);
  EXPECT_EQ(sock.family(), AF::INET6);
  EXPECT_EQ(sock.type(), SOCK::DGRAM);
  EXPECT_EQ(sock.proto(), 17);
  const Socket partly(Fileno{::socket(AF_INET, SOCK_STREAM, 0)}, AF::INET6);
  EXPECT_EQ(partly.family(), AF::INET6);
  EXPECT_EQ(partly.type(), SOCK::STREAM);
  EXPECT_EQ(partly.proto(), 6);
}

TEST(AdoptedDescriptor, IsClosedWithTheSocketAndLeftAsItWas) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  {
    const Socket sock(Fileno{fd});
    EXPECT_FALSE(closes_on_exec(fd));
    EXPECT_TRUE(sock.get_inheritable());
    EXPECT_FALSE(nonblocking(sock));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(AdoptedDescriptor, ThatIsNoSocketStaysTheCallers) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Raw reading(ends[0]);
  const Raw writing(ends[1]);
  EXPECT_EQ(number_of_error([&] { Socket(Fileno{reading.fd}); }), ENOTSOCK);
  EXPECT_EQ(number_of_error([&] { Socket(Fileno{reading.fd}, AF::INET, SOCK::STREAM, 0); }),
            ENOTSOCK);
  std::error_code error;
  const Socket sock(Fileno{reading.fd}, {}, {}, {}, error);
  EXPECT_EQ(error, std::errc::not_a_socket);
  EXPECT_EQ(sock.fileno(), -1);
  EXPECT_TRUE(is_open(reading.fd));
}

TEST(AdoptedDescriptor, ThatIsClosedOrNegativeIsNamed) {
  const int closed = ::socket(AF_INET, SOCK_STREAM, 0);
  ::close(closed);
  EXPECT_EQ(number_of_error([&] { Socket(Fileno{closed}); }), EBADF);
  EXPECT_EQ(number_of_error([&] { Socket(Fileno{closed}, AF::INET, SOCK::STREAM, 0); }), EBADF);
  try {
    Socket(Fileno{-1});
    ADD_FAILURE();
  } catch (const ValueError& error) {
    EXPECT_STREQ(error.what(), "negative file descriptor: fileno -1");
  }
  EXPECT_THROW(Socket(Fileno{-1}, AF::INET), ValueError);
  std::error_code error;
  const Socket sock(Fileno{-5}, {}, {}, {}, error);
  EXPECT_EQ(error, Errc::negative_fileno);
}

TEST(Fromfd, IsADuplicateAndLeavesTheOriginalToTheCaller) {
  auto [sock, peer] = socketpair();
  {
    Socket copy = fromfd(sock.fileno(), AF::UNIX, SOCK::STREAM);
    EXPECT_NE(copy.fileno(), sock.fileno());
    EXPECT_TRUE(closes_on_exec(copy.fileno()));
    copy.sendall("x");
  }
  EXPECT_TRUE(is_open(sock.fileno()));
  EXPECT_EQ(peer.recv(10), "x");
}

TEST(Fromfd, OfWhatIsNoSocketFailsAndLeavesNothingOpen) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Raw reading(ends[0]);
  const Raw writing(ends[1]);
  const int before = count_descriptors();
  EXPECT_EQ(number_of_error([] { std::ignore = fromfd(-1, AF::INET, SOCK::STREAM); }), EBADF);
  EXPECT_EQ(number_of_error([&] { std::ignore = fromfd(reading.fd, AF::INET, SOCK::STREAM); }),
            ENOTSOCK);
  std::error_code error;
  const Socket sock = fromfd(reading.fd, AF::INET, SOCK::STREAM, 0, error);
  EXPECT_EQ(error, std::errc::not_a_socket);
  EXPECT_EQ(sock.fileno(), -1);
  EXPECT_EQ(count_descriptors(), before);
}

// --- closing, detaching, moving ---

TEST(SocketClose, IsIdempotentAndForgetsTheDescriptor) {
  Socket sock;
  const int fd = sock.fileno();
  sock.close();
  EXPECT_FALSE(is_open(fd));
  EXPECT_EQ(sock.fileno(), -1);
  EXPECT_NO_THROW(sock.close());
  std::error_code error = std::make_error_code(std::errc::io_error);
  sock.close(error);
  EXPECT_FALSE(error);
}

TEST(SocketClose, ByTheDestructorLeavesNothingOpen) {
  const int before = count_descriptors();
  {
    Socket first;
    auto pair = socketpair();
    Socket copy = first.dup();
    EXPECT_EQ(count_descriptors(), before + 4);
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(SocketClose, EndsTheConversationForThePeer) {
  auto [sock, peer] = tcp_pair();
  sock.close();
  EXPECT_EQ(peer.recv(10), "");
}

TEST(SocketDetach, GivesTheDescriptorAwayOnce) {
  auto [sock, peer] = socketpair();
  const int fd = sock.fileno();
  {
    const Raw owner(sock.detach());
    EXPECT_EQ(owner.fd, fd);
    EXPECT_EQ(sock.fileno(), -1);
    EXPECT_EQ(sock.detach(), -1);
    sock.close();
    EXPECT_TRUE(is_open(fd));
    EXPECT_EQ(number_of_error([&, &sock = sock] { sock.recv(1); }), EBADF);
  }
  EXPECT_EQ(peer.recv(1), "");
}

TEST(SocketDetach, LeavesTheDescriptorOpenWhenTheSocketDies) {
  int fd = -1;
  {
    Socket sock;
    fd = sock.detach();
  }
  const Raw owner(fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(SocketDup, SharesTheConnectionUnderAnotherNumber) {
  auto [sock, peer] = tcp_pair();
  Socket copy = sock.dup();
  EXPECT_NE(copy.fileno(), sock.fileno());
  EXPECT_EQ(copy.family(), sock.family());
  EXPECT_EQ(copy.type(), sock.type());
  EXPECT_EQ(copy.getpeername(), sock.getpeername());
  EXPECT_TRUE(closes_on_exec(copy.fileno()));
  sock.close();
  copy.sendall("still here");
  EXPECT_EQ(peer.recv(100), "still here");
}

TEST(SocketMove, TakesTheDescriptorAlong) {
  Socket first;
  const int fd = first.fileno();
  Socket second = std::move(first);
  EXPECT_EQ(second.fileno(), fd);
  EXPECT_EQ(first.fileno(), -1);  // NOLINT(bugprone-use-after-move): its state then
  first = std::move(second);
  EXPECT_EQ(first.fileno(), fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(SocketMove, ByAssignmentClosesWhatWasThere) {
  Socket first;
  Socket second;
  const int lost = first.fileno();
  const int kept = second.fileno();
  first = std::move(second);
  EXPECT_FALSE(is_open(lost));
  EXPECT_TRUE(is_open(kept));
  EXPECT_EQ(first.fileno(), kept);
}

/// Every call on a socket without a descriptor, by name.
const std::vector<std::pair<std::string, std::function<void(Socket&)>>>& calls() {
  static const std::vector<std::pair<std::string, std::function<void(Socket&)>>> table = {
      {"bind",
       [](Socket& s) {
         s.bind({"127.0.0.1", 0});
       }},
      {"bind address", [](Socket& s) { s.bind(Address::parse("127.0.0.1:0")); }},
      {"bind unix", [](Socket& s) { s.bind(UnixAddress("/nonexistent/x")); }},
      {"listen", [](Socket& s) { s.listen(); }},
      {"accept", [](Socket& s) { std::ignore = s.accept(); }},
      {"connect",
       [](Socket& s) {
         s.connect({"127.0.0.1", 9});
       }},
      {"connect address", [](Socket& s) { s.connect(Address::parse("127.0.0.1:9")); }},
      {"shutdown", [](Socket& s) { s.shutdown(SHUT::RDWR); }},
      {"dup", [](Socket& s) { std::ignore = s.dup(); }},
      {"recv", [](Socket& s) { s.recv(1); }},
      {"recv_into",
       [](Socket& s) {
         char b[4];
         s.recv_into(b);
       }},
      {"recvfrom", [](Socket& s) { s.recvfrom(1); }},
      {"recvfrom_into",
       [](Socket& s) {
         char b[4];
         s.recvfrom_into(b);
       }},
      {"send", [](Socket& s) { std::ignore = s.send("x"); }},
      {"sendall", [](Socket& s) { s.sendall("x"); }},
      {"sendall of nothing", [](Socket& s) { s.sendall(""); }},
      {"sendto",
       [](Socket& s) {
         s.sendto("x", {"127.0.0.1", 9});
       }},
      {"sendto address", [](Socket& s) { s.sendto("x", Address::parse("127.0.0.1:9")); }},
      {"getsockname", [](Socket& s) { s.getsockname(); }},
      {"getpeername", [](Socket& s) { s.getpeername(); }},
      {"setsockopt", [](Socket& s) { s.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1); }},
      {"setsockopt bytes", [](Socket& s) { s.setsockopt(SOL::SOCKET, SO::LINGER, "12345678"); }},
      {"setsockopt none",
       [](Socket& s) { s.setsockopt(SOL::SOCKET, SO::BINDTODEVICE, std::nullopt, 0); }},
      {"getsockopt", [](Socket& s) { s.getsockopt(SOL::SOCKET, SO::TYPE); }},
      {"getsockopt bytes", [](Socket& s) { s.getsockopt(SOL::SOCKET, SO::TYPE, 4); }},
      {"settimeout", [](Socket& s) { s.settimeout(1); }},
      {"setblocking", [](Socket& s) { s.setblocking(true); }},
      {"get_inheritable", [](Socket& s) { s.get_inheritable(); }},
      {"set_inheritable", [](Socket& s) { s.set_inheritable(true); }},
      {"connect_ex",
       [](Socket& s) {
         const int number = s.connect_ex({"127.0.0.1", 9});
         if (number != 0) throw OSError({number, std::system_category()});
       }},
  };
  return table;
}

TEST(SocketWithoutDescriptor, AnswersEveryCallWithEbadf) {
  for (const auto& [name, call] : calls()) {
    Socket closed;
    closed.close();
    EXPECT_EQ(number_of_error([&, &run = call] { run(closed); }), EBADF) << name << ", closed";
    Socket moved;
    const Socket taker = std::move(moved);
    EXPECT_EQ(number_of_error([&, &run = call] { run(moved); }), EBADF) << name << ", moved from";
    Socket detached;
    const Raw owner(detached.detach());
    EXPECT_EQ(number_of_error([&, &run = call] { run(detached); }), EBADF) << name << ", detached";
  }
}

TEST(SocketWithoutDescriptor, StillTellsWhatItWas) {
  Socket sock(AF::INET6, SOCK::DGRAM);
  sock.settimeout(2.5);
  sock.close();
  EXPECT_EQ(sock.family(), AF::INET6);
  EXPECT_EQ(sock.type(), SOCK::DGRAM);
  EXPECT_EQ(sock.gettimeout(), Timeout(2.5));
}

TEST(SocketWithoutDescriptor, MovedFromIsClosedInEveryOtherWay) {
  Socket sock;
  const Socket taker = std::move(sock);
  EXPECT_NO_THROW(sock.close());  // NOLINT(bugprone-use-after-move): its state then
  EXPECT_EQ(sock.detach(), -1);
  EXPECT_TRUE(sock.gettimeout().is_none());
  EXPECT_TRUE(sock.getblocking());
  EXPECT_THAT(to_string(sock), StartsWith("<plug.Socket [closed] fd=-1"));
}

// --- timeouts and blocking mode ---

TEST(SocketTimeout, IsNoneAtFirstAndReadBack) {
  Socket sock;
  EXPECT_TRUE(sock.gettimeout().is_none());
  EXPECT_TRUE(sock.getblocking());
  for (const Timeout timeout : {Timeout(2.5), Timeout(0), Timeout(1e-9), Timeout(std::nullopt)}) {
    sock.settimeout(timeout);
    EXPECT_EQ(sock.gettimeout(), timeout);
  }
  EXPECT_THROW(sock.settimeout(-1), ValueError);
  EXPECT_TRUE(sock.gettimeout().is_none());
}

TEST(SocketTimeout, OfAnyLengthPutsTheDescriptorIntoNonblockingMode) {
  Socket sock;
  EXPECT_FALSE(nonblocking(sock));
  sock.settimeout(5);
  EXPECT_TRUE(nonblocking(sock));
  EXPECT_TRUE(sock.getblocking());
  sock.settimeout(std::nullopt);
  EXPECT_FALSE(nonblocking(sock));
  sock.settimeout(0);
  EXPECT_TRUE(nonblocking(sock));
  EXPECT_FALSE(sock.getblocking());
}

TEST(SocketTimeout, IsSetByBlockingMode) {
  Socket sock;
  sock.setblocking(false);
  EXPECT_TRUE(sock.gettimeout().is_zero());
  EXPECT_FALSE(sock.getblocking());
  EXPECT_TRUE(nonblocking(sock));
  sock.setblocking(true);
  EXPECT_TRUE(sock.gettimeout().is_none());
  EXPECT_TRUE(sock.getblocking());
  EXPECT_FALSE(nonblocking(sock));
  EXPECT_EQ(sock.type(), SOCK::STREAM);
}

TEST(SocketTimeout, IsCopiedByDupWhichSharesTheMode) {
  Socket sock;
  sock.settimeout(5);
  Socket copy = sock.dup();
  EXPECT_EQ(copy.gettimeout(), Timeout(5));
  copy.settimeout(std::nullopt);
  EXPECT_EQ(sock.gettimeout(), Timeout(5));
  EXPECT_FALSE(nonblocking(sock));
}

// --- inheritability ---

TEST(SocketInheritable, IsOffForEverySocketThatTheLibraryMakes) {
  Socket listener = tcp_listener();
  Socket client = create_connection({"127.0.0.1", listener.getsockname().port()});
  auto [served, peer] = listener.accept();
  auto pair = socketpair();
  const Socket copy = client.dup();
  const Socket from = fromfd(client.fileno(), AF::INET, SOCK::STREAM);
  for (const Socket* sock : std::initializer_list<const Socket*>{
           &listener, &client, &served, &pair.first, &pair.second, &copy, &from}) {
    EXPECT_FALSE(sock->get_inheritable());
    EXPECT_TRUE(closes_on_exec(sock->fileno()));
  }
}

TEST(SocketInheritable, SwitchesCloseOnExec) {
  Socket sock;
  sock.set_inheritable(true);
  EXPECT_TRUE(sock.get_inheritable());
  EXPECT_FALSE(closes_on_exec(sock.fileno()));
  sock.set_inheritable(false);
  EXPECT_FALSE(sock.get_inheritable());
  EXPECT_TRUE(closes_on_exec(sock.fileno()));
}

TEST(SocketInheritable, DecidesWhatAProgramFindsOpenAfterExec) {
  auto [sock, peer] = socketpair();
  sock.settimeout(1e-3);  // a wait creates a descriptor of its own
  EXPECT_THROW(sock.recv(1), TimeoutError);
  Socket listener = tcp_listener();
  Socket client = create_connection({"127.0.0.1", listener.getsockname().port()}, std::nullopt);
  auto [served, address] = listener.accept();
  Socket given;
  given.set_inheritable(true);

  int status = 0;
  const std::string listing = run_program(
      {"sh", "-c", "for fd in /proc/$$/fd/*; do echo \"${fd##*/} $(readlink $fd)\"; done"}, status);
  ASSERT_EQ(status, 0);
  std::istringstream lines(listing);
  std::vector<int> sockets;
  int number = 0;
  for (std::string target; lines >> number && std::getline(lines, target);)
    if (number > 2 && (target.find("socket:") != std::string::npos ||
                       target.find("eventfd") != std::string::npos))
      sockets.push_back(number);
  EXPECT_THAT(sockets, ::testing::ElementsAre(given.fileno())) << listing;
}

// --- names and text ---

TEST(SocketNames, AreThoseOfBothEnds) {
  auto [sock, peer] = tcp_pair();
  EXPECT_EQ(sock.getsockname(), peer.getpeername());
  EXPECT_EQ(sock.getpeername(), peer.getsockname());
  EXPECT_EQ(sock.getsockname().host(), "127.0.0.1");
}

TEST(SocketNames, OfAnUnboundSocketAreEmpty) {
  EXPECT_EQ(to_string(Socket().getsockname()), "('0.0.0.0', 0)");
  EXPECT_EQ(to_string(Socket(AF::INET6).getsockname()), "('::', 0, 0, 0)");
  EXPECT_EQ(to_string(Socket(AF::UNIX).getsockname()), "");
  EXPECT_EQ(number_of_error([] { Socket().getpeername(); }), ENOTCONN);
}

TEST(SocketText, NamesTheDescriptorAndBothAddresses) {
  auto [sock, peer] = tcp_pair();
  const std::string fd = std::to_string(sock.fileno());
  EXPECT_EQ(to_string(sock), "<plug.Socket fd=" + fd + ", family=2, type=1, proto=0, laddr=" +
                                 to_string(sock.getsockname()) +
                                 ", raddr=" + to_string(sock.getpeername()) + ">");
  std::ostringstream out;
  out << sock;
  EXPECT_EQ(out.str(), to_string(sock));
}

TEST(SocketText, LeavesOutWhatIsNotThere) {
  Socket sock;
  EXPECT_EQ(to_string(sock), "<plug.Socket fd=" + std::to_string(sock.fileno()) +
                                 ", family=2, type=1, proto=0, laddr=('0.0.0.0', 0)>");
  const auto pair = socketpair();
  EXPECT_EQ(to_string(pair.first), "<plug.Socket fd=" + std::to_string(pair.first.fileno()) +
                                       ", family=1, type=1, proto=0>");
  sock.close();
  EXPECT_EQ(to_string(sock), "<plug.Socket [closed] fd=-1, family=2, type=1, proto=0>");
}

TEST(SocketText, ShowsTheUnixPath) {
  const TemporaryDirectory directory;
  Socket sock(AF::UNIX);
  sock.bind(UnixAddress(directory / "s"));
  EXPECT_THAT(to_string(sock), HasSubstr("laddr=" + (directory / "s") + ">"));
}

}  // namespace
}  // namespace plug
