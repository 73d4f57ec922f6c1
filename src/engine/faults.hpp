#pragma once

// Where tests have operations of fibers fail: nothing outside of the process can, once a kernel
// interface completes operations without a system call for each.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wait/waiter.hpp"

namespace plug::detail {

/// What happens to one operation.
struct Fault {
  enum class Kind : std::uint8_t {
    none,
    result,   ///< it is not begun, and ends with `value`
    at_most,  ///< it moves `value` bytes at most
    late,     ///< its end is not seen before it has been asked to end early (io_uring only)
  };
  Kind kind = Kind::none;
  long value = 0;
};

/// Asked by an engine, on its thread, before each operation that it is about to try or to submit.
class Faults {
 public:
  virtual Fault next(Op::Kind kind) noexcept = 0;
  /// Before each wait for events: 0, or -errno, with which it ends instead.
  virtual long turn() noexcept { return 0; }

  // --- io_uring only ---

  /// How many entries a ring that is opened has; 0: as many as ever.
  virtual unsigned submissions() const noexcept { return 0; }
  virtual unsigned completions() const noexcept { return 0; }
  /// What a submission has given, when there was no room for more of them: may be said to be
  /// another.
  virtual long submitted(long result) noexcept { return result; }
  /// Completions have come for which there was no room.
  virtual void overflowed() noexcept {}

 protected:
  ~Faults() = default;
};

/// Null but in tests, which set it while no fibers run.
inline constinit Faults* faults = nullptr;

inline Fault next_fault(Op::Kind kind) noexcept {
  return faults == nullptr ? Fault{} : faults->next(kind);
}

/// Which of the entries are ready now, as sys::poll() says it.
inline long poll_now(std::span<sys::PollEntry> entries) noexcept {
  const Fault fault = next_fault(Op::Kind::ready);
  if (fault.kind == Fault::Kind::result) [[unlikely]]
    return fault.value;
  return sys::poll(entries.data(), entries.size(), 0);
}

/// Has an operation move so much at most, for as long as this lives.
class AtMost {
 public:
  AtMost(Op& op, const Fault& fault) noexcept : op_(op), size_(op.size) {
    if (fault.kind != Fault::Kind::at_most) return;
    const auto most = static_cast<std::size_t>(fault.value);
    if (op.kind == Op::Kind::receive_message || op.kind == Op::Kind::send_message) {
      message_ = static_cast<sys::Message*>(op.data);
      count_ = message_->count;
      size_ = message_->pieces->size;
      message_->count = 1;
      message_->pieces->size = std::min(size_, most);
    } else {
      op.size = std::min(size_, most);
    }
  }
  AtMost(const AtMost&) = delete;
  AtMost& operator=(const AtMost&) = delete;
  ~AtMost() {
    if (message_ == nullptr) {
      op_.size = size_;
      return;
    }
    message_->count = count_;
    message_->pieces->size = size_;
  }

 private:
  Op& op_;
  std::size_t size_;
  sys::Message* message_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace plug::detail
