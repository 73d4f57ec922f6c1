// What unloading_test loads: a library with helper threads of its own.

#include "wait/offload.hpp"

/// What a helper gives; -1 when it does not within a minute.
extern "C" int ask_a_helper() {
  using namespace plug::detail;
  long ended = 0;
  return call_offloaded([] { return 7; }, deadline_after(60'000'000'000), ended).value_or(-1);
}
