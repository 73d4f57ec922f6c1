// The scenarios of CPython's test_selectors for each selector, under the same names.
// docs/conformance.md has the table.

#include <plug/selectors.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/deadlines.hpp"
#include "support/errors.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr EVENT kBoth = EVENT::READ | EVENT::WRITE;
constexpr int kUnknown = 999'999;

/// Returns the sockets that are ready for `event`.
std::vector<Socket*> matching(const ReadyKeys& ready, EVENT event) {
  std::vector<Socket*> found;
  for (auto& [key, events] : ready)
    if (events & event) found.push_back(&key.fileobj.get<Socket>());
  return found;
}

template <class S>
class BaseSelectorTestCase : public testing::Test {
 protected:
  BaseSelectorTestCase() { std::tie(reader, writer) = socketpair(); }

  S selector;
  Socket reader = Socket(AF::UNIX);
  Socket writer = Socket(AF::UNIX);
};

using Selectors = testing::Types<DefaultSelector, SelectSelector, PollSelector, EpollSelector>;

class SelectorNames {
 public:
  template <class S>
  static std::string GetName(int index) {
    constexpr std::array kNames{"Default", "Select", "Poll", "Epoll"};
    return kNames.at(static_cast<std::size_t>(index));
  }
};
TYPED_TEST_SUITE(BaseSelectorTestCase, Selectors, SelectorNames);

TYPED_TEST(BaseSelectorTestCase, test_register) {
  auto& s = this->selector;
  const SelectorKey& key = s.register_(this->reader, EVENT::READ, std::string("data"));
  EXPECT_TRUE(key.fileobj.is(this->reader));
  EXPECT_EQ(key.fd, this->reader.fileno());
  EXPECT_EQ(key.events, EVENT::READ);
  EXPECT_EQ(key.data.template get<std::string>(), "data");
  EXPECT_THROW(s.register_(0, static_cast<EVENT>(999999)), ValueError);
  EXPECT_THROW(s.register_(-10, EVENT::READ), ValueError);
  EXPECT_THROW(s.register_(this->reader, EVENT::READ), KeyError);
  EXPECT_THROW(s.register_(this->reader.fileno(), EVENT::READ), KeyError);
}

TYPED_TEST(BaseSelectorTestCase, test_unregister) {
  this->selector.register_(this->reader, EVENT::READ);
  EXPECT_TRUE(this->selector.unregister(this->reader).fileobj.is(this->reader));
  EXPECT_THROW(this->selector.unregister(kUnknown), KeyError);
  EXPECT_THROW(this->selector.unregister(this->reader), KeyError);
}

TYPED_TEST(BaseSelectorTestCase, test_unregister_after_fd_close) {
  const int r = this->reader.fileno(), w = this->writer.fileno();
  this->selector.register_(r, EVENT::READ);
  this->selector.register_(w, EVENT::WRITE);
  this->reader.close();
  this->writer.close();
  EXPECT_EQ(this->selector.unregister(r).fd, r);
  EXPECT_EQ(this->selector.unregister(w).fd, w);
  EXPECT_TRUE(this->selector.get_map()->empty());
}

TYPED_TEST(BaseSelectorTestCase, test_unregister_after_fd_close_and_reuse) {
  const int r = this->reader.fileno(), w = this->writer.fileno();
  this->selector.register_(r, EVENT::READ);
  this->selector.register_(w, EVENT::WRITE);
  auto [rd2, wr2] = socketpair();
  this->reader.close();
  this->writer.close();
  ASSERT_EQ(dup2(rd2.fileno(), r), r);
  ASSERT_EQ(dup2(wr2.fileno(), w), w);
  EXPECT_EQ(this->selector.unregister(r).fd, r);
  EXPECT_EQ(this->selector.unregister(w).fd, w);
  EXPECT_TRUE(this->selector.get_map()->empty());
  close(Fileno{r});
  close(Fileno{w});
}

TYPED_TEST(BaseSelectorTestCase, test_unregister_after_socket_close) {
  this->selector.register_(this->reader, EVENT::READ);
  this->selector.register_(this->writer, EVENT::WRITE);
  this->reader.close();
  this->writer.close();
  EXPECT_TRUE(this->selector.unregister(this->reader).fileobj.is(this->reader));
  EXPECT_TRUE(this->selector.unregister(this->writer).fileobj.is(this->writer));
}

TYPED_TEST(BaseSelectorTestCase, test_modify) {
  auto& s = this->selector;
  s.register_(this->reader, EVENT::READ);
  const SelectorKey& other_events = s.modify(this->reader, EVENT::WRITE);
  EXPECT_EQ(other_events.events, EVENT::WRITE);
  EXPECT_EQ(&other_events, &s.get_key(this->reader));
  s.unregister(this->reader);

  s.register_(this->reader, EVENT::READ, 1);
  const SelectorKey& other_data = s.modify(this->reader, EVENT::READ, 2);
  EXPECT_EQ(other_data.events, EVENT::READ);
  EXPECT_EQ(other_data.data.template get<int>(), 2);
  EXPECT_EQ(&other_data, &s.get_key(this->reader));
  EXPECT_THROW(s.modify(kUnknown, EVENT::READ), KeyError);

  // A change of the data alone makes no system call: epoll would refuse the closed descriptor.
  const int number = this->reader.fileno();
  s.unregister(this->reader);
  s.register_(number, EVENT::READ, 3);
  this->reader.close();
  EXPECT_EQ(s.modify(number, EVENT::READ, 4).data.template get<int>(), 4);
}

TYPED_TEST(BaseSelectorTestCase, test_modify_unregister) {
  if (!std::is_same_v<TypeParam, EpollSelector>)
    GTEST_SKIP() << "only epoll asks the system, which may refuse";
  const int number = this->reader.fileno();
  this->selector.register_(number, EVENT::READ);
  ASSERT_EQ(this->selector.get_map()->size(), 1u);
  this->reader.close();
  EXPECT_EQ(number_of_error([&] { this->selector.modify(number, EVENT::WRITE); }), EBADF);
  EXPECT_EQ(this->selector.get_map()->size(), 0u);
}

TYPED_TEST(BaseSelectorTestCase, test_close) {
  const SelectorMap& mapping = *this->selector.get_map();
  this->selector.register_(this->reader, EVENT::READ);
  this->selector.register_(this->writer, EVENT::WRITE);
  this->selector.close();
  EXPECT_THROW(std::ignore = this->selector.get_key(this->reader), RuntimeError);
  EXPECT_THROW(std::ignore = this->selector.get_key(this->writer), RuntimeError);
  EXPECT_THROW(std::ignore = mapping[this->reader], KeyError);
  EXPECT_THROW(std::ignore = mapping[this->writer], KeyError);
}

TYPED_TEST(BaseSelectorTestCase, test_get_key) {
  const SelectorKey& key = this->selector.register_(this->reader, EVENT::READ, std::string("data"));
  EXPECT_EQ(&key, &this->selector.get_key(this->reader));
  EXPECT_THROW(std::ignore = this->selector.get_key(kUnknown), KeyError);
}

TYPED_TEST(BaseSelectorTestCase, test_get_map) {
  const SelectorMap& keys = *this->selector.get_map();
  EXPECT_TRUE(keys.empty());
  EXPECT_EQ(keys.size(), 0u);
  EXPECT_EQ(keys.begin(), keys.end());
  const SelectorKey& key = this->selector.register_(this->reader, EVENT::READ, std::string("data"));
  EXPECT_TRUE(keys.contains(this->reader));
  EXPECT_EQ(&keys[this->reader], &key);
  EXPECT_EQ(keys.size(), 1u);
  std::vector<const SelectorKey*> all;
  for (const SelectorKey& each : keys) all.push_back(&each);
  EXPECT_THAT(all, ElementsAre(&key));
  EXPECT_THROW(std::ignore = keys[kUnknown], KeyError);
}

TYPED_TEST(BaseSelectorTestCase, test_select) {
  this->selector.register_(this->reader, EVENT::READ);
  const SelectorKey& wr_key = this->selector.register_(this->writer, EVENT::WRITE);
  std::vector<std::pair<const SelectorKey*, EVENT>> result;
  for (auto [key, events] : this->selector.select()) result.emplace_back(&key, events);
  EXPECT_THAT(result, ElementsAre(std::pair(&wr_key, EVENT::WRITE)));
}

TYPED_TEST(BaseSelectorTestCase, test_select_read_write) {
  this->writer.sendall("foo");
  const SelectorKey& my_key = this->selector.register_(this->reader, kBoth);
  const ReadyKeys result = this->selector.select();
  ASSERT_EQ(result.size(), 1u);
  for (auto [key, events] : result) {
    EXPECT_EQ(&key, &my_key);
    EXPECT_EQ(events, kBoth);
  }
}

TYPED_TEST(BaseSelectorTestCase, test_context_manager) {
  struct Counted {
    explicit Counted(int& count) : alive(&count) { ++*alive; }
    Counted(Counted&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
    ~Counted() {
      if (alive != nullptr) --*alive;
    }
    int* alive;
  };
  int alive = 0;
  {
    TypeParam scoped;
    scoped.register_(this->reader, EVENT::READ, Counted(alive));
    scoped.register_(this->writer, EVENT::WRITE, Counted(alive));
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0) << "the end of its scope closes a selector";
}

TYPED_TEST(BaseSelectorTestCase, test_fileno) {
  if constexpr (requires(TypeParam & s) { s.fileno(); }) {
    EXPECT_GE(this->selector.fileno(), 0);
  } else {
    GTEST_SKIP() << "it has no descriptor, as in Python";
  }
}

TYPED_TEST(BaseSelectorTestCase, test_selector) {
  constexpr std::size_t kSockets = 12;
  const std::string message = " This is a test.";
  auto& s = this->selector;
  std::vector<std::pair<Socket, Socket>> pairs;
  pairs.reserve(kSockets);
  std::map<const Socket*, Socket*> reader_of;
  for (std::size_t i = 0; i < kSockets; ++i) {
    auto& [rd, wr] = pairs.emplace_back(socketpair());
    s.register_(rd, EVENT::READ);
    s.register_(wr, EVENT::WRITE);
    reader_of[&wr] = &rd;
  }
  std::mt19937 random(1);
  for (std::size_t left = kSockets; left > 0; --left) {
    const std::vector<Socket*> writers = matching(s.select(), EVENT::WRITE);
    ASSERT_EQ(writers.size(), left);
    Socket& wr = *writers[random() % writers.size()];
    wr.sendall(message);
    Socket& rd = *reader_of[&wr];
    ASSERT_THAT(matching(s.select(), EVENT::READ), ElementsAre(&rd));
    EXPECT_EQ(rd.recv(100), message);
    s.unregister(wr);
    s.unregister(rd);
  }
  EXPECT_TRUE(s.get_map()->empty());
}

TYPED_TEST(BaseSelectorTestCase, test_empty_select) {
  EXPECT_TRUE(this->selector.select(0).empty());
}

TYPED_TEST(BaseSelectorTestCase, test_timeout) {
  auto& s = this->selector;
  s.register_(this->writer, EVENT::WRITE);
  EXPECT_EQ(s.select(0).size(), 1u);
  EXPECT_EQ(s.select(-1).size(), 1u);
  s.unregister(this->writer);
  s.register_(this->reader, EVENT::READ);
  EXPECT_TRUE(s.select(0).empty());
  EXPECT_TRUE(s.select(-1).empty());
  EXPECT_GE(time_of([&] { EXPECT_TRUE(s.select(0.2).empty()); }), milliseconds(200));
}

/// Sends a signal every 50 ms until the end of its scope.
class Alarm {
 public:
  Alarm() : before_(std::signal(SIGALRM, [](int) { come = 1; })) {
    come = 0;
    set(50'000);
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm() {
    set(0);
    std::signal(SIGALRM, before_);
  }

  static inline volatile std::sig_atomic_t come = 0;

 private:
  static void set(suseconds_t microseconds) {
    const itimerval timer{{0, microseconds}, {0, microseconds}};
    EXPECT_EQ(setitimer(ITIMER_REAL, &timer, nullptr), 0);
  }

  void (*before_)(int);
};

struct InterruptSelect {};

TYPED_TEST(BaseSelectorTestCase, test_select_interrupt_exc) {
  const InterruptHook before = set_interrupt_hook([]() -> std::errc {
    if (Alarm::come != 0) throw InterruptSelect();
    return {};
  });
  {
    const Alarm alarm;
    this->selector.register_(this->reader, EVENT::READ);
    EXPECT_THROW(std::ignore = this->selector.select(), InterruptSelect);
  }
  set_interrupt_hook(before);
}

TYPED_TEST(BaseSelectorTestCase, test_select_interrupt_noraise) {
  const Alarm alarm;
  this->selector.register_(this->reader, EVENT::READ);
  EXPECT_GE(time_of([&] { EXPECT_TRUE(this->selector.select(0.3).empty()); }), milliseconds(300));
  EXPECT_EQ(Alarm::come, 1);
}

// --- selectors that scale ---

template <class S>
class ScalableSelectorMixIn : public testing::Test {};

using Scalable = testing::Types<PollSelector, EpollSelector>;
TYPED_TEST_SUITE(ScalableSelectorMixIn, Scalable);

TYPED_TEST(ScalableSelectorMixIn, test_above_fd_setsize) {
  constexpr std::size_t kPairs = 4000;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit more = before;
  more.rlim_cur = before.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &more), 0);
  if (more.rlim_cur < 2 * kPairs + 100) GTEST_SKIP() << "too few descriptors are allowed here";
  {
    TypeParam s;
    std::vector<std::pair<Socket, Socket>> pairs;
    pairs.reserve(kPairs);
    for (std::size_t i = 0; i < kPairs; ++i) {
      auto& [rd, wr] = pairs.emplace_back(socketpair());
      s.register_(rd, EVENT::READ);
      s.register_(wr, EVENT::WRITE);
    }
    // One call of an epoll returns only the events that fit into it.
    std::size_t ready = 0;
    while (ready < kPairs) {
      const std::vector<Socket*> writers = matching(s.select(0), EVENT::WRITE);
      ASSERT_FALSE(writers.empty());
      ready += writers.size();
      for (Socket* const wr : writers) s.unregister(*wr);
    }
    EXPECT_EQ(ready, kPairs);
    EXPECT_TRUE(s.select(0).empty());
  }
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(EpollSelectorTestCase, test_register_file) {
  EpollSelector s;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(number_of_error([&] { s.register_(::fileno(file.get()), EVENT::READ); }), EPERM);
  EXPECT_TRUE(s.get_map()->empty());
}

}  // namespace
}  // namespace plug
