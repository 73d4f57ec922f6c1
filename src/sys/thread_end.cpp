#include "sys/thread_end.hpp"

#include <pthread.h>

namespace plug::detail::sys {

ThreadEnd::ThreadEnd(void (*function)(void*)) noexcept
    : made_(pthread_key_create(&key_, function) == 0) {}

ThreadEnd::~ThreadEnd() {
  if (made_) pthread_key_delete(key_);
}

bool ThreadEnd::ask(void* value) const noexcept {
  return made_ && pthread_setspecific(key_, value) == 0;
}

}  // namespace plug::detail::sys
