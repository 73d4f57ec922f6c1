// Tests the registrations, reports and errors of selectors.

#include <plug/selectors.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <set>
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

namespace plug {
namespace {

using std::chrono::milliseconds;

constexpr EVENT kBoth = EVENT::READ | EVENT::WRITE;

// --- user data ---

static_assert(!std::is_copy_constructible_v<UserData>);
static_assert(std::is_nothrow_move_constructible_v<UserData>);
static_assert(!std::is_constructible_v<UserData, std::error_code&>);

struct Session {
  std::unique_ptr<std::string> name;
};

TEST(UserData, HoldsWhatCanOnlyBeMoved) {
  const UserData data = Session{std::make_unique<std::string>("a")};
  EXPECT_EQ(*data.get<Session>().name, "a");
  data.get<Session>().name = std::make_unique<std::string>("b");
  EXPECT_EQ(*data.get_if<const Session>()->name, "b");
  EXPECT_TRUE(data.has_value());
}

TEST(UserData, KeepsItsValueInPlaceWhenItIsMoved) {
  UserData data = std::string("text");
  const std::string* const before = data.get_if<std::string>();
  const UserData moved = std::move(data);
  EXPECT_EQ(moved.get_if<std::string>(), before);
  EXPECT_FALSE(data);
}

TEST(UserData, NamesBothTypesWhenItIsAnother) {
  const UserData data = std::make_unique<int>(3);
  EXPECT_EQ(data.get_if<int>(), nullptr);
  EXPECT_EQ(text_of_error<TypeError>([&] { std::ignore = data.get<int>(); }),
            "the data are a " + std::string(data.type_name()) + ", not a int");
  EXPECT_NE(std::string(data.type_name()).find("unique_ptr<int"), std::string::npos)
      << data.type_name();
  EXPECT_EQ(text_of_error<TypeError>([] { std::ignore = UserData().get<double>(); }),
            "the data are not there, not a double");
  EXPECT_EQ(UserData().get_if<double>(), nullptr);
}

// --- all selectors ---

template <class S>
class Selectors : public testing::Test {
 protected:
  /// Returns the ready descriptors and their events.
  std::map<int, EVENT> ready(Seconds timeout = 0) {
    std::map<int, EVENT> result;
    for (const auto& [key, events] : selector_.select(timeout)) result[key.fd] = events;
    return result;
  }

  S selector_;
};

using All = testing::Types<SelectSelector, PollSelector, EpollSelector>;
TYPED_TEST_SUITE(Selectors, All);

TYPED_TEST(Selectors, ReportTheKeyOfWhatIsReady) {
  auto [sock, peer] = socketpair();
  this->selector_.register_(sock, EVENT::READ, std::string("sock"));
  const SelectorKey& key = this->selector_.register_(peer, kBoth, 5);
  for (const auto& [other, events] : this->selector_.select()) {
    EXPECT_EQ(&other, &key);
    EXPECT_EQ(events, EVENT::WRITE);
    EXPECT_TRUE(other.fileobj.is(peer));
    EXPECT_EQ(other.data.template get<int>(), 5);
  }
  peer.sendall("x");
  EXPECT_EQ(this->ready(),
            (std::map<int, EVENT>{{sock.fileno(), EVENT::READ}, {peer.fileno(), EVENT::WRITE}}));
  sock.sendall("x");
  EXPECT_EQ(this->ready().at(peer.fileno()), kBoth);
}

TYPED_TEST(Selectors, WorkThroughTheirBase) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  selector.register_(sock, EVENT::WRITE);
  EXPECT_EQ(selector.select().size(), 1u);
  std::unique_ptr<BaseSelector> owned = std::make_unique<TypeParam>();
  owned->register_(sock, EVENT::READ);
  EXPECT_TRUE(owned->select(0).empty());
}

TYPED_TEST(Selectors, RefuseWhatCannotBeRegistered) {
  auto [sock, peer] = socketpair();
  const std::string name = std::to_string(sock.fileno()) + " (plug::Socket)";
  BaseSelector& selector = this->selector_;
  EXPECT_EQ(text_of_error<ValueError>([&, &s = sock] { selector.register_(s, EVENT{}); }),
            "Invalid events: 0");
  EXPECT_EQ(text_of_error<ValueError>([&, &s = sock] { selector.register_(s, EVENT{5}); }),
            "Invalid events: 5");
  selector.register_(sock, EVENT::READ);
  EXPECT_EQ(text_of_error<KeyError>([&, &s = sock] { selector.register_(s, EVENT::READ); }),
            "already registered: " + name);
  EXPECT_THROW(selector.register_(sock.fileno(), EVENT::WRITE), KeyError);
  peer.close();
  EXPECT_EQ(text_of_error<ValueError>([&, &p = peer] { selector.register_(p, EVENT::READ); }),
            "Invalid file descriptor: -1 (plug::Socket)");
  EXPECT_THROW(selector.register_(-2, EVENT::READ), ValueError);
  EXPECT_EQ(selector.get_map()->size(), 1u);
}

TYPED_TEST(Selectors, UnregisteringGivesTheKeyWithItsData) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  selector.register_(sock, kBoth, Session{std::make_unique<std::string>("a")});
  const SelectorKey key = selector.unregister(sock);
  EXPECT_TRUE(key.fileobj.is(sock));
  EXPECT_EQ(key.fd, sock.fileno());
  EXPECT_EQ(key.events, kBoth);
  EXPECT_EQ(*key.data.get<Session>().name, "a");
  EXPECT_TRUE(this->ready().empty());
  EXPECT_EQ(text_of_error<KeyError>([&, &s = sock] { selector.unregister(s); }),
            "not registered: " + std::to_string(sock.fileno()) + " (plug::Socket)");
}

TYPED_TEST(Selectors, UnregisterWhatHasBeenClosed) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  selector.register_(sock, EVENT::READ, 1);
  const int number = sock.fileno();
  sock.close();
  EXPECT_EQ(selector.get_key(sock).fd, number);
  EXPECT_EQ(selector.unregister(sock).data.get<int>(), 1);
  EXPECT_THROW(selector.unregister(sock), ValueError) << "closed, and not registered either";
  EXPECT_TRUE(selector.get_map()->empty());

  selector.register_(peer, EVENT::READ, 2);
  const int other = peer.fileno();
  peer.close();
  EXPECT_EQ(selector.unregister(other).data.get<int>(), 2);
  EXPECT_TRUE(this->ready().empty());
}

TYPED_TEST(Selectors, ModifyEventsAndData) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const SelectorKey& key = selector.register_(sock, EVENT::READ, 1);
  EXPECT_TRUE(this->ready().empty());
  EXPECT_EQ(&selector.modify(sock, EVENT::WRITE, std::string("two")), &key);
  EXPECT_EQ(key.data.get<std::string>(), "two");
  EXPECT_EQ(key.events, EVENT::WRITE);
  EXPECT_EQ(this->ready().at(sock.fileno()), EVENT::WRITE);
  EXPECT_EQ(&selector.modify(sock, EVENT::READ, kKeepData), &key);
  EXPECT_EQ(key.data.get<std::string>(), "two");
  EXPECT_TRUE(this->ready().empty());
  selector.modify(sock, EVENT::READ);
  EXPECT_FALSE(key.data) << "as in Python, what is not given is gone";
}

TYPED_TEST(Selectors, RefuseWhatCannotBeModifiedAndLeaveItAsItWas) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  selector.register_(sock, EVENT::READ, 1);
  EXPECT_THROW(selector.modify(peer, EVENT::READ), KeyError);
  EXPECT_THROW(selector.modify(sock, EVENT{}), ValueError);
  EXPECT_THROW(selector.modify(sock, EVENT{4}, 2), ValueError);
  EXPECT_THROW(selector.modify(sock, EVENT{4}, kKeepData), ValueError);
  EXPECT_EQ(selector.get_key(sock).data.get<int>(), 1);
  EXPECT_EQ(selector.get_key(sock).events, EVENT::READ);
  peer.close();
  EXPECT_THROW(selector.modify(peer, EVENT::READ), ValueError);
}

TYPED_TEST(Selectors, FindKeysByObjectAndByNumber) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const SelectorKey& key = selector.register_(sock, EVENT::READ);
  const SelectorMap& map = *selector.get_map();
  EXPECT_EQ(&selector.get_key(sock), &key);
  EXPECT_EQ(&selector.get_key(sock.fileno()), &key);
  EXPECT_EQ(&map[sock], &key);
  EXPECT_EQ(map.find(peer), nullptr);
  EXPECT_TRUE(map.contains(sock));
  EXPECT_FALSE(map.contains(peer));
  EXPECT_THROW(std::ignore = selector.get_key(peer), KeyError);
  EXPECT_THROW(std::ignore = map[peer], KeyError);
  EXPECT_THROW(std::ignore = map.find(-1), ValueError);
}

TYPED_TEST(Selectors, MapIsWhatIsRegisteredNow) {
  auto [a, b] = socketpair();
  auto [c, d] = socketpair();
  BaseSelector& selector = this->selector_;
  const SelectorMap& map = *selector.get_map();
  const auto numbers = [&] {
    std::set<int> result;
    for (const SelectorKey& key : map) result.insert(key.fd);
    return result;
  };
  EXPECT_TRUE(numbers().empty());
  for (Socket* sock : {&a, &b, &c, &d}) selector.register_(*sock, EVENT::READ);
  EXPECT_EQ(numbers(), (std::set{a.fileno(), b.fileno(), c.fileno(), d.fileno()}));
  selector.unregister(a);
  selector.unregister(c);
  EXPECT_EQ(numbers(), (std::set{b.fileno(), d.fileno()}));
  EXPECT_EQ(map.size(), 2u);
  selector.register_(c, EVENT::READ);
  EXPECT_EQ(numbers(), (std::set{b.fileno(), c.fileno(), d.fileno()}));
  EXPECT_EQ(map.begin()->events, EVENT::READ);
}

TYPED_TEST(Selectors, AreEmptyAfterClosing) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const auto watched = std::make_shared<int>(1);
  selector.register_(sock, EVENT::READ, watched);
  selector.close();
  selector.close();
  EXPECT_EQ(watched.use_count(), 1) << "the data have ended";
  EXPECT_EQ(selector.get_map(), nullptr);
  EXPECT_EQ(text_of_error<RuntimeError>([&, &s = sock] { std::ignore = selector.get_key(s); }),
            "Selector is closed");
  EXPECT_THROW(selector.register_(sock, EVENT::READ), ValueError);
  EXPECT_THROW(std::ignore = selector.select(0), ValueError);
  EXPECT_THROW(selector.unregister(sock), KeyError);
  EXPECT_THROW(selector.modify(sock, EVENT::READ), KeyError);
}

TYPED_TEST(Selectors, LeakNothing) {
  const int before = count_descriptors();
  {
    auto [sock, peer] = socketpair();
    TypeParam selector;
    selector.register_(sock, kBoth);
    TypeParam other = std::move(selector);
    EXPECT_EQ(other.select(0).size(), 1u);
    other = TypeParam();
    EXPECT_TRUE(other.get_map()->empty());
  }
  EXPECT_EQ(count_descriptors(), before);
}

TYPED_TEST(Selectors, WaitNoLessThanTheirTimeout) {
  auto [sock, peer] = socketpair();
  this->selector_.register_(sock, EVENT::READ);
  for (const double seconds : {0.0001, 0.0015, 0.02}) {
    const auto taken = time_of([&] { EXPECT_TRUE(this->selector_.select(seconds).empty()); });
    EXPECT_GE(taken, std::chrono::duration<double>(seconds));
  }
  EXPECT_TRUE(this->selector_.select(milliseconds(2)).empty());
}

TYPED_TEST(Selectors, BelowZeroDoNotWait) {
  auto [sock, peer] = socketpair();
  this->selector_.register_(sock, EVENT::READ);
  EXPECT_TRUE(this->selector_.select(-1).empty());
  EXPECT_TRUE(this->selector_.select(-0.5).empty());
  EXPECT_TRUE(this->selector_.select(milliseconds(-500)).empty());
}

TYPED_TEST(Selectors, WithoutATimeoutWaitUntilSomethingIsReady) {
  auto [sock, peer] = socketpair();
  this->selector_.register_(sock, EVENT::READ);
  std::size_t ready = 0;
  BlockedThread thread([&] { ready = this->selector_.select().size(); });
  const bool blocked = thread.wait_until_blocked();
  peer.sendall("x");
  thread.join();
  EXPECT_TRUE(blocked);
  EXPECT_EQ(ready, 1u);
}

TYPED_TEST(Selectors, DoNotGiveWhatWasUnregisteredOnTheWay) {
  auto [a, b] = socketpair();
  auto [c, d] = socketpair();
  BaseSelector& selector = this->selector_;
  for (Socket* sock : {&a, &b, &c, &d}) selector.register_(*sock, EVENT::WRITE, 1);
  int given = 0;
  const ReadyKeys keys = selector.select();
  EXPECT_EQ(keys.size(), 4u);
  for (const auto& [key, events] : keys) {
    ++given;
    const int number = key.fd;
    for (Socket* sock : {&a, &b, &c, &d}) selector.unregister(*sock);
    EXPECT_EQ(key.fd, number) << "the key in the hand stays valid";
    EXPECT_FALSE(key.data);
    // A new registration of this number is reported in the next turn.
    selector.register_(number, EVENT::WRITE, 2);
  }
  EXPECT_EQ(given, 1);
  EXPECT_TRUE(keys.empty());
  EXPECT_EQ(this->ready().size(), 1u);
}

TYPED_TEST(Selectors, KeepKeysInPlaceAsTheyGrow) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const SelectorKey& first = selector.register_(sock, EVENT::READ, 7);
  std::vector<OwnedFd> copies;
  for (int i = 0; i < 300; ++i) {
    copies.push_back(dup(Fileno{peer.fileno()}));
    selector.register_(copies.back().fileno(), EVENT::WRITE, i);
  }
  EXPECT_EQ(first.data.get<int>(), 7);
  EXPECT_EQ(&selector.get_key(sock), &first);
  EXPECT_EQ(selector.select().size(), 300u) << "all of them in one turn";
  for (const auto& [key, events] : selector.select()) selector.unregister(key.fd);
  EXPECT_EQ(selector.get_map()->size(), 1u);
}

TYPED_TEST(Selectors, WithAnErrorCodeDoNotThrow) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  std::error_code error = std::make_error_code(std::errc::io_error);
  EXPECT_NE(selector.register_(sock, EVENT::READ, 1, error), nullptr);
  EXPECT_FALSE(error);
  EXPECT_EQ(selector.register_(sock, EVENT::READ, error), nullptr);
  EXPECT_EQ(error, Errc::already_registered);
  EXPECT_EQ(selector.register_(peer, EVENT{}, error), nullptr);
  EXPECT_EQ(error, Errc::bad_events);
  EXPECT_EQ(selector.register_(-1, EVENT::READ, {}, error), nullptr);
  EXPECT_EQ(error, Errc::not_a_fileno);
  EXPECT_EQ(selector.modify(peer, EVENT::READ, error), nullptr);
  EXPECT_EQ(error, Errc::not_registered);
  EXPECT_NE(selector.modify(sock, EVENT::READ, kKeepData, error), nullptr);
  EXPECT_FALSE(error);
  EXPECT_TRUE(selector.select(0, error).empty());
  EXPECT_FALSE(error);
  const SelectorKey* const key = selector.modify(sock, EVENT::WRITE, error);
  ASSERT_NE(key, nullptr);
  EXPECT_FALSE(key->data) << "the error code is no data";
  EXPECT_EQ(selector.select(error).size(), 1u);
  EXPECT_FALSE(error);
  EXPECT_EQ(selector.unregister(peer, error).fd, -1);
  EXPECT_EQ(error, Errc::not_registered);
  EXPECT_EQ(selector.unregister(sock, error).fd, sock.fileno());
  EXPECT_FALSE(error);
  selector.close();
  EXPECT_TRUE(selector.select(0, error).empty());
  EXPECT_EQ(error, Errc::closed_poller);
}

struct Decoded final : detail::socket::Layer {
  long receive(detail::wait::Descriptor&, MutableBytes, int, Deadline) override { return 0; }
  long send(detail::wait::Descriptor&, BytesView, int, Deadline) override { return 0; }
  std::size_t pending() const noexcept override { return bytes; }
  std::size_t bytes = 1;
};

TYPED_TEST(Selectors, CountWhatALayerHasDecodedAsReadable) {
  auto [sock, peer] = socketpair();
  auto [other, other_peer] = socketpair();
  auto decoded = std::make_unique<Decoded>();
  auto& bytes = decoded->bytes;
  detail::socket::SocketAccess::state(sock)->set_layer(std::move(decoded));
  BaseSelector& selector = this->selector_;
  selector.register_(sock, EVENT::READ);
  selector.register_(other, EVENT::READ);
  EXPECT_EQ(this->ready(std::nullopt), (std::map<int, EVENT>{{sock.fileno(), EVENT::READ}}));
  other_peer.sendall("x");
  EXPECT_EQ(this->ready(std::nullopt).size(), 2u) << "and what is ready beside it";
  selector.modify(sock, kBoth);
  EXPECT_EQ(this->ready(std::nullopt).at(sock.fileno()), kBoth);
  selector.modify(sock, EVENT::WRITE);
  EXPECT_EQ(this->ready().at(sock.fileno()), EVENT::WRITE) << "it is not watched for reading";
  bytes = 0;
  selector.modify(sock, EVENT::READ);
  EXPECT_EQ(this->ready(), (std::map<int, EVENT>{{other.fileno(), EVENT::READ}}));
  bytes = 1;
  selector.unregister(sock);
  EXPECT_EQ(this->ready().size(), 1u);
}

/// Unregisters its descriptor when it is destroyed.
struct Guard {
  Guard(BaseSelector& the_selector, int number) : selector(&the_selector), fd(number) {}
  Guard(Guard&& other) noexcept : selector(std::exchange(other.selector, nullptr)), fd(other.fd) {}
  ~Guard() {
    std::error_code ignored;
    if (selector != nullptr) selector->unregister(fd, ignored);
  }
  BaseSelector* selector;
  int fd;
};

TYPED_TEST(Selectors, TakeDataWhoseEndUsesTheSelector) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  selector.register_(peer, EVENT::READ);
  selector.register_(sock, EVENT::READ, Guard(selector, peer.fileno()));
  selector.modify(sock, EVENT::READ, 5);
  EXPECT_EQ(selector.get_map()->size(), 1u);
  selector.modify(sock, EVENT::READ, Guard(selector, sock.fileno()));
  selector.close();
}

// --- closed descriptors ---

TEST(SelectSelector, ReportsThatSomethingHasBeenClosed) {
  auto [sock, peer] = socketpair();
  SelectSelector selector;
  selector.register_(sock, EVENT::READ);
  sock.close();
  EXPECT_EQ(number_of_error([&] { std::ignore = selector.select(0); }), EBADF);
}

TEST(PollSelector, HasWhatIsClosedReadyForEverything) {
  auto [sock, peer] = socketpair();
  PollSelector selector;
  const SelectorKey& key = selector.register_(sock, kBoth);
  sock.close();
  for (const auto& [other, events] : selector.select()) {
    EXPECT_EQ(&other, &key);
    EXPECT_EQ(events, kBoth);
  }
}

TEST(EpollSelector, IsTheDefault) {
  static_assert(std::is_same_v<DefaultSelector, EpollSelector>);
  DefaultSelector selector;
  EXPECT_EQ(::fcntl(selector.fileno(), F_GETFD), FD_CLOEXEC);
  auto [sock, peer] = socketpair();
  selector.register_(sock, EVENT::WRITE);
  EXPECT_EQ(select({selector}).readable.size(), 1u) << "a selector can be waited for";
  selector.close();
  EXPECT_THROW(std::ignore = selector.fileno(), ValueError);
}

TEST(EpollSelector, RefusesWhatCannotBeWaitedFor) {
  OwnedFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EpollSelector selector;
  EXPECT_EQ(number_of_error<PermissionError>([&] { selector.register_(file, EVENT::READ); }),
            EPERM);
  EXPECT_EQ(
      number_of_error([&] { selector.register_(std::numeric_limits<int>::max(), EVENT::READ); }),
      EBADF);
  EXPECT_TRUE(selector.get_map()->empty());
  auto [sock, peer] = socketpair();
  selector.register_(sock, EVENT::READ, 3);
  EXPECT_EQ(selector.get_key(sock).data.get<int>(), 3);
}

TEST(EpollSelector, ForgetsWhatTheSystemNoLongerTakes) {
  auto [sock, peer] = socketpair();
  EpollSelector selector;
  const int number = sock.fileno();
  selector.register_(number, EVENT::READ);
  sock.close();
  selector.modify(number, EVENT::READ, 1);
  EXPECT_EQ(number_of_error([&] { selector.modify(number, EVENT::WRITE); }), EBADF);
  EXPECT_TRUE(selector.get_map()->empty());
}

#ifndef PLUG_SANITIZED  // sanitizers need descriptors themselves
TEST(EpollSelector, ThrowsWhenThereCanBeNone) {
  EXPECT_EQ(run_in_child([] {
              const rlimit limit{3, 3};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 10;
              std::error_code error;
              EpollSelector none(error);
              if (error != std::errc::too_many_files_open) return 11;
              return number_of_error([] { EpollSelector(); }) == EMFILE ? 0 : 12;
            }),
            0);
}
#endif

// --- reused descriptor numbers ---

/// A descriptor that is closed while it is registered, and unregistered too late. The kernel still
/// reports it, because it has a duplicate that is ready.
class LeftBehind : public testing::Test {
 protected:
  LeftBehind() {
    auto pair = socketpair();
    number = pair.first.fileno();
    selector.register_(number, EVENT::READ, std::string("old"));
    duplicate = pair.first.dup();
    pair.second.sendall("x");
    EXPECT_EQ(selector.select().size(), 1u);
    keeps_alive = std::move(pair.second);
    pair.first.close();
  }

  /// Opens another file with the number.
  Socket take_number() {
    auto pair = socketpair();
    EXPECT_EQ(::dup2(pair.first.fileno(), number), number);
    peer = std::move(pair.second);
    return Socket(Fileno{number});
  }

  EpollSelector selector;
  int number = -1;
  Socket duplicate;
  Socket keeps_alive;
  Socket peer;
};

TEST_F(LeftBehind, IsNotReportedUnderTheKeyOfAnother) {
  selector.unregister(number);
  Socket another = take_number();
  selector.register_(another, EVENT::READ, std::string("new"));
  EXPECT_TRUE(selector.select(0.01).empty());
  peer.sendall("y");
  const ReadyKeys keys = selector.select();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ((*keys.begin()).key.data.get<std::string>(), "new");
}

TEST_F(LeftBehind, IsNotReportedAfterItsNumberWasTakenBeforeItWasUnregistered) {
  Socket another = take_number();
  selector.unregister(number);
  EXPECT_TRUE(selector.select(0.01).empty());
  selector.register_(another, EVENT::READ, std::string("new"));
  EXPECT_TRUE(selector.select(0.01).empty());
}

TEST_F(LeftBehind, DoesNotKeepTheSelectorFromWaiting) {
  selector.unregister(number);
  auto [sock, other] = socketpair();
  selector.register_(sock, EVENT::READ, 1);
  bool ready = false;
  BlockedThread thread([&, &sock = sock] {
    for (const auto& [key, events] : selector.select()) ready = key.fileobj.is(sock);
  });
  const bool blocked = thread.wait_until_blocked();
  other.sendall("x");
  thread.join();
  EXPECT_TRUE(blocked);
  EXPECT_TRUE(ready);
}

TEST_F(LeftBehind, LeavesTheNumberOfTheSelectorAndWhatIsRegisteredAsTheyWere) {
  const int own = selector.fileno();
  selector.unregister(number);
  auto [sock, other] = socketpair();
  selector.register_(sock, EVENT::READ, 1);
  auto [gone, gone_peer] = socketpair();
  const int gone_number = gone.fileno();
  selector.register_(gone_number, EVENT::WRITE, 2);
  gone.close();  // not unregistered, and another file gets its number
  auto [stranger, stranger_peer] = socketpair();
  const int strange =
      stranger.fileno() == gone_number ? -1 : ::dup2(stranger.fileno(), gone_number);
  EXPECT_TRUE(selector.select(0.01).empty());
  EXPECT_EQ(selector.fileno(), own);
  EXPECT_EQ(::fcntl(own, F_GETFD), FD_CLOEXEC);
  other.sendall("x");
  const ReadyKeys keys = selector.select();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_TRUE((*keys.begin()).key.fileobj.is(sock));
  if (strange >= 0) ::close(strange);
}

TEST_F(LeftBehind, CanBeRegisteredAgainUnderItsNumber) {
  selector.unregister(number);
  ASSERT_EQ(::dup2(duplicate.fileno(), number), number);
  const OwnedFd again(number);
  selector.register_(number, EVENT::READ, std::string("again"));
  const ReadyKeys keys = selector.select();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ((*keys.begin()).key.data.get<std::string>(), "again");
}

}  // namespace
}  // namespace plug
