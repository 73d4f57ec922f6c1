#pragma once

namespace plug::detail::sys {

/// Calls a function at the end of each thread that has asked for it.
///
/// The destructor of a thread_local object would do the same, but it is registered for every
/// thread, and glibc ends the process if there is no memory for that. This class only fails.
class ThreadEnd {
 public:
  explicit ThreadEnd(void (*function)(void*)) noexcept;
  /// After this, nothing is called any more.
  ~ThreadEnd();
  ThreadEnd(const ThreadEnd&) = delete;
  ThreadEnd& operator=(const ThreadEnd&) = delete;

  /// Requests a call of `function(value)` when the calling thread ends; `value` is not null. The
  /// function may ask again. Returns false if that is not possible. The end of the process does not
  /// call it.
  bool ask(void* value) const noexcept;

 private:
  unsigned key_ = 0;
  bool made_;
};

}  // namespace plug::detail::sys
