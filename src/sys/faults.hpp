#pragma once

// Accesses to memory that there is not.

#include <cstddef>

#include "sys/for_fiber.hpp"

namespace plug::detail::sys {

/// Has faults of the calling thread explained before they end the process, as long as it lives: a
/// handler of SIGSEGV calls `explain` with the address, on a stack of its own. When that says that
/// it has explained it, and otherwise without more ado, the fault takes the course that it would
/// have taken without this.
///
/// The handler is there as long as any thread has one of these, and is given back to whom it was
/// before, unless somebody has taken it since. All must have the same `explain`.
class PLUG_FOR_FIBER ExplainedFaults {
 public:
  using Explain = bool (*)(const void* address) noexcept;

  explicit ExplainedFaults(Explain explain) noexcept;
  ExplainedFaults(const ExplainedFaults&) = delete;
  ExplainedFaults& operator=(const ExplainedFaults&) = delete;
  ~ExplainedFaults();

 private:
  // The thread's stack for signals, unless it has one.
  void* stack_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace plug::detail::sys
