// The library that unloading_test loads. plug starts helper threads in it.

#include "wait/offload.hpp"

/// Returns 7, computed by a helper thread; -1 if that takes longer than a minute.
extern "C" int ask_a_helper() {
  using plug::detail::base::deadline_after;
  using plug::detail::wait::call_offloaded;
  long ended = 0;
  return call_offloaded([] { return 7; }, deadline_after(60'000'000'000), ended).value_or(-1);
}
