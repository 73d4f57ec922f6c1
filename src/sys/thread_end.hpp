#pragma once

namespace plug::detail::sys {

/// Calls a function when a thread ends that has asked for it.
///
/// The destructor of a thread_local object would do the same, but has to be remembered for each
/// thread, and where there is no memory for that glibc ends the process. This only fails.
class ThreadEnd {
 public:
  explicit ThreadEnd(void (*function)(void*)) noexcept;
  /// Nothing is called any more.
  ~ThreadEnd();
  ThreadEnd(const ThreadEnd&) = delete;
  ThreadEnd& operator=(const ThreadEnd&) = delete;

  /// Has `function(value)` called when the calling thread ends; `value` is not null. The function
  /// may ask again. False when that cannot be. Not called when the process ends.
  bool ask(void* value) const noexcept;

 private:
  unsigned key_ = 0;
  bool made_;
};

}  // namespace plug::detail::sys
