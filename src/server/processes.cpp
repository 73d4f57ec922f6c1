// The child processes of ForkingMixIn.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <vector>

#include "server/access.hpp"
#include "server/loop.hpp"
#include "server/report.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::server {

namespace {

constexpr std::int64_t kLookAgain = 5'000'000;  // nanoseconds

/// Reaps the children that have ended, and removes them from `children` and from the loop.
void reap(ServerLoop& loop, std::vector<int>& children) {
  const auto ended = [&loop](int child) {
    const long reaped = sys::reap(child);
    // Not a child any more: another part of the program has reaped it.
    if (reaped != child && reaped != -ECHILD) return false;
    loop.children().remove(child);
    return true;
  };
  children.erase(std::remove_if(children.begin(), children.end(), ended), children.end());
}

/// Waits until one of the children has ended, or until the descriptor (-1: none) is readable.
void wait_for_child(const std::vector<int>& children, int descriptor) {
  std::vector<sys::OwnFd> owned;
  std::vector<sys::PollEntry> entries{{descriptor, sys::kIn, 0}};
  owned.reserve(children.size());
  entries.reserve(children.size() + entries.size());
  Deadline deadline = Deadline::none();
  for (const int child : children) {
    const long made = sys::pidfd(child);
    if (made >= 0) {
      owned.emplace_back(static_cast<int>(made));
      entries.push_back({owned.back().get(), sys::kIn, 0});
    } else {
      // An old kernel, or no descriptor left: check this child now and then.
      deadline = base::deadline_after(kLookAgain);
    }
  }
  const long ready = wait::wait_any(entries, deadline);
  if (ready < 0) throw_if(base::error_from(ready), "waiting for the children of a server");
}

[[noreturn]] void be_child(BaseServer& server, Request& request, const Address& client_address) {
  int status = 1;
  ServerLoop& loop = ServerAccess::loop(server);
  loop.children().leave_to_parent();
  try {
    loop.close_sockets_of_others(server);
    if (!request.is_datagram()) {
      std::error_code ignored;
      server.socket.close(ignored);
    }
    server.finish_request(request, client_address);
    status = 0;
  } catch (const BaseException&) {
    // The exception ends this process.
  } catch (...) {
    try {
      server.handle_error(request, client_address);
    } catch (...) {
      report_request_exception("Exception in the child for the request from", client_address);
    }
  }
  loop.children().tell_handled();
  try {
    server.shutdown_request(request);
  } catch (...) {
    report_request_exception("Exception in the child for the request from", client_address);
  }
  sys::exit_now(status);
}

}  // namespace

}  // namespace plug::detail::server

namespace plug::detail {

int fork_request(BaseServer& server, Request& request, const Address& client_address) {
  server::ServerChildren& children = server::ServerAccess::loop(server).children();
  children.prepare();
  sys::SignalMask held;
  const long child = sys::fork();
  if (child == 0) {
    sys::leave_signals_to_parent();
    held.undo();
    server::be_child(server, request, client_address);
  }
  if (child < 0) throw_if(base::error_from(child), "fork");
  children.add(static_cast<int>(child), server::ServerAccess::entry(request));
  return static_cast<int>(child);
}

void collect_children(BaseServer& server, std::vector<int>& children, std::size_t most,
                      bool blocking) {
  server::ServerLoop& loop = server::ServerAccess::loop(server);
  server::reap(loop, children);
  while (children.size() >= most && !loop.serving().stopping()) {
    server::wait_for_child(children, loop.serving().stop_event());
    server::reap(loop, children);
  }
  while (blocking && !children.empty()) {
    server::wait_for_child(children, -1);
    server::reap(loop, children);
  }
}

}  // namespace plug::detail
