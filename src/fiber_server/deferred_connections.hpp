#pragma once

// Connections without any data so far. They have no fiber until data comes.

#include <plug/detail/intrusive_list.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "base/deadline.hpp"
#include "fiber/engine/engine.hpp"
#include "sys/syscalls.hpp"
#include "wait/descriptor.hpp"
#include "wait/event_set.hpp"

namespace plug::detail::fiber {

class FiberCore;

}  // namespace plug::detail::fiber

namespace plug::detail::fiber_server {

/// The deferred connections of one scheduler. A single fiber waits for all of them, as long as
/// there are any. Only the scheduler's thread uses this.
class DeferredConnections : public std::enable_shared_from_this<DeferredConnections> {
 public:
  class Connection : private fiber::Arrival, public ListNode<Connection> {
   public:
    Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Exactly one of these is called, once. After that the connection is not watched any more.
    virtual void on_readable() noexcept = 0;   ///< data has come, or the peer has closed
    virtual void on_timeout() noexcept = 0;    ///< deadline passed, or close_all()
    virtual void is_set_aside() noexcept = 0;  ///< set_all_aside()

   protected:
    ~Connection() = default;

   private:
    friend class DeferredConnections;

    void arrived() noexcept override { silent_->has_come(*this); }

    std::optional<wait::Descriptor::InFlight> in_flight_;  // keeps the number taken
    std::multimap<Deadline, Connection*>::iterator timer_;
    bool timed_ = false;
    DeferredConnections* silent_ = nullptr;
  };

  /// Watches a connection. Returns false if that is not possible, as without descriptors or memory.
  bool add(Connection& connection, wait::Descriptor& descriptor, Deadline deadline);
  void close_all() noexcept;
  void set_all_aside() noexcept;

 private:
  using Events = std::array<sys::RawEpollEvent, 64>;

  bool open() noexcept;
  bool await(Connection& connection);
  void has_come(Connection& connection) noexcept;
  void look_again() noexcept;
  void watch();
  long wait();
  void call_readable() noexcept;
  void look_at(const Events& events, long count) noexcept;
  void forget(Connection& connection) noexcept;
  void drop_late() noexcept;
  void withdraw(Connection& connection) noexcept;
  void drop(Connection& connection) noexcept;

  std::optional<wait::EventSet> set_;
  sys::OwnFd look_again_;
  IntrusiveList<Connection> connections_;
  IntrusiveList<Connection> readable_;  // their on_readable() is still to be called
  fiber::FiberCore* fiber_ = nullptr;   // the one that watches
  std::multimap<Deadline, Connection*> timers_;
  bool watched_ = false;                    // the watching fiber exists
  bool over_ = false;                       // the watching fiber has been cancelled
  Deadline waits_ = Deadline::immediate();  // until when the fiber waits
};

}  // namespace plug::detail::fiber_server
