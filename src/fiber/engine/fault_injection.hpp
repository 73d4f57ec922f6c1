#pragma once

// Fault injection for tests of fibers. Nothing outside the process can make an operation fail if
// the kernel (io_uring) completes it without a system call of the process.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wait/io_driver.hpp"

namespace plug::detail {

/// The fault to inject into one operation.
struct Fault {
  enum class Kind : std::uint8_t {
    none,
    result,   ///< the operation is not started and returns `value`
    at_most,  ///< the operation moves at most `value` bytes
    late,     ///< the completion stays hidden until the operation is cancelled (io_uring only)
  };
  Kind kind = Kind::none;
  long value = 0;
};

/// The source of faults. An engine asks it, on its thread, before each operation that it is about
/// to try or to submit.
class Faults {
 public:
  virtual Fault next(Op::Kind kind) noexcept = 0;
  /// Called before each wait for events. Returns 0, or the -errno with which the wait ends instead.
  virtual long turn() noexcept { return 0; }

  // --- io_uring only ---

  /// The number of entries of a new ring; 0: the default.
  virtual unsigned submissions() const noexcept { return 0; }
  virtual unsigned completions() const noexcept { return 0; }
  /// Called with the result of a submission that was made because the ring was full. Returns the
  /// result that the engine is to see.
  virtual long submitted(long result) noexcept { return result; }
  /// Called when the ring has had no room for some completions.
  virtual void overflowed() noexcept {}

 protected:
  ~Faults() = default;
};

/// Null except in tests, which set it while no fibers run.
inline constinit Faults* faults = nullptr;

inline Fault next_fault(Op::Kind kind) noexcept {
  return faults == nullptr ? Fault{} : faults->next(kind);
}

/// Polls the entries without waiting. Returns as sys::poll() does.
inline long poll_now(std::span<sys::PollEntry> entries) noexcept {
  const Fault fault = next_fault(Op::Kind::ready);
  if (fault.kind == Fault::Kind::result) [[unlikely]]
    return fault.value;
  return sys::poll(entries.data(), entries.size(), 0);
}

/// Limits the size of an operation as the fault demands, while this lives.
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
