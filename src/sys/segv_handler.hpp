#pragma once

// Explains segmentation faults.

#include <cstddef>

#include "sys/for_fiber.hpp"

namespace plug::detail::sys {

/// Explains faults of the calling thread before they end the process, while this lives: a handler
/// of SIGSEGV, on a separate stack, calls `explain` with the address. Whether `explain` returns
/// true (explained) or false, the fault then takes its usual course, as without this.
///
/// The handler is installed while any thread has one of these. The last one restores the previous
/// handler, unless another part of the program has installed a new one. All must use the same
/// `explain`.
class PLUG_FOR_FIBER ExplainedFaults {
 public:
  using Explain = bool (*)(const void* address) noexcept;

  explicit ExplainedFaults(Explain explain) noexcept;
  ExplainedFaults(const ExplainedFaults&) = delete;
  ExplainedFaults& operator=(const ExplainedFaults&) = delete;
  ~ExplainedFaults();

 private:
  // The thread's signal stack, if it had none before.
  void* stack_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace plug::detail::sys
