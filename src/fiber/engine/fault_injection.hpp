#pragma once

// Fault injection for tests of fibers. Nothing outside the process can make an operation fail if
// the kernel (io_uring) completes it without a system call of the process. A build without the
// option PLUG_FAULT_INJECTION contains none of it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wait/io_driver.hpp"

namespace plug::detail::fiber {

#ifdef PLUG_FAULT_INJECTION
inline constexpr bool kInjectsFaults = true;
#else
inline constexpr bool kInjectsFaults = false;
#endif

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

  /// Returns true if the fault is of this kind: never without fault injection.
  bool is(Kind asked) const noexcept { return kInjectsFaults && kind == asked; }
};

/// The source of faults. An engine asks it, on its thread, before each operation that it is about
/// to try or to submit.
class Faults {
 public:
  virtual Fault next(wait::Op::Kind kind) noexcept = 0;
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

/// Null, until a test sets it while no fibers run.
inline constinit Faults* faults = nullptr;
inline Faults* current_faults() noexcept { return kInjectsFaults ? faults : nullptr; }

inline Fault next_fault(wait::Op::Kind kind) noexcept {
  Faults* const source = current_faults();
  return source == nullptr ? Fault{} : source->next(kind);
}

/// Polls the entries without waiting. Returns as sys::poll() does.
inline long poll_now(std::span<sys::PollEntry> entries) noexcept {
  const Fault fault = next_fault(wait::Op::Kind::ready);
  if (fault.is(Fault::Kind::result)) [[unlikely]]
    return fault.value;
  return sys::poll(entries.data(), entries.size(), 0);
}

/// Limits the size of an operation as the fault demands, while this lives.
class AtMost {
 public:
  AtMost(wait::Op& op, const Fault& fault) noexcept {
    if (!fault.is(Fault::Kind::at_most)) return;
    const bool has_message =
        op.kind == wait::Op::Kind::receive_message || op.kind == wait::Op::Kind::send_message;
    message_ = has_message ? static_cast<sys::Message*>(op.data) : nullptr;
    limited_ = has_message ? &message_->pieces->size : &op.size;
    size_ = *limited_;
    *limited_ = std::min(size_, static_cast<std::size_t>(fault.value));
    if (!has_message) return;
    pieces_ = message_->count;
    message_->count = 1;
  }
  AtMost(const AtMost&) = delete;
  AtMost& operator=(const AtMost&) = delete;
  ~AtMost() {
    if (limited_ != nullptr) *limited_ = size_;
    if (message_ != nullptr) message_->count = pieces_;
  }

 private:
  std::size_t* limited_ = nullptr;  // the size of the operation, or of a message's first buffer
  std::size_t size_ = 0;
  sys::Message* message_ = nullptr;
  std::size_t pieces_ = 0;
};

}  // namespace plug::detail::fiber
