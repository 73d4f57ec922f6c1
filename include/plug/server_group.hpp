#pragma once

// Several servers on one address, beyond Python's socketserver:
//
//   ServerGroup<ThreadingTCPServer> servers(4, {"127.0.0.1", 8000}, handler<Echo>);
//   servers.serve_until_signal(10);
//
// Each of these workers is a whole server, with a listening socket of its own (SO_REUSEPORT,
// socket(7)) and a thread that serves; the kernel picks one of them for each client. So accepting,
// and what a server without threads does in its handlers, uses several processors. A client that
// waits in the queue of a worker is not served by another one.
//
// Limits, pools and the members of a subclass are each worker's own: a group of 4 with
// max_connections = 100 takes up to 400. What workers are to share belongs elsewhere, with a lock.
// Datagrams of one client all come to one worker. There are no groups at Unix addresses.
//
// Another process of the same user that asks for SO_REUSEPORT too gets a share of the clients: a
// second start of the same program is not refused.
//
// Threads. As those of a server: one thread serves; shutdown() and stop_serving() may be called
// from any other.

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

/// What all groups have.
class BaseServerGroup {
 public:
  BaseServerGroup(const BaseServerGroup&) = delete;
  BaseServerGroup& operator=(const BaseServerGroup&) = delete;

  /// How many workers there are.
  std::size_t size() const noexcept { return workers_.size(); }
  /// Where they are, once server_bind() has bound them; empty before.
  const Address& server_address() const noexcept { return workers_.front()->server_address; }

  /// Binds each worker, with allow_reuse_port set when there are several: the others to what the
  /// first has got, so that with port 0 all have the same. When one fails all are closed.
  void server_bind();
  /// Has each begin to take requests. When one fails all are closed.
  void server_activate();
  /// server_close() of each, and then what the first threw that did.
  void server_close();

  /// serve_forever() of each worker, in a thread each, of which the calling one is the first. Once
  /// one of them ends, for whatever reason, the others are told to end too; this returns when all
  /// have ended.
  ///
  /// Throws what the first threw that did; RuntimeError when there can be no thread.
  void serve_forever(Timeout poll_interval = 0.5);

  /// serve_until_signal() of each worker, in the same way. Returns the signal's number, or 0.
  int serve_until_signal(Timeout drain_timeout = 0, Timeout poll_interval = 0.5,
                         const std::vector<int>& signals = {2, 15});

  /// Ends the serving, and returns when all workers have ended. As with a server, without any the
  /// next serving ends at once. Throws RuntimeError from one of the threads that serve, and in a
  /// forked child.
  void shutdown();
  /// As shutdown(), without waiting; async-signal-safe.
  void stop_serving() noexcept;

 protected:
  BaseServerGroup() = default;
  ~BaseServerGroup() = default;

  /// How many workers are meant: one a processor when zero. Throws ValueError below that.
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

/// A group of servers of the class T, which may be one of your own: each is a Server<T>.
template <std::derived_from<BaseServer> T>
class ServerGroup final : public BaseServerGroup {
 public:
  /// Makes so many workers, T(address, handler, false, more...) each, binds them and has them
  /// begin, unless told not to. With `workers` zero there is one for each processor that this
  /// process may use, by its affinity and by the quota of its cgroup, rounded up. Throws ValueError
  /// below zero; what T and its hooks throw, and then nothing is left open.
  template <class... More>
  requires std::is_constructible_v < Server<T>, ServerAddress, HandlerFactory,
  bool, const More&... > ServerGroup(int workers, const ServerAddress& address,
                                     const HandlerFactory& handler, bool bind_and_activate = true,
                                     const More&... more) {
    const std::size_t wanted = count(workers);
    workers_.reserve(wanted);
    while (workers_.size() < wanted)
      workers_.push_back(std::make_unique<Server<T>>(address, handler, false, more...));
    if (!bind_and_activate) return;
    server_bind();
    server_activate();
  }

  /// A worker, below size(): for its attributes, which are set before serving.
  T& operator[](std::size_t number) { return static_cast<T&>(*workers_[number]); }
};

}  // namespace plug

#pragma GCC visibility pop
