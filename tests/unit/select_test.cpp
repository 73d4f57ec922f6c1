// Tests FileObject, select(), Poll and Epoll.

#include <plug/select.hpp>
#include <plug/stream.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "socket/state.hpp"
#include "support/blocked_thread.hpp"
#include "support/deadlines.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "wait/io_driver.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;

/// A user's object with a descriptor.
struct Connection {
  int fileno() { return sock.fileno(); }
  std::string name;
  Socket sock;
};

// --- FileObject ---

static_assert(std::is_trivially_copyable_v<FileObject>, "remembering takes no memory of its own");
static_assert(!std::is_constructible_v<FileObject, Socket>, "what ends at once is not waited for");
static_assert(!std::is_constructible_v<FileObject, std::string&>);
static_assert(!std::is_constructible_v<FileObject, double>);
static_assert(!std::is_constructible_v<FileObject, bool>);

TEST(FileObject, RemembersWhichObjectItIs) {
  auto [sock, peer] = socketpair();
  const FileObject object = sock;
  EXPECT_TRUE(object.is(sock));
  EXPECT_FALSE(object.is(peer));
  EXPECT_FALSE(object.is(sock.fileno()));
  EXPECT_EQ(object.fileno(), sock.fileno());
  EXPECT_EQ(object.get_if<Socket>(), &sock);
  EXPECT_EQ(&object.get<Socket>(), &sock);
  EXPECT_EQ(object.get_if<Connection>(), nullptr);
  EXPECT_EQ(object, FileObject(sock));
  EXPECT_NE(object, FileObject(peer));
  EXPECT_NE(object, FileObject(sock.fileno()));
  FileObject original = sock;
  const FileObject copy(original);
  EXPECT_TRUE(copy.is(sock)) << "the same object, not the reference to it";
}

TEST(FileObject, GivesAConstantObjectAsAConstantAlone) {
  auto [sock, peer] = socketpair();
  const Socket& constant = sock;
  EXPECT_EQ(FileObject(constant).get_if<Socket>(), nullptr);
  EXPECT_EQ(FileObject(constant).get_if<const Socket>(), &sock);
  EXPECT_EQ(FileObject(sock).get_if<const Socket>(), &sock);
}

TEST(FileObject, NamesBothTypesIfItIsAnother) {
  const Socket sock;
  EXPECT_EQ(text_of_error<TypeError>([&] { std::ignore = FileObject(sock).get<Socket>(); }),
            "the object is a const plug::Socket, not a plug::Socket");
  Socket other;
  EXPECT_EQ(text_of_error<TypeError>([&] { std::ignore = FileObject(other).get<File>(); }),
            "the object is a plug::Socket, not a plug::File");
  EXPECT_EQ(text_of_error<TypeError>([] { std::ignore = FileObject(7).get<Socket>(); }),
            "the object is a number, not a plug::Socket");
}

TEST(FileObject, TakesWhateverHasAFileno) {
  auto [sock, peer] = socketpair();
  Connection connection{"a", std::move(sock)};
  OwnedFd owned = dup(Fileno{peer.fileno()});
  File file = peer.makefile("rb");
  EXPECT_EQ(FileObject(connection).get<Connection>().name, "a");
  EXPECT_EQ(FileObject(connection).fileno(), connection.sock.fileno());
  EXPECT_EQ(FileObject(owned).fileno(), owned.fileno());
  EXPECT_EQ(FileObject(file).fileno(), peer.fileno());
  EXPECT_EQ(FileObject(7).fileno(), 7);
  EXPECT_TRUE(FileObject(7).is(7));
  EXPECT_EQ(FileObject(7).get_if<Socket>(), nullptr);
}

TEST(FileObject, AsksItsObjectForTheNumberOfNow) {
  auto [sock, peer] = socketpair();
  const FileObject object = sock;
  sock.close();
  EXPECT_EQ(object.fileno(), -1);
}

TEST(FileObject, PrintsItsTypeAndNumber) {
  Socket sock;
  EXPECT_EQ(to_string(FileObject(sock)), std::to_string(sock.fileno()) + " (plug::Socket)");
  EXPECT_EQ(to_string(FileObject(12)), "12");
}

// --- select ---

TEST(Select, GivesBackTheObjectsThatAreReady) {
  auto [sock, peer] = socketpair();
  peer.sendall("x");
  const auto [readable, writable, exceptional] = select({sock, peer}, {sock, peer}, {sock, peer});
  EXPECT_EQ(readable, std::vector<FileObject>{sock});
  EXPECT_EQ(writable, (std::vector<FileObject>{sock, peer}));
  EXPECT_TRUE(exceptional.empty());
}

TEST(Select, KeepsTheOrderAndTheDuplicatesOfItsLists) {
  auto [sock, peer] = socketpair();
  sock.sendall("x");
  peer.sendall("x");
  const auto ready = select({peer, sock, peer, sock.fileno()}).readable;
  EXPECT_EQ(ready, (std::vector<FileObject>{peer, sock, peer, sock.fileno()}));
}

TEST(Select, TakesContainersOfObjectsAndNumbers) {
  auto [sock, peer] = socketpair();
  std::vector<Socket> sockets;
  sockets.push_back(std::move(sock));
  const std::vector<int> numbers = {peer.fileno()};
  const std::vector<FileObject> mixed = {sockets[0], numbers[0]};
  const Selected ready = select(sockets, numbers, mixed, 0);
  EXPECT_TRUE(ready.readable.empty());
  EXPECT_EQ(ready.writable, std::vector<FileObject>{peer.fileno()});
  EXPECT_EQ(select({}, sockets, {}, 0).writable.at(0).get_if<Socket>(), &sockets[0]);
}

TEST(Select, NamesAnObjectThatIsClosedAndWhereItIs) {
  auto [sock, peer] = socketpair();
  sock.close();
  EXPECT_EQ(text_of_error<ValueError>([&, &sock = sock, &peer = peer] {
              std::ignore = select({peer}, {peer, sock}, {}, 0);
            }),
            "Invalid file descriptor: -1 (plug::Socket), item 1 of wlist");
  EXPECT_EQ(text_of_error<ValueError>([] { std::ignore = select({-7}); }),
            "Invalid file descriptor: -7, item 0 of rlist");
  File file = peer.makefile("rb");
  file.close();
  EXPECT_THROW(std::ignore = select({file}), ValueError);
}

TEST(Select, NamesANumberThatIsNotOpen) {
  auto [sock, peer] = socketpair();
  const int number = sock.fileno();
  sock.close();
  EXPECT_EQ(
      text_of_error<OSError>([&, &peer = peer] { std::ignore = select({peer}, {}, {number}); }),
      "[Errno 9] Bad file descriptor: " + std::to_string(number) + ", item 0 of xlist");
  EXPECT_EQ(
      number_of_error([] { std::ignore = select({std::numeric_limits<int>::max()}, {}, {}, 0); }),
      EBADF);
}

TEST(Select, RefusesANegativeTimeout) {
  EXPECT_THROW(std::ignore = select({}, {}, {}, -1), ValueError);
  EXPECT_THROW(std::ignore = select({}, {}, {}, milliseconds(-1)), ValueError);
  EXPECT_THROW(std::ignore = select({}, {}, {}, std::nan("")), ValueError);
}

TEST(Select, WaitsNoLessThanItsTimeout) {
  auto [sock, peer] = socketpair();
  for (const double seconds : {0.0001, 0.0015, 0.02}) {
    const auto taken =
        time_of([&, &sock = sock] { EXPECT_TRUE(select({sock}, {}, {}, seconds).empty()); });
    EXPECT_GE(taken, std::chrono::duration<double>(seconds));
  }
  EXPECT_TRUE(select({}, {}, {}, milliseconds(1)).empty());
}

TEST(Select, WithoutATimeoutWaitsUntilSomethingIsReady) {
  auto [sock, peer] = socketpair();
  bool ready = false;
  BlockedThread thread([&, &sock = sock] { ready = select({sock}).readable.at(0).is(sock); });
  ASSERT_TRUE(thread.wait_until_blocked());
  peer.sendall("x");
  thread.join();
  EXPECT_TRUE(ready);
}

TEST(Select, ReportsUrgentDataAsExceptional) {
  auto [sock, peer] = tcp_pair();
  peer.sendall("!", MSG::OOB);
  const Selected ready = select({}, {}, {sock}, 30);
  EXPECT_EQ(ready.exceptional, std::vector<FileObject>{sock});
}

// select(2) continues to wait if there is a hang-up or an error that nobody has asked for.
TEST(Select, DoesNotTakeAHangUpForAnExceptionalCondition) {
  auto [sock, peer] = socketpair();
  auto [other, other_peer] = socketpair();
  peer.close();
  EXPECT_TRUE(select({}, {}, {sock}, 0.01).empty());
  other_peer.sendall("x");
  EXPECT_EQ(select({other}, {}, {sock}).readable, std::vector<FileObject>{other});
}

TEST(Select, TakesMoreThan1024Descriptors) {
  EXPECT_EQ(run_in_child([] {
              const rlimit limit{3000, 3000};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 10;
              auto [sock, peer] = socketpair();
              std::vector<int> numbers;
              for (int fd = 100; fd < 2900; ++fd) {
                if (::dup2(sock.fileno(), fd) != fd) return 11;
                numbers.push_back(fd);
              }
              if (!select(numbers, {}, {}, 0).empty()) return 12;
              peer.sendall("x");
              return select(numbers, numbers, numbers).readable.size() == numbers.size() ? 0 : 13;
            }),
            0);
}

TEST(Select, TakesMoreObjectsThanTheProcessMayHaveDescriptors) {
  EXPECT_EQ(run_in_child([] {
              auto [sock, peer] = socketpair();
              auto [other, other_peer] = socketpair();
              const rlimit limit{64, 64};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 10;
              std::vector<FileObject> list;
              for (int i = 0; i < 50; ++i) list.insert(list.end(), {sock, other});
              peer.sendall("x");
              const Selected ready = select(list, list, list, 30);
              if (ready.readable != std::vector<FileObject>(50, sock)) return 11;
              return ready.writable == list && ready.exceptional.empty() ? 0 : 12;
            }),
            0);
}

TEST(Select, WithAnErrorCodeDoesNotThrow) {
  auto [sock, peer] = socketpair();
  std::error_code error = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(select({}, {sock}, {}, std::nullopt, error).writable.size(), 1u);
  EXPECT_FALSE(error);
  EXPECT_TRUE(select({sock}, {}, {}, 0, error).empty());
  EXPECT_FALSE(error);
  EXPECT_TRUE(select({sock, -1}, {sock}, {}, 0, error).empty());
  EXPECT_EQ(error, Errc::not_a_fileno);
}

TEST(Select, WaitsWithoutLimitBeforeAnErrorCodeThatFollowsTheLists) {
  auto [sock, peer] = socketpair();
  peer.sendall("x");
  std::error_code error = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(select({sock}, error).readable, std::vector<FileObject>{sock});
  EXPECT_FALSE(error);
  EXPECT_EQ(select({}, {sock}, error).writable, std::vector<FileObject>{sock});
  EXPECT_EQ(select({sock}, {}, {peer}, error).readable, std::vector<FileObject>{sock});
  EXPECT_TRUE(select({-1}, error).empty());
  EXPECT_EQ(error, Errc::not_a_fileno);
}

/// A layer that has decoded more data than the caller has received.
struct Decoded final : detail::socket::Layer {
  long receive(detail::wait::Descriptor&, MutableBytes, int, Deadline) override { return 0; }
  long send(detail::wait::Descriptor&, BytesView, int, Deadline) override { return 0; }
  std::size_t pending() const noexcept override { return bytes; }
  std::size_t bytes = 1;
};

TEST(Select, CountsWhatALayerHasDecodedAsReadable) {
  auto [sock, peer] = socketpair();
  auto decoded = std::make_unique<Decoded>();
  auto& bytes = decoded->bytes;
  detail::socket::SocketAccess::state(sock)->set_layer(std::move(decoded));
  const Selected ready = select({peer, sock}, {}, {sock});
  EXPECT_EQ(ready.readable, std::vector<FileObject>{sock});
  EXPECT_TRUE(ready.exceptional.empty());
  bytes = 0;
  EXPECT_TRUE(select({peer, sock}, {}, {sock}, 0).empty());
}

// --- Poll ---

std::map<int, POLL> as_map(const std::vector<PollEvent>& events) {
  std::map<int, POLL> result;
  for (const auto& [fd, what] : events) result[fd] = what;
  return result;
}

TEST(Poll, ReportsWhatHasHappened) {
  auto [sock, peer] = socketpair();
  Poll poll;
  poll.register_(sock);
  poll.register_(peer, POLL::IN);
  EXPECT_EQ(as_map(poll.poll()), (std::map<int, POLL>{{sock.fileno(), POLL::OUT}}));
  sock.sendall("x");
  EXPECT_EQ(as_map(poll.poll()),
            (std::map<int, POLL>{{sock.fileno(), POLL::OUT}, {peer.fileno(), POLL::IN}}));
  sock.close();
  EXPECT_EQ(as_map(poll.poll(0)).at(peer.fileno()), POLL::IN | POLL::HUP);
}

TEST(Poll, RegisteringAgainReplacesTheEvents) {
  auto [sock, peer] = socketpair();
  Poll poll;
  poll.register_(sock);
  poll.register_(sock.fileno(), POLL::IN);
  EXPECT_TRUE(poll.poll(0).empty());
  poll.modify(sock, POLL::OUT);
  EXPECT_EQ(poll.poll(0).size(), 1u);
  poll.unregister(sock);
  EXPECT_TRUE(poll.poll(0).empty());
}

TEST(Poll, UnregisteringOneLeavesTheOthers) {
  auto [a, b] = socketpair();
  auto [c, d] = socketpair();
  Poll poll;
  for (Socket* sock : {&a, &b, &c, &d}) poll.register_(*sock, POLL::OUT);
  poll.unregister(a);
  poll.unregister(d);
  EXPECT_EQ(as_map(poll.poll()),
            (std::map<int, POLL>{{b.fileno(), POLL::OUT}, {c.fileno(), POLL::OUT}}));
  poll.modify(c, POLL::IN);
  EXPECT_EQ(as_map(poll.poll()), (std::map<int, POLL>{{b.fileno(), POLL::OUT}}));
}

TEST(Poll, NamesWhatIsNotRegistered) {
  Socket sock;
  Poll poll;
  EXPECT_EQ(number_of_error<FileNotFoundError>([&] { poll.modify(sock, POLL::IN); }), ENOENT);
  EXPECT_EQ(text_of_error<KeyError>([&] { poll.unregister(sock); }),
            "not registered: " + std::to_string(sock.fileno()) + " (plug::Socket)");
  sock.close();
  EXPECT_THROW(poll.register_(sock), ValueError);
  EXPECT_THROW(poll.modify(sock, POLL::IN), ValueError);
  EXPECT_THROW(poll.unregister(sock), ValueError);
}

TEST(Poll, ReportsANumberThatIsNotOpen) {
  Poll poll;
  poll.register_(std::numeric_limits<int>::max());
  EXPECT_EQ(poll.poll().at(0).events, POLL::NVAL);
}

TEST(Poll, CountsMillisecondsUnlessADurationSaysOtherwise) {
  Poll poll;
  const auto took = [&](Milliseconds timeout) {
    return time_of([&] { EXPECT_TRUE(poll.poll(timeout).empty()); });
  };
  using namespace std::chrono_literals;
  EXPECT_GE(took(30), 30ms);
  EXPECT_LT(took(30), 20s) << "thirty milliseconds, not seconds";
  EXPECT_GE(took(30ms), 30ms);
  EXPECT_GE(took(0.03s), 30ms);
  EXPECT_GE(took(0.5), 500us);
  EXPECT_GE(took(Timeout(0.03)), 30ms);
  EXPECT_THROW(std::ignore = poll.poll(std::nan("")), ValueError);
  EXPECT_THROW(std::ignore = poll.poll(1e300), OverflowError);
}

TEST(WaitTime, TakesTheUnitFromTheTypeAndCountsPlainNumbersAsPythonDoes) {
  using namespace std::chrono_literals;
  EXPECT_EQ(Milliseconds(5s).limit(), Timeout(5));
  EXPECT_EQ(Milliseconds(5ms).limit(), Timeout(5ms));
  EXPECT_EQ(Milliseconds(1.5min).limit(), Timeout(90));
  EXPECT_EQ(Milliseconds(1ns).limit(), Timeout(1ns));
  EXPECT_EQ(Milliseconds(5).limit(), Timeout(5ms));
  EXPECT_EQ(Milliseconds(0.5).limit(), Timeout(500us));
  EXPECT_EQ(Milliseconds(Timeout(5)).limit(), Timeout(5s));
  EXPECT_EQ(Seconds(5s).limit(), Timeout(5));
  EXPECT_EQ(Seconds(5ms).limit(), Timeout(5ms));
  EXPECT_EQ(Seconds(5).limit(), Timeout(5s));
  EXPECT_EQ(Seconds(0.5).limit(), Timeout(500ms));
  EXPECT_TRUE(Milliseconds(-5s).is_negative());
  static_assert(!std::is_convertible_v<Seconds, Milliseconds>);
  static_assert(!std::is_convertible_v<std::optional<double>, Milliseconds>, "seconds, or not?");
  static_assert(!std::is_convertible_v<bool, Milliseconds>);
}

TEST(Poll, BelowZeroWaitsWithoutLimit) {
  auto [sock, peer] = socketpair();
  for (const Milliseconds timeout :
       {Milliseconds(-1), Milliseconds(milliseconds(-5)), Milliseconds(std::nullopt)}) {
    Poll poll;
    poll.register_(sock, POLL::IN);
    std::vector<PollEvent> events;
    BlockedThread thread([&] { events = poll.poll(timeout); });
    ASSERT_TRUE(thread.wait_until_blocked());
    peer.sendall("x");
    thread.join();
    EXPECT_EQ(events.size(), 1u);
    sock.recv(1);
  }
}

TEST(Poll, RefusesToBePolledByTwoThreadsAtOnce) {
  auto [sock, peer] = socketpair();
  Poll poll;
  poll.register_(sock, POLL::IN);
  BlockedThread thread([&] { std::ignore = poll.poll(); });
  ASSERT_TRUE(thread.wait_until_blocked());
  EXPECT_EQ(text_of_error<RuntimeError>([&] { std::ignore = poll.poll(0); }),
            "concurrent poll() invocation: poll");
  peer.sendall("x");
  thread.join();
  EXPECT_EQ(poll.poll(0).size(), 1u);
}

TEST(Poll, WithAnErrorCodeDoesNotThrow) {
  Poll poll;
  std::error_code error;
  poll.unregister(0, error);
  EXPECT_EQ(error, Errc::not_registered);
  poll.modify(0, POLL::IN, error);
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  poll.register_(-1, POLL::IN, error);
  EXPECT_EQ(error, Errc::not_a_fileno);
  EXPECT_TRUE(poll.poll(0, error).empty());
  EXPECT_FALSE(error);
  auto [sock, peer] = socketpair();
  poll.register_(sock, error);
  EXPECT_FALSE(error);
  EXPECT_EQ(poll.poll(error).at(0).events, POLL::OUT);
}

// --- Epoll ---

TEST(Epoll, ReportsWhatHasHappened) {
  auto [sock, peer] = socketpair();
  Epoll epoll;
  epoll.register_(sock);
  epoll.register_(peer, EPOLL::IN);
  std::vector<EpollEvent> events = epoll.poll();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].fd, sock.fileno());
  EXPECT_EQ(events[0].events, EPOLL::OUT);
  epoll.modify(sock, EPOLL::IN);
  EXPECT_TRUE(epoll.poll(0).empty());
  sock.sendall("x");
  sock.close();
  events = epoll.poll();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].events, EPOLL::IN | EPOLL::HUP);
  epoll.unregister(peer);
  EXPECT_TRUE(epoll.poll(0).empty());
}

TEST(Epoll, RefusesWhatPythonRefuses) {
  auto [sock, peer] = socketpair();
  Epoll epoll;
  EXPECT_EQ(number_of_error<FileNotFoundError>([&, &s = sock] { epoll.modify(s, EPOLL::IN); }),
            ENOENT);
  EXPECT_EQ(number_of_error<FileNotFoundError>([&, &s = sock] { epoll.unregister(s); }), ENOENT);
  epoll.register_(sock);
  EXPECT_EQ(text_of_error<FileExistsError>([&, &s = sock] { epoll.register_(s); }),
            "[Errno 17] File exists: " + std::to_string(sock.fileno()) + " (plug::Socket)");
  EXPECT_EQ(number_of_error([&] { epoll.register_(std::numeric_limits<int>::max()); }), EBADF);
  OwnedFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(number_of_error<PermissionError>([&] { epoll.register_(file); }), EPERM);
  EXPECT_EQ(text_of_error<ValueError>([&] { std::ignore = epoll.poll(0, 0); }),
            "maxevents must be greater than 0: got 0");
  EXPECT_THROW(std::ignore = epoll.poll(0, -2), ValueError);
  EXPECT_THROW(Epoll(0), ValueError);
  EXPECT_THROW(Epoll(-2), ValueError);
  EXPECT_EQ(text_of_error<OSError>([] { Epoll(-1, EPOLL::IN); }),
            "invalid flags: Epoll(sizehint=-1, flags=1)");
  EXPECT_THROW(std::ignore = Epoll::fromfd(-1), ValueError);
  sock.close();
  EXPECT_THROW(epoll.unregister(sock), ValueError);
}

TEST(Epoll, GivesNoMoreThanItIsAskedFor) {
  auto [sock, peer] = socketpair();
  Epoll epoll(7, EPOLL::CLOEXEC);
  epoll.register_(sock);
  epoll.register_(peer);
  EXPECT_EQ(epoll.poll(0, 1).size(), 1u);
  EXPECT_EQ(epoll.poll(0, 100'000).size(), 2u);
}

TEST(Epoll, ClosesOnceAndRefusesCallsAfterwards) {
  const int before = count_descriptors();
  Epoll epoll;
  EXPECT_EQ(::fcntl(epoll.fileno(), F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(epoll.closed());
  epoll.close();
  epoll.close();
  EXPECT_TRUE(epoll.closed());
  EXPECT_EQ(count_descriptors(), before);
  EXPECT_THROW(std::ignore = epoll.fileno(), ValueError);
  EXPECT_THROW(std::ignore = epoll.poll(0), ValueError);
  EXPECT_THROW(epoll.register_(0), ValueError);
  EXPECT_THROW(epoll.modify(0, EPOLL::IN), ValueError);
  EXPECT_THROW(epoll.unregister(0), ValueError);
}

TEST(Epoll, MovesWithItsDescriptor) {
  const int before = count_descriptors();
  {
    Epoll epoll;
    const int number = epoll.fileno();
    Epoll other = std::move(epoll);
    EXPECT_TRUE(epoll.closed());
    EXPECT_EQ(other.fileno(), number);
    epoll = Epoll();
    epoll = std::move(other);
    EXPECT_EQ(Epoll::fromfd(::dup(epoll.fileno())).poll(0).size(), 0u);
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(Epoll, EdgeTriggeredReportsAChangeOnce) {
  auto [sock, peer] = socketpair();
  Epoll epoll;
  epoll.register_(sock, EPOLL::IN | EPOLL::ET);
  peer.sendall("x");
  EXPECT_EQ(epoll.poll(0).size(), 1u);
  EXPECT_EQ(epoll.poll(0).size(), 0u);
  epoll.modify(sock, EPOLL::IN | EPOLL::ONESHOT);
  EXPECT_EQ(epoll.poll(0).size(), 1u);
  EXPECT_EQ(epoll.poll(0).size(), 0u);
}

TEST(Epoll, WaitsNoLessThanItsTimeoutInSeconds) {
  Epoll epoll;
  for (const double seconds : {0.0001, 0.0015, 0.02}) {
    const auto taken = time_of([&] { EXPECT_TRUE(epoll.poll(seconds).empty()); });
    EXPECT_GE(taken, std::chrono::duration<double>(seconds));
  }
  EXPECT_TRUE(epoll.poll(milliseconds(1)).empty());
  EXPECT_THROW(std::ignore = epoll.poll(std::nan("")), ValueError);
}

TEST(Epoll, BelowZeroWaitsWithoutLimit) {
  auto [sock, peer] = socketpair();
  Epoll epoll;
  epoll.register_(sock, EPOLL::IN);
  std::vector<EpollEvent> events;
  BlockedThread thread([&] { events = epoll.poll(-0.5); });
  ASSERT_TRUE(thread.wait_until_blocked());
  peer.sendall("x");
  thread.join();
  EXPECT_EQ(events.size(), 1u);
}

TEST(Epoll, WithAnErrorCodeDoesNotThrow) {
  std::error_code error;
  Epoll none(0, EPOLL{}, error);
  EXPECT_EQ(error, Errc::bad_sizehint);
  EXPECT_TRUE(none.closed());
  EXPECT_TRUE(none.poll(0, -1, error).empty());
  EXPECT_EQ(error, Errc::closed_poller);
  Epoll epoll(-1, EPOLL{}, error);
  EXPECT_FALSE(error);
  const Socket sock;
  epoll.unregister(sock, error);
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  EXPECT_TRUE(epoll.poll(0, 0, error).empty());
  EXPECT_EQ(error, Errc::bad_maxevents);
  EXPECT_TRUE(epoll.poll(0, 1, error).empty());
  EXPECT_FALSE(error);
  EXPECT_TRUE(Epoll(0, error).closed());
  EXPECT_EQ(error, Errc::bad_sizehint);
  Epoll other(error);
  EXPECT_FALSE(error);
  auto [one, peer] = socketpair();
  other.register_(one, error);
  EXPECT_FALSE(error);
  EXPECT_TRUE(other.poll(0, error).at(0).events & EPOLL::OUT);
  EXPECT_EQ(other.poll(error).size(), 1u);
}

// --- the driver of waits ---

/// A driver that counts the waits, and waits as the thread's own driver does.
class Counting final : public detail::wait::IoDriver {
 public:
  Counting() { detail::wait::set_current_driver(this); }
  ~Counting() { detail::wait::set_current_driver(nullptr); }

  long perform(detail::wait::Descriptor&, detail::wait::Op& op, Deadline deadline) override {
    if (op.kind != detail::wait::Op::Kind::ready) return -ENOSYS;
    detail::sys::PollEntry entry{op.file, static_cast<short>(op.flags), 0};
    const long ready = wait_any({&entry, 1}, deadline);
    return ready > 0 ? entry.revents : ready == 0 ? detail::base::kTimedOut : ready;
  }
  long wait_any(std::span<detail::sys::PollEntry> entries, Deadline deadline) override {
    waited_for.push_back(entries.empty() ? -1 : entries[0].fd);
    detail::wait::set_current_driver(nullptr);
    const long ready = detail::wait::wait_any(entries, deadline);
    detail::wait::set_current_driver(this);
    return ready;
  }
  const void* caller() const noexcept override { return this; }

  std::vector<int> waited_for;
};

TEST(Waiters, AreCalledBySelectAndPoll) {
  auto [sock, peer] = socketpair();
  Poll poll;
  poll.register_(sock);
  Counting waiter;
  EXPECT_EQ(select({}, {sock}).writable.size(), 1u);
  EXPECT_EQ(poll.poll().size(), 1u);
  EXPECT_EQ(waiter.waited_for, std::vector<int>(2, sock.fileno()));
}

TEST(Waiters, WaitForAnEpollByItsOwnDescriptor) {
  auto [sock, peer] = socketpair();
  Epoll epoll;
  epoll.register_(sock, EPOLL::IN);
  {
    Counting waiter;
    EXPECT_TRUE(epoll.poll(0).empty());
    EXPECT_EQ(waiter.waited_for.size(), 0u) << "it may not wait";
    EXPECT_TRUE(epoll.poll(0.01).empty());
    EXPECT_EQ(waiter.waited_for, std::vector<int>{epoll.fileno()});
  }
  peer.sendall("x");
  Counting waiter;
  EXPECT_EQ(epoll.poll().size(), 1u);
  EXPECT_EQ(waiter.waited_for.size(), 0u) << "it is ready already";
}

}  // namespace
}  // namespace plug
