#include "socket/connect_race.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "resolve/resolver.hpp"
#include "sys/syscalls.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::socket {

namespace {

class Race {
 public:
  Race(Timeout timeout, Timeout delay, const HostPort* source,
       std::vector<ConnectFailure>& failures)
      : timeout_(timeout), delay_(delay), source_(source), failures_(failures) {}

  Socket run(const std::vector<AddrInfo>& targets) {
    auto next = targets.begin();
    while (winner_.fileno() < 0 && (next != targets.end() || !runners_.empty())) {
      if (next != targets.end() && (runners_.empty() || base::remaining(turn_) == 0)) {
        turn_ = base::deadline_after(delay_);
        start(*next++);
        if (!failures_.empty() && base::ends_call(failures_.back().error)) return Socket::closed();
      } else if (!wait(next != targets.end() ? turn_ : Deadline::none())) {
        return Socket::closed();
      }
    }
    if (winner_.fileno() < 0) return Socket::closed();
    std::error_code error;
    winner_.settimeout(timeout_, error);
    if (error) return fail({error, ""}), Socket::closed();
    return std::move(winner_);
  }

 private:
  struct Runner {
    Socket sock;
    Address target;
    Deadline deadline;
  };

  /// Records a failure; the next attempt may start at once.
  void fail(ConnectFailure failure) {
    failures_.push_back(std::move(failure));
    turn_ = Deadline::immediate();
  }

  void start(const AddrInfo& target) {
    ConnectFailure failure;
    // A name to bind to is looked up within the timeout; from then on nothing here may wait.
    Socket sock = connecting_socket(target, timeout_, source_, failure);
    if (failure.error) return fail(std::move(failure));
    std::error_code error;
    sock.settimeout(0, error);
    if (!error) sock.connect(target.sockaddr, error);
    if (!error) {
      winner_ = std::move(sock);
    } else if (error == std::errc::operation_in_progress || error == std::errc::interrupted) {
      runners_.push_back({std::move(sock), target.sockaddr, base::deadline_after(timeout_)});
    } else {
      fail({error, to_string(target.sockaddr)});
    }
  }

  /// Waits until an attempt has ended, or until it is the next one's turn. Returns false if that
  /// fails.
  bool wait(Deadline deadline) {
    std::vector<sys::PollEntry> entries;
    for (const Runner& runner : runners_) {
      entries.push_back({runner.sock.fileno(), sys::kOut, 0});
      deadline = std::min(deadline, runner.deadline);
    }
    const long ready = wait::wait_any(entries, deadline);
    if (ready < 0) {
      fail({base::error_from(ready), ""});
      return false;
    }
    std::size_t i = 0;
    for (const sys::PollEntry& entry : entries) {
      if (winner_.fileno() >= 0) break;
      const std::size_t before = runners_.size();
      if (entry.revents != 0)
        finish(i);
      else if (base::remaining(runners_[i].deadline) == 0)
        end(i, timed_out());
      if (runners_.size() == before) ++i;
    }
    return true;
  }

  void finish(std::size_t i) {
    int number = 0;
    const long got = sys::socket_error(runners_[i].sock.fileno(), number);
    const std::error_code error = base::error_from(got < 0 ? got : -number);
    if (error) return end(i, error);
    winner_ = std::move(runners_[i].sock);
  }

  void end(std::size_t i, std::error_code error) {
    fail({error, to_string(runners_[i].target)});
    runners_.erase(runners_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  const Timeout timeout_;
  const Timeout delay_;
  const HostPort* const source_;
  std::vector<ConnectFailure>& failures_;
  std::vector<Runner> runners_;
  Socket winner_ = Socket::closed();
  Deadline turn_ = Deadline::immediate();
};

}  // namespace

Socket connecting_socket(const AddrInfo& target, Timeout timeout, const HostPort* source,
                         ConnectFailure& failure) {
  Socket sock(target.family, target.type, target.proto, failure.error);
  if (!failure.error) sock.settimeout(timeout, failure.error);
  if (failure.error) {
    failure.about = to_string(target.sockaddr);
  } else if (source != nullptr) {
    sock.bind(*source, failure.error);
    if (failure.error) failure.about = to_string(*source);
  }
  return failure.error ? Socket::closed() : std::move(sock);
}

Socket race(const std::vector<AddrInfo>& targets, Timeout timeout, Timeout delay,
            const HostPort* source, std::vector<ConnectFailure>& failures) {
  return Race(timeout, delay, source, failures).run(targets);
}

}  // namespace plug::detail::socket
