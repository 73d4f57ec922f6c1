#pragma once

// Compares a structure of plug with the system's at compile time. For the *_check.cpp files alone.

#include <cstddef>
#include <utility>

#define PLUG_SIZE(ours, theirs) static_assert(sizeof(ours) == sizeof(theirs))
#define PLUG_FIELD(ours, field, theirs, their_field)                      \
  static_assert(offsetof(ours, field) == offsetof(theirs, their_field) && \
                sizeof(std::declval<ours>().field) == sizeof(std::declval<theirs>().their_field))
