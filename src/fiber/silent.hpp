#pragma once

// Connections on which nothing has come yet, and which have no fiber until it does.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "engine/engine.hpp"
#include "sys/syscalls.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"
#include "wait/event_set.hpp"

namespace plug::detail {

class FiberCore;

/// Those of one scheduler, which one fiber waits for, as long as there are any. For its thread
/// alone.
class Silent : public std::enable_shared_from_this<Silent> {
 public:
  class Connection : private Arrival {
   public:
    Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Called once, one of these; then it is not watched any more.
    virtual void speaks() noexcept = 0;        ///< or has been closed by its peer
    virtual void stays_silent() noexcept = 0;  ///< until its deadline, or close_all()
    virtual void is_set_aside() noexcept = 0;  ///< set_all_aside()

   protected:
    ~Connection() = default;

   private:
    friend class Silent;

    void arrived() noexcept override { silent_->has_come(*this); }

    std::optional<Descriptor::InFlight> in_flight_;  // so that the number stays its own
    std::multimap<Deadline, Connection*>::iterator timer_;
    bool timed_ = false;
    Silent* silent_ = nullptr;
    Connection* previous_ = nullptr;
    Connection* next_ = nullptr;
  };

  /// Watches a connection. False when that cannot be, for want of descriptors or memory.
  bool add(Connection& connection, Descriptor& descriptor, Deadline deadline);
  void close_all() noexcept;
  void set_all_aside() noexcept;

 private:
  using Events = std::array<sys::EpollEvent, 64>;

  bool open() noexcept;
  bool await(Connection& connection);
  void has_come(Connection& connection) noexcept;
  void look_again() noexcept;
  void watch();
  long wait();
  void let_speak() noexcept;
  void look_at(const Events& events, long count) noexcept;
  void forget(Connection& connection) noexcept;
  void drop_late() noexcept;
  void withdraw(Connection& connection) noexcept;
  void drop(Connection& connection) noexcept;

  std::optional<EventSet> set_;
  sys::OwnFd look_again_;
  Connection* first_ = nullptr;
  // Those that have spoken and have not been told.
  Connection* speaking_ = nullptr;
  Connection* last_speaking_ = nullptr;
  FiberCore* fiber_ = nullptr;  // the one that watches
  std::multimap<Deadline, Connection*> timers_;
  bool watched_ = false;                    // there is the fiber
  bool over_ = false;                       // it has been cancelled
  Deadline waits_ = Deadline::immediate();  // until when it does
};

}  // namespace plug::detail
