#pragma once

// Groups of servers on one address. Not in Python.
//
//   ServerGroup<ThreadingTCPServer> servers(4, {"127.0.0.1", 8000}, handler<Echo>);
//   servers.serve_until_signal({.drain = 10s});
//
// Each worker is a complete server with its own listening socket (SO_REUSEPORT, socket(7)) and its
// own serving thread. The kernel picks a worker for each client. Several CPUs can thus accept
// clients, and run the handlers of servers that handle requests one at a time. A client that waits
// in the queue of one worker is not served by another.
//
// Limits, pools and members of a subclass are per worker: a group of 4 with max_connections = 100
// accepts up to 400. Keep state that the workers share outside of them, protected by a lock. All
// datagrams of one client arrive at the same worker. Groups do not support Unix addresses.
//
// Another process of the same user that also sets SO_REUSEPORT gets a share of the clients.
// Starting the same program twice therefore does not fail.
//
// Threads. As for a single server: one thread serves; any other thread may call shutdown() and
// stop_serving().

#include <plug/address.hpp>
#include <plug/socketserver.hpp>
#include <plug/timeout.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// The base class of all groups.
class BaseServerGroup {
 public:
  BaseServerGroup(const BaseServerGroup&) = delete;
  BaseServerGroup& operator=(const BaseServerGroup&) = delete;

  /// Returns the number of workers.
  [[nodiscard]] std::size_t size() const noexcept { return workers_.size(); }
  /// Returns the address that server_bind() has bound; empty before.
  [[nodiscard]] const Address& server_address() const noexcept {
    return workers_.front()->server_address;
  }

  /// Binds each worker, with allow_reuse_port if there are several. The others bind to the address
  /// of the first, so that port 0 gives all of them the same port. If one fails, closes all and
  /// throws.
  void server_bind();
  /// Activates each worker. If one fails, closes all and throws.
  void server_activate();
  /// Closes each worker. Then throws the first exception of a worker, if any; a BaseException takes
  /// precedence.
  void server_close();

  /// Calls serve_forever() of each worker in its own thread; the first worker uses the calling
  /// thread. When one of them ends, for any reason, stops the others. Returns when all have ended.
  ///
  /// Throws the first exception of a worker; a BaseException takes precedence. Throws RuntimeError
  /// if a thread cannot be started.
  void serve_forever(Timeout poll_interval = 0.5);

  /// Calls serve_until_signal() of each worker, in the same way. Returns the signal's number, or 0.
  int serve_until_signal(const UntilSignalOptions& options = {});

  /// Stops the workers, and returns when all have ended. If the group is not serving, the next call
  /// that serves ends at once. Throws RuntimeError in a thread that serves, and in a forked child.
  void shutdown();
  /// Like shutdown(), but does not wait. Async-signal-safe.
  void stop_serving() noexcept;

 protected:
  BaseServerGroup() = default;
  ~BaseServerGroup() = default;

  /// Returns the number of workers to create; for zero, one for each usable CPU. Throws ValueError
  /// if negative.
  static std::size_t count(int workers);

  std::vector<std::unique_ptr<BaseServer>> workers_;

 private:
  template <class Serve>
  int serve(Serve serve_one);
  template <class Step>
  void open(Step step);
  void stop_workers() noexcept;

  std::atomic<bool> stop_{false};
};

/// A group of servers of class T, which may be your own. Each worker is a Server<T>.
template <std::derived_from<BaseServer> T>
class ServerGroup final : public BaseServerGroup {
 public:
  /// Creates the workers, each as T(address, handler, false, more...). Binds and activates them
  /// unless bind_and_activate is false. Zero means one worker for each CPU that the process may
  /// use: as many as its affinity allows or, if less, the CPU quota of its cgroup, rounded up.
  /// Throws ValueError if `workers` is negative. If T or a hook throws, closes all workers and
  /// throws that.
  template <class... More>
  requires std::is_constructible_v < Server<T>, ServerAddress, HandlerFactory,
  bool, const More&... >
            ServerGroup(int workers, const ServerAddress& address, const HandlerFactory& handler,
                        bool bind_and_activate = true, const More&... more)
      : ServerGroup(workers, address, handler, opened(bind_and_activate), more...) {}

  /// Also sets the attributes of each worker, before it binds.
  template <class... More>
  requires std::is_constructible_v < Server<T>, ServerAddress, HandlerFactory,
  const typename T::Options&,
      const More&... > ServerGroup(int workers, const ServerAddress& address,
                                   const HandlerFactory& handler, typename T::Options options,
                                   const More&... more) {
    const bool bind_and_activate = std::exchange(options.bind_and_activate, false);
    const std::size_t wanted = count(workers);
    workers_.reserve(wanted);
    while (workers_.size() < wanted)
      workers_.push_back(std::make_unique<Server<T>>(address, handler, options, more...));
    if (!bind_and_activate) return;
    server_bind();
    server_activate();
  }

  /// Returns a worker, to set its attributes before serving. `number` must be less than size().
  [[nodiscard]] T& operator[](std::size_t number) { return static_cast<T&>(*workers_[number]); }

 private:
  static typename T::Options opened(bool bind_and_activate) {
    typename T::Options options;
    options.bind_and_activate = bind_and_activate;
    return options;
  }
};

}  // namespace plug

#pragma GCC visibility pop
