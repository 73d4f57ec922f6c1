#pragma once

/// Marks what the fiber library uses of this one in addition to the public headers: a shared
/// library exports nothing else.
#define PLUG_FOR_FIBER __attribute__((visibility("default")))
