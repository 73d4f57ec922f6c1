#pragma once

/// Marks what the library of fibers uses of this one beside the public headers: a shared library
/// gives out nothing else.
#define PLUG_FOR_FIBER __attribute__((visibility("default")))
