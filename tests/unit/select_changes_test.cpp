// Tests waits whose objects another fiber, or the interrupt hook, changes meanwhile.

#include <plug/fiber.hpp>
#include <plug/select.hpp>
#include <plug/selectors.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "support/engines.hpp"
#include "support/everywhere.hpp"
#include "support/fibers.hpp"
#include "support/sockets.hpp"

extern "C" std::uint64_t plug_census();  // tests/faults/census.cpp

namespace plug {
namespace {

using namespace std::chrono_literals;

/// More descriptors than a selector has room for at first.
constexpr int kMany = 300;

using Pair = std::pair<Socket, Socket>;

std::vector<Pair> many_pairs(int count) {
  std::vector<Pair> pairs;
  for (int i = 0; i < count; ++i) pairs.push_back(socketpair());
  return pairs;
}

/// Calls `wait` in a fiber, and `change` once the fiber waits. Returns the result of `wait`.
template <class Wait>
auto during(Wait wait, const std::function<void()>& change) {
  auto waiting = fiber::spawn(std::move(wait));
  let_others_wait();
  change();
  return waiting.join(kTooLong);
}

// --- selectors ---

enum class Kind { select, poll, epoll };

std::unique_ptr<BaseSelector> make_selector(Kind kind) {
  if (kind == Kind::select) return std::make_unique<SelectSelector>();
  if (kind == Kind::poll) return std::make_unique<PollSelector>();
  return std::make_unique<EpollSelector>();
}

class ChangedSelector : public testing::TestWithParam<std::tuple<fiber::Engine, Kind>> {
 protected:
  void SetUp() override {
    if (std::get<0>(GetParam()) == fiber::Engine::uring && !has_uring())
      GTEST_SKIP() << "no io_uring here";
  }
  template <class F>
  void run(F main) {
    run_cleanly(std::get<0>(GetParam()), std::move(main));
  }
  static Kind kind() { return std::get<1>(GetParam()); }
};

std::string name_of_kind(const testing::TestParamInfo<std::tuple<fiber::Engine, Kind>>& info) {
  constexpr const char* kNames[] = {"select", "poll", "epoll"};
  return name_of(std::get<0>(info.param)) + "_" +
         kNames[static_cast<std::size_t>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(All, ChangedSelector,
                         testing::Combine(testing::Values(fiber::Engine::epoll,
                                                          fiber::Engine::uring),
                                          testing::Values(Kind::select, Kind::poll, Kind::epoll)),
                         name_of_kind);

/// Returns the numbers of the descriptors that select() reports.
std::vector<int> select_from(BaseSelector& selector, Seconds timeout = kTooLong) {
  std::vector<int> numbers;
  for (const auto& [key, events] : selector.select(timeout)) numbers.push_back(key.fd);
  return numbers;
}

TEST_P(ChangedSelector, GoesOnWaitingForWhatItHadWhenManyAreRegistered) {
  run([] {
    const auto selector = make_selector(kind());
    auto [sock, peer] = socketpair();
    selector->register_(sock, EVENT::READ);
    std::vector<Pair> others = many_pairs(kMany);
    const auto ready = during([&, &s = *selector] { return select_from(s); },
                              [&, &p = peer] {
                                for (const auto& [one, other] : others)
                                  selector->register_(one, EVENT::READ);
                                p.sendall("x");
                              });
    EXPECT_EQ(ready, std::vector<int>{sock.fileno()});
    for (auto& [one, other] : others) other.sendall("x");
    EXPECT_EQ(select_from(*selector, 0).size(), others.size() + 1);
  });
}

TEST_P(ChangedSelector, DoesNotGiveWhatIsUnregistered) {
  run([] {
    const auto selector = make_selector(kind());
    std::vector<Pair> pairs = many_pairs(kMany);
    for (const auto& [one, other] : pairs) selector->register_(one, EVENT::READ);
    const auto ready = during([&, &s = *selector] { return select_from(s); },
                              [&] {
                                for (std::size_t i = 0; i + 1 < pairs.size(); ++i)
                                  selector->unregister(pairs[i].first);
                                pairs.back().second.sendall("x");
                              });
    EXPECT_EQ(ready, std::vector<int>{pairs.back().first.fileno()});
  });
}

TEST_P(ChangedSelector, DoesNotTakeWhatIsRegisteredUnderANumberForWhatItWaitedFor) {
  run([] {
    const auto selector = make_selector(kind());
    auto [sock, peer] = socketpair();
    auto [end, end_peer] = socketpair();
    selector->register_(sock, EVENT::READ, std::string("before"));
    selector->register_(end, EVENT::READ, std::string("end"));
    const auto data = during(
        [&] {
          std::vector<std::string> texts;
          for (const auto& [key, events] : selector->select(kTooLong))
            texts.push_back(key.data.get<std::string>());
          return texts;
        },
        [&, &s = sock, &p = peer, &e = end_peer] {
          p.sendall("x");  // reported for the old key
          selector->unregister(s);
          selector->register_(s, EVENT::READ, std::string("after"));
          e.sendall("x");
        });
    // An epoll knows at once; the others know from their next wait on.
    if (kind() != Kind::epoll) {
      EXPECT_EQ(data, std::vector<std::string>{"end"});
    }
    EXPECT_EQ(select_from(*selector, 0).size(), 2u);
  });
}

TEST_P(ChangedSelector, IsToldWhatAnotherRegistersFromTheNextWaitOnAndOfAnEpollAtOnce) {
  run([] {
    const auto selector = make_selector(kind());
    auto [sock, peer] = socketpair();
    auto [late, late_peer] = socketpair();
    selector->register_(sock, EVENT::READ);
    late_peer.sendall("x");
    auto waiting = fiber::spawn([&] { return select_from(*selector); });
    let_others_wait();
    selector->register_(late, EVENT::READ);
    if (kind() == Kind::epoll) {
      EXPECT_EQ(waiting.join(kTooLong), std::vector<int>{late.fileno()});
      return;
    }
    let_others_wait();
    EXPECT_FALSE(waiting.done());
    peer.sendall("x");
    EXPECT_EQ(waiting.join(kTooLong), std::vector<int>{sock.fileno()});
    EXPECT_EQ(select_from(*selector, 0).size(), 2u);
  });
}

TEST_P(ChangedSelector, EndsItsWaitWhenItIsClosed) {
  run([] {
    const auto selector = make_selector(kind());
    std::vector<Pair> pairs = many_pairs(kMany);
    for (const auto& [one, other] : pairs) selector->register_(one, EVENT::READ);
    const std::error_code error = during(
        [&] {
          std::error_code failed;
          EXPECT_TRUE(selector->select(kTooLong, failed).empty());
          return failed;
        },
        [&] {
          selector->close();
          pairs.clear();
          pairs = many_pairs(kMany);  // with the same numbers
          for (auto& [one, other] : pairs) other.sendall("x");
        });
    EXPECT_EQ(error, Errc::closed_poller);
  });
}

TEST_P(ChangedSelector, IsUsedByOneFiberAtATime) {
  run([] {
    const auto selector = make_selector(kind());
    auto [sock, peer] = socketpair();
    selector->register_(sock, EVENT::READ);
    const auto ready = during([&, &s = *selector] { return select_from(s); },
                              [&, &p = peer] {
                                EXPECT_THROW(std::ignore = selector->select(0), RuntimeError);
                                std::error_code error;
                                std::ignore = selector->select(0, error);
                                EXPECT_EQ(error, Errc::concurrent_poll);
                                p.sendall("x");
                              });
    EXPECT_EQ(ready, std::vector<int>{sock.fileno()});
    EXPECT_EQ(select_from(*selector, 0).size(), 1u) << "the one that waited is done";
  });
}

template <class S>
void moves_while_it_is_waited_on() {
  auto [sock, peer] = socketpair();
  auto selector = std::make_unique<S>();
  selector->register_(sock, EVENT::READ);
  std::unique_ptr<S> moved;
  const auto ready = during([&, &s = *selector] { return select_from(s); },
                            [&, &p = peer] {
                              moved = std::make_unique<S>(std::move(*selector));
                              selector.reset();
                              p.sendall("x");
                            });
  EXPECT_EQ(ready, std::vector<int>{sock.fileno()});
  EXPECT_EQ(select_from(*moved, 0).size(), 1u);
  sock.recv(1);
  const std::error_code replaced = during(
      [&] {
        std::error_code error;
        std::ignore = moved->select(kTooLong, error);
        return error;
      },
      [&] { *moved = S(); });
  EXPECT_EQ(replaced, Errc::closed_poller);
  EXPECT_TRUE(moved->select(0).empty());
  selector = std::make_unique<S>(std::move(*moved));
  std::error_code error;
  EXPECT_EQ(moved->register_(sock, EVENT::READ, {}, error), nullptr);
  EXPECT_EQ(error, Errc::closed_poller);
  EXPECT_THROW(moved->unregister(sock), ValueError);
  EXPECT_THROW(moved->modify(sock, EVENT::READ), ValueError);
  EXPECT_THROW(std::ignore = moved->select(), ValueError);
  EXPECT_THROW(std::ignore = moved->get_key(sock), RuntimeError);
  EXPECT_EQ(moved->get_map(), nullptr);
  moved->close();
}

TEST_P(ChangedSelector, MovesWhileItIsWaitedOn) {
  run([] {
    if (kind() == Kind::select) moves_while_it_is_waited_on<SelectSelector>();
    if (kind() == Kind::poll) moves_while_it_is_waited_on<PollSelector>();
    if (kind() == Kind::epoll) moves_while_it_is_waited_on<EpollSelector>();
  });
}

// --- select(), Poll and Epoll ---

class Changed : public OnEngine {};
PLUG_ON_EACH_ENGINE(Changed);

TEST_P(Changed, SelectGivesTheObjectsItWasGivenThoughTheListIsAnotherByThen) {
  run([] {
    auto [sock, peer] = socketpair();
    auto list = std::make_unique<std::vector<FileObject>>(40, sock);
    const auto ready = during([&] { return select(*list, {}, {}, kTooLong).readable; },
                              [&, &p = peer] {
                                list.reset();
                                p.sendall("x");
                              });
    EXPECT_EQ(ready, std::vector<FileObject>(40, sock));
  });
}

TEST_P(Changed, SelectNamesWhatIsNotOpenThoughTheListIsGoneByThen) {
  run([] {
    const int gone = ::dup(0);
    ::close(gone);
    auto list = std::make_unique<std::vector<FileObject>>(1, gone);
    try {
      std::ignore = select(*list, {}, {}, kTooLong);
      ADD_FAILURE() << "it is not open";
    } catch (const OSError& error) {
      EXPECT_NE(std::string(error.what()).find(std::to_string(gone) + ", item 0 of rlist"),
                std::string::npos)
          << error.what();
    }
  });
}

TEST_P(Changed, PollIgnoresObjectsThatAreRegisteredMeanwhile) {
  run([] {
    Poll poll;
    auto [sock, peer] = socketpair();
    const std::vector<Pair> others = many_pairs(kMany);
    poll.register_(others[0].first, POLL::IN);
    poll.register_(sock, POLL::IN);
    const auto events = during([&] { return poll.poll(kTooLong * 1000); },
                               [&, &p = peer] {
                                 for (const auto& [one, other] : others)
                                   poll.register_(one, POLL::OUT);
                                 poll.unregister(others[0].first);
                                 p.sendall("x");
                               });
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].fd, sock.fileno());
    EXPECT_EQ(poll.poll(0).size(), others.size());
  });
}

TEST_P(Changed, PollMovesWhileItIsWaitedOn) {
  run([] {
    auto [sock, peer] = socketpair();
    auto poll = std::make_unique<Poll>();
    poll->register_(sock, POLL::IN);
    Poll moved;
    const auto events = during([&, &p = *poll] { return p.poll(kTooLong * 1000); },
                               [&, &p = peer] {
                                 moved = std::move(*poll);
                                 poll.reset();
                                 p.sendall("x");
                               });
    EXPECT_EQ(events.size(), 1u);
    EXPECT_EQ(moved.poll(0).size(), 1u);
    sock.recv(1);
    const auto last = during([&] { return moved.poll(kTooLong * 1000); },
                             [&, &p = peer] {
                               moved = Poll();
                               p.sendall("x");
                             });
    EXPECT_EQ(last.size(), 1u) << "what it had when the wait began";
    const Poll other = std::move(moved);
    EXPECT_THROW(moved.register_(sock), ValueError);
    EXPECT_THROW(moved.modify(sock, POLL::IN), ValueError);
    EXPECT_THROW(moved.unregister(sock), ValueError);
    EXPECT_THROW(std::ignore = moved.poll(), ValueError);
  });
}

TEST_P(Changed, EpollIsToldOfWhatIsRegisteredAtOnce) {
  run([] {
    Epoll epoll;
    auto [sock, peer] = socketpair();
    const auto events = during([&] { return epoll.poll(kTooLong); },
                               [&, &s = sock] { epoll.register_(s, EPOLL::OUT); });
    EXPECT_EQ(events.size(), 1u);
  });
}

TEST_P(Changed, EpollEndsItsWaitsWhenItIsClosed) {
  run([] {
    Epoll epoll;
    const auto wait = [&] {
      std::error_code error;
      EXPECT_TRUE(epoll.poll(kTooLong, 1, error).empty());
      return error;
    };
    auto first = fiber::spawn(wait);
    const std::error_code second = during(wait, [&] {
      epoll.close();
      many_pairs(3);  // with its number
    });
    EXPECT_EQ(first.join(kTooLong), Errc::closed_poller);
    EXPECT_EQ(second, Errc::closed_poller);
  });
}

TEST_P(Changed, EpollMovesWhileItIsWaitedOn) {
  run([] {
    auto [sock, peer] = socketpair();
    auto epoll = std::make_unique<Epoll>();
    epoll->register_(sock, EPOLL::IN);
    Epoll moved;
    const auto events = during([&, &e = *epoll] { return e.poll(kTooLong); },
                               [&, &p = peer] {
                                 moved = std::move(*epoll);
                                 epoll.reset();
                                 p.sendall("x");
                               });
    EXPECT_EQ(events.size(), 1u);
    EXPECT_EQ(moved.poll(0).size(), 1u);
  });
}

// --- descriptors in several waits, and after them ---

class SelectedNumbers : public OnEngine {};
PLUG_ON_EACH_ENGINE(SelectedNumbers);

TEST_P(SelectedNumbers, AreLeftAloneOnceNobodyWaitsForThem) {
  run([] {
    auto [sock, peer] = socketpair();
    const Socket file = sock.dup();  // keeps the file open
    EXPECT_TRUE(select({sock}, {}, {}, 0.001).empty());
    peer.sendall("x");
    EXPECT_FALSE(select({sock}, {}, {}, kTooLong).empty());
    sock.close();
    const std::uint64_t before = plug_census();
    for (int turn = 0; turn < 3; ++turn) {
      peer.sendall("x");
      fiber::sleep(0.001s);
    }
    EXPECT_EQ(plug_census(), before);
  });
}

TEST_P(SelectedNumbers, WakeEachFiberThatWaitsForWhatHasHappened) {
  run([] {
    auto [sock, peer] = socketpair();
    sock.setblocking(false);
    std::error_code full;
    while (!full) sock.sendall("x", full);
    const int number = sock.fileno();
    const auto spawn_reader = [&] {
      return fiber::spawn([&] { return select({number}, {}, {}, kTooLong).readable.size(); });
    };
    auto reader = spawn_reader();
    auto second_reader = spawn_reader();
    auto writer = fiber::spawn([&] { return select({}, {number}, {}, kTooLong).writable.size(); });
    auto late = fiber::spawn([&] { return select({}, {}, {number}, 0.05).exceptional.size(); });
    let_others_wait();
    peer.sendall("x");
    EXPECT_EQ(reader.join(kTooLong), 1u);
    EXPECT_EQ(second_reader.join(kTooLong), 1u);
    let_others_wait();
    EXPECT_FALSE(writer.done());
    EXPECT_FALSE(late.done());
    sock.recv(1);
    auto third_reader = spawn_reader();  // joins the waiting fibers
    let_others_wait();
    for (std::error_code empty; !empty;) peer.recv(1 << 16, empty, MSG::DONTWAIT);
    EXPECT_EQ(writer.join(kTooLong), 1u);
    EXPECT_FALSE(third_reader.done());
    peer.sendall("x");
    EXPECT_EQ(third_reader.join(kTooLong), 1u);
    EXPECT_EQ(late.join(kTooLong), 0u);
  });
}

}  // namespace
}  // namespace plug
