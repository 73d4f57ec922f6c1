// Serving until a signal comes, and the graceful shutdown of a server.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <array>
#include <cerrno>
#include <functional>
#include <latch>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "server/access.hpp"
#include "server/event.hpp"
#include "server/loop.hpp"
#include "socket/calls.hpp"
#include "sys/signals.hpp"
#include "wait/io_driver.hpp"

namespace plug {

namespace detail::server {
namespace {

/// A thread that blocks all signals and is joined.
class BackgroundThread {
 public:
  explicit BackgroundThread(std::function<void()> function) {
    const sys::SignalMask none;
    std::latch begun(1);
    try {
      thread_ = std::thread([&begun, function = std::move(function)] {
        begun.count_down();
        function();
      });
    } catch (const std::system_error& error) {
      throw RuntimeError(std::string("can't start new thread: ") + error.code().message());
    }
    // Wait until the thread has begun: if a request forks while the thread allocates its first
    // memory, the allocators of sanitizers stay locked in the child.
    begun.wait();
  }
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;
  ~BackgroundThread() { thread_.join(); }

 private:
  std::thread thread_;
};

/// Stops a server when a signal comes, and ends its connections some time after any request to
/// stop. Runs beside the serving thread, which may be handling a request.
class GracefulShutdown {
 public:
  GracefulShutdown(BaseServer& server, const Timeout& drain_timeout,
                   const std::vector<int>& signals)
      : loop_(ServerAccess::loop(server)), drain_timeout_(drain_timeout) {
    const long taken = signals_.take(signals);
    if (taken < 0)
      throw_if(base::error_from(taken), "the signals that end a server:" + text_of(signals));
    beside_ = ServerAccess::run_in_background(server, [this] { watch(); });
  }
  GracefulShutdown(const GracefulShutdown&) = delete;
  GracefulShutdown& operator=(const GracefulShutdown&) = delete;
  ~GracefulShutdown() {
    sys::eventfd_add(over_);
    beside_.reset();
  }

  /// Readable once the connections have been shut down.
  int cut_event() const noexcept { return cut_.get(); }
  int signal() const noexcept { return signals_.first(); }

 private:
  static std::string text_of(const std::vector<int>& signals) {
    std::string text;
    for (const int signal : signals) text += " " + std::to_string(signal);
    return text;
  }

  /// Waits as wait_any() does, and tries again if that fails.
  static long wait(std::span<sys::PollEntry> entries, Deadline deadline) noexcept {
    long ready = wait::wait_any(entries, deadline);
    for (; ready < 0; ready = wait::wait_any(entries, deadline))
      static_cast<void>(AcceptPause::rest());
    return ready;
  }

  void watch() noexcept {
    const wait::Shield shield(wait::OnCancel::ignore);
    std::array entries{sys::PollEntry{over_.get(), sys::kIn, 0},
                       sys::PollEntry{signals_.event(), sys::kIn, 0},
                       sys::PollEntry{loop_.serving().stop_event(), sys::kIn, 0}};
    wait(entries, Deadline::none());
    if (entries[0].revents != 0) return;
    if (entries[1].revents != 0) loop_.serving().stop();
    entries[2].fd = -1;
    const Deadline deadline = base::deadline_after(drain_timeout_);
    while (signals_.count() < 2) {
      signals_.drain();
      if (signals_.count() >= 2 || wait(entries, deadline) == 0) break;
      if (entries[0].revents != 0) return;
    }
    signals_.give_back();
    loop_.requests().shut_down_all();
    sys::eventfd_add(cut_);
  }

  ServerLoop& loop_;
  const Timeout drain_timeout_;
  sys::TakenSignals signals_;
  const sys::OwnFd over_ = make_event();
  const sys::OwnFd cut_ = make_event();
  std::shared_ptr<void> beside_;
};

}  // namespace
}  // namespace detail::server

std::shared_ptr<void> BaseServer::run_in_background(std::function<void()> function) {
  return std::make_shared<detail::server::BackgroundThread>(std::move(function));
}

int BaseServer::serve_until_signal(const UntilSignalOptions& options) {
  check_complete("serve_until_signal");
  loop_->adopt();
  int signal = 0;
  run_serving([&] { signal = serve_and_drain(options); });
  return signal;
}

int BaseServer::serve_and_drain(const UntilSignalOptions& options) {
  const detail::server::ServingState::Running running(loop_->serving(), loop_->requests());
  const detail::server::GracefulShutdown ending(*this, options.drain, options.signals);
  const detail::sys::SignalMask let_through(options.signals);
  serve(options.poll_interval);
  const auto listens = [](int fd) -> long { return detail::sys::is_listening(fd) ? 1 : 0; };
  std::error_code ignored;
  if (detail::socket::on_descriptor(
          detail::socket::state_or_closed(detail::socket::SocketAccess::state(socket)), listens) >
      0)
    socket.close(ignored);
  if (!loop_->wait_until_idle(ending.cut_event())) loop_->children().terminate();
  return ending.signal();
}

}  // namespace plug
