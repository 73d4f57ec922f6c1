// Tests the keys that selectors return, and the objects that keys own.

#include <plug/selectors.hpp>
#include <plug/socket.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <concepts>
#include <memory>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include "socket/state.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

constexpr EVENT kBoth = EVENT::READ | EVENT::WRITE;

static_assert(std::is_nothrow_move_constructible_v<SelectorKey>);
static_assert(std::is_nothrow_move_assignable_v<SelectorKey>);
static_assert(!std::is_copy_constructible_v<SelectorKey>);
static_assert(sizeof(KeyObject) == sizeof(FileObject));

template <class T>
concept Registrable = requires(BaseSelector& selector, T&& object) {
  selector.register_(std::forward<T>(object), EVENT::READ);
};

struct Throwing {
  Throwing() = default;
  Throwing(Throwing&&) {}
  int fileno() const { return 0; }
};

static_assert(Registrable<Socket&> && Registrable<const Socket&> && Registrable<Socket>);
static_assert(Registrable<OwnedFd> && Registrable<File> && Registrable<int>);
static_assert(!Registrable<const Socket>, "it cannot be moved");
static_assert(Registrable<Throwing&> && !Registrable<Throwing>, "it would be lost half-way");

/// A descriptor that notes when it is destroyed, and whether its selector still knows it then.
struct Watched {
  struct Notes {
    bool ended = false;
    bool was_registered = false;
  };

  Watched(BaseSelector& the_selector, Socket the_socket, Notes& the_notes)
      : selector(&the_selector), sock(std::move(the_socket)), notes(&the_notes) {}
  Watched(Watched&& other) noexcept
      : selector(other.selector),
        sock(std::move(other.sock)),
        notes(std::exchange(other.notes, nullptr)) {}
  ~Watched() {
    if (notes == nullptr) return;
    notes->ended = true;
    const SelectorMap* const map = selector->get_map();
    notes->was_registered = map != nullptr && sock.fileno() >= 0 && map->contains(sock.fileno());
  }
  int fileno() const { return sock.fileno(); }

  BaseSelector* selector;
  Socket sock;
  Notes* notes;
};

template <class S>
class SelectorKeys : public testing::Test {
 protected:
  S selector_;
};

using All = testing::Types<SelectSelector, PollSelector, EpollSelector>;
TYPED_TEST_SUITE(SelectorKeys, All);

// --- iteration ---

TYPED_TEST(SelectorKeys, BindToReferencesInALoop) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const SelectorKey& registered = selector.register_(sock, EVENT::WRITE);
  int seen = 0;
  for (auto& [key, mask] : selector.select()) {
    static_assert(std::same_as<decltype(key), const SelectorKey&>);
    static_assert(std::same_as<decltype(mask), const EVENT>);
    EXPECT_EQ(&key, &registered);
    if (mask & EVENT::WRITE) ++seen;
  }
  for (const auto& [key, mask] : selector.select())
    if (has(mask, EVENT::WRITE)) ++seen;
  for (auto [key, mask] : selector.select())
    if (mask == EVENT::WRITE) ++seen;
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(selector.select().begin()->key.fd, sock.fileno());
}

TYPED_TEST(SelectorKeys, HaveNoEventsAfterTheyAreUnregisteredInTheLoop) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  peer.sendall("x");
  selector.register_(sock, kBoth);
  int seen = 0;
  for (auto& [key, mask] : selector.select()) {
    const EVENT before = mask;
    ASSERT_TRUE(mask & EVENT::READ);
    selector.unregister(sock);
    EXPECT_FALSE(mask & EVENT::WRITE) << "so nothing is written to what has left";
    EXPECT_EQ(before, kBoth);
    EXPECT_EQ(key.events, kBoth);
    ++seen;
  }
  EXPECT_EQ(seen, 1);
}

// --- ownership ---

TYPED_TEST(SelectorKeys, OwnASocketThatIsMovedIn) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const int number = sock.fileno();
  const SelectorKey& key = selector.register_(std::move(sock), EVENT::READ, std::string("data"));
  EXPECT_EQ(sock.fileno(), -1);
  EXPECT_TRUE(key.fileobj.is_owned());
  EXPECT_EQ(key.fd, number);
  peer.sendall("hello");
  for (auto& [ready, mask] : selector.select()) {
    EXPECT_EQ(&ready, &key);
    Socket& owned = ready.fileobj.template get<Socket>();
    EXPECT_TRUE(ready.fileobj.is(owned));
    EXPECT_EQ(owned.fileno(), number);
    EXPECT_EQ(owned.recv(10), "hello");
    EXPECT_EQ(ready.data.template get<std::string>(), "data");
    EXPECT_EQ(&selector.get_key(owned), &key);
    EXPECT_EQ(&selector.modify(owned, EVENT::WRITE, kKeepData), &key);
  }
  EXPECT_EQ(selector.select().size(), 1u) << "it is watched in its new place";
}

TYPED_TEST(SelectorKeys, OwnNothingThatIsPassedByReference) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  EXPECT_FALSE(selector.register_(sock, EVENT::READ).fileobj.is_owned());
  EXPECT_FALSE(selector.register_(peer.fileno(), EVENT::READ).fileobj.is_owned());
  const SelectorKey key = selector.unregister(sock);
  EXPECT_FALSE(key.fileobj.is_owned());
  selector.close();
  sock.sendall("x");
  EXPECT_EQ(peer.recv(1), "x");
}

TYPED_TEST(SelectorKeys, ReturnTheSocketWhenTheyAreUnregistered) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const SelectorKey& key = selector.register_(std::move(sock), EVENT::READ);
  Socket back = std::move(selector.unregister(key.fileobj).fileobj.template get<Socket>());
  EXPECT_TRUE(selector.get_map()->empty());
  back.sendall("x");
  EXPECT_EQ(peer.recv(1), "x");
  EXPECT_TRUE(selector.register_(std::move(back), EVENT::WRITE).fileobj.is_owned());
  EXPECT_EQ(selector.select().size(), 1u);
}

TYPED_TEST(SelectorKeys, CloseTheSocketWithTheLastOfThem) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  selector.register_(std::move(sock), EVENT::READ);
  std::error_code error;
  {
    SelectorKey key = selector.unregister(selector.get_map()->begin()->fileobj);
    SelectorKey moved = std::move(key);
    EXPECT_FALSE(key.fileobj.is_owned());
    EXPECT_TRUE(key.fileobj.is(moved.fd)) << "the moved-from key names the descriptor";
    peer.setblocking(false);
    peer.recv(1, error);
    EXPECT_EQ(error, std::errc::operation_would_block) << "open as long as there is a key";
  }
  EXPECT_EQ(peer.recv(1), "");
}

TYPED_TEST(SelectorKeys, CloseWithTheSelector) {
  const int before = count_descriptors();
  {
    auto [sock, peer] = socketpair();
    auto [other, other_peer] = socketpair();
    auto [third, third_peer] = socketpair();
    TypeParam selector;
    selector.register_(std::move(sock), EVENT::READ);
    selector.close();
    EXPECT_EQ(peer.recv(1), "");
    selector = TypeParam();
    selector.register_(std::move(other), EVENT::READ);
    selector = TypeParam();
    EXPECT_EQ(other_peer.recv(1), "");
    {
      TypeParam last;
      last.register_(std::move(third), EVENT::READ);
    }
    EXPECT_EQ(third_peer.recv(1), "");
  }
  EXPECT_EQ(count_descriptors(), before);
}

TYPED_TEST(SelectorKeys, AreUnregisteredBeforeTheirObjectEnds) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  Watched::Notes notes;
  const int number = sock.fileno();
  selector.register_(Watched(selector, std::move(sock), notes), EVENT::READ);
  EXPECT_FALSE(notes.ended);
  selector.unregister(number);
  EXPECT_TRUE(notes.ended);
  EXPECT_FALSE(notes.was_registered);

  notes = {};
  selector.register_(Watched(selector, std::move(peer), notes), EVENT::READ);
  selector.close();
  EXPECT_TRUE(notes.ended);
  EXPECT_FALSE(notes.was_registered);
}

TYPED_TEST(SelectorKeys, NameTheNumberOfAnObjectThatHasLeftInTheLoop) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  const int number = sock.fileno();
  selector.register_(std::move(sock), EVENT::WRITE);
  int seen = 0;
  for (auto& [key, mask] : selector.select()) {
    selector.unregister(key.fileobj);
    EXPECT_EQ(peer.recv(1), "") << "it is closed at once";
    EXPECT_FALSE(key.fileobj.is_owned());
    EXPECT_TRUE(key.fileobj.is(number));
    ++seen;
  }
  EXPECT_EQ(seen, 1);
}

TYPED_TEST(SelectorKeys, LeaveTheObjectWithTheCallerIfItIsRefused) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  std::error_code error;
  const std::string name = std::to_string(sock.fileno()) + " (plug::Socket)";
  EXPECT_EQ(selector.register_(std::move(sock), EVENT{}, error), nullptr);
  EXPECT_EQ(error, Errc::bad_events);
  EXPECT_EQ(selector.register_(std::move(sock), EVENT{5}, 1, error), nullptr);
  EXPECT_THROW(selector.register_(std::move(sock), EVENT{}), ValueError);
  selector.register_(sock.fileno(), EVENT::READ);
  EXPECT_EQ(
      text_of_error<KeyError>([&, &s = sock] { selector.register_(std::move(s), EVENT::READ); }),
      "already registered: " + name);
  selector.unregister(sock);
  EXPECT_NE(selector.register_(std::move(peer), EVENT::READ, error), nullptr);
  EXPECT_FALSE(error);
  selector.close();
  EXPECT_THROW(selector.register_(std::move(sock), EVENT::READ), ValueError);
  EXPECT_GE(sock.fileno(), 0);
  EXPECT_EQ(sock.recv(1), "") << "the socket is as it was; its peer was closed with the selector";
}

TEST(EpollSelectorKeys, LeaveAFileWithTheCallerIfTheSystemRefusesIt) {
  OwnedFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = file.fileno();
  EpollSelector selector;
  std::error_code error;
  EXPECT_EQ(selector.register_(std::move(file), EVENT::READ, error), nullptr);
  EXPECT_EQ(error, std::errc::operation_not_permitted);
  EXPECT_THROW(selector.register_(std::move(file), EVENT::READ), PermissionError);
  EXPECT_EQ(file.fileno(), number);
  EXPECT_GE(::fcntl(number, F_GETFD), 0);
}

TEST(EpollSelectorKeys, KeepAnObjectThatTheSystemNoLongerTakesUntilTheNextSelect) {
  auto [sock, peer] = socketpair();
  EpollSelector selector;
  Watched::Notes notes;
  const SelectorKey& key =
      selector.register_(Watched(selector, std::move(sock), notes), EVENT::READ, 1);
  Watched& watched = key.fileobj.get<Watched>();
  watched.sock.close();
  EXPECT_EQ(
      text_of_error<OSError>([&] { selector.modify(key.fileobj, EVENT::WRITE, 2); }).substr(0, 30),
      "[Errno 9] Bad file descriptor:");
  EXPECT_TRUE(selector.get_map()->empty());
  EXPECT_FALSE(notes.ended) << "the error names it";
  EXPECT_TRUE(selector.select(0).empty());
  EXPECT_TRUE(notes.ended);
}

TYPED_TEST(SelectorKeys, OwnAnythingWithADescriptorThatMoves) {
  auto [sock, peer] = socketpair();
  BaseSelector& selector = this->selector_;
  OwnedFd owned(sock.detach());
  File file = peer.makefile("rb");
  selector.register_(std::move(owned), EVENT::WRITE);
  selector.register_(std::move(file), EVENT::WRITE);
  peer.close();
  EXPECT_EQ(selector.select().size(), 2u) << "the file keeps its socket open";
  for (const SelectorKey& key : *selector.get_map()) {
    EXPECT_TRUE(key.fileobj.is_owned());
    EXPECT_TRUE(key.fileobj.template get_if<OwnedFd>() || key.fileobj.template get_if<File>());
  }
}

struct Decoded final : detail::socket::Layer {
  long receive(detail::wait::Descriptor&, MutableBytes, int, Deadline) override { return 0; }
  long send(detail::wait::Descriptor&, BytesView, int, Deadline) override { return 0; }
  std::size_t pending() const noexcept override { return 1; }
};

TYPED_TEST(SelectorKeys, SeeTheDecodedBytesOfASocketThatTheyOwn) {
  auto [sock, peer] = socketpair();
  detail::socket::SocketAccess::state(sock)->set_layer(std::make_unique<Decoded>());
  BaseSelector& selector = this->selector_;
  selector.register_(std::move(sock), EVENT::READ);
  EXPECT_EQ(selector.select().size(), 1u);
}

}  // namespace
}  // namespace plug
