#pragma once

// A table of waits: each entry prepares real sockets, files or fibers so that one public call waits
// in one place. tests/unit/every_wait_test.cpp cancels, interrupts, closes and forks each of them.

#include <plug/error.hpp>
#include <plug/fiber.hpp>
#include <plug/socket.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace waits {

/// One prepared wait. Destroying the functions releases everything.
struct Wait {
  std::function<void()> call;              ///< blocks; throws TimeoutError after its timeout
  std::function<void()> let_go = nullptr;  ///< makes this call, and a later one, return
  std::function<void()> close = nullptr;   ///< closes the object that the call waits for
};

enum Trait : unsigned {
  kTimed = 1,       ///< `make` uses its timeout
  kNeedsNames = 2,  ///< needs the hosts file and the name server of the test
  kInFibersOnly = 4,
  kToldLater = 8,          ///< nothing ends it early; the caller's next wait throws
  kNoHookOnThreads = 16,   ///< on a plain thread it is one call into libc
  kEndsAtOnce = 32,        ///< ends early, but the caller's next wait throws
  kHookLater = 64,         ///< the caller's next wait calls the hook
  kNotWokenByClose = 128,  ///< on a plain thread without a timeout: a shutdown does not end it
  kOnThreadsOnly = 256,    ///< in a fiber the call does not wait there (fiber/server.hpp)
  /// The call waits for other threads, or starts one before it waits itself. It may find that its
  /// descriptor is closed already.
  kMayBeginLate = 512
};

struct Scenario {
  std::string_view name;
  std::string_view where;  ///< the name that fiber::list() reports
  std::string_view file;   ///< the source file that waits
  unsigned traits;
  std::function<Wait(plug::Timeout)> make;
  /// The name of another fiber's wait at the same time, if the call starts a fiber. Empty: none.
  std::string_view also = {};

  bool is(Trait trait) const { return (traits & trait) != 0; }
};

std::vector<Scenario> of_sockets();
std::vector<Scenario> of_streams();
std::vector<Scenario> of_names();
std::vector<Scenario> of_fibers();
std::vector<Scenario> of_servers();

// --- parts that several of them use ---

struct Pair {
  plug::Socket sock;
  plug::Socket peer;
};

inline std::shared_ptr<Pair> make_pair(plug::Timeout timeout,
                                       plug::SOCK type = plug::SOCK::STREAM) {
  auto ends = plug::socketpair(plug::AF::UNIX, type);
  auto pair = std::make_shared<Pair>(Pair{std::move(ends.first), std::move(ends.second)});
  pair->sock.settimeout(timeout);
  return pair;
}

/// Reads everything that arrives at a descriptor, in another thread, until the end of the stream.
class Drain {
 public:
  void begin(int fd) {
    if (fd_ >= 0) return;
    fd_ = fd;
    thread_ = std::thread([fd] {
      std::vector<char> room(1 << 16);
      while (::recv(fd, room.data(), room.size(), 0) > 0) continue;
    });
  }
  Drain() = default;
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;
  ~Drain() {
    if (fd_ < 0) return;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
  }

 private:
  int fd_ = -1;
  std::thread thread_;
};

/// Makes a call in another fiber if the caller is in a fiber, and in another thread otherwise.
class Beside {
 public:
  explicit Beside(std::function<void()> call) {
    if (plug::fiber::inside())
      task_.emplace(plug::fiber::spawn("beside", std::move(call)));
    else
      thread_ = std::thread(std::move(call));
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  ~Beside() {
    if (task_)
      task_->join();
    else
      thread_.join();
  }

 private:
  std::optional<plug::fiber::Task<void>> task_;
  std::thread thread_;
};

/// Throws TimeoutError unless `in_time`.
inline void expect_in_time(bool in_time) {
  if (!in_time) plug::throw_if(plug::timed_out());
}

}  // namespace waits
