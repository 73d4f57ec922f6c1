#pragma once

/// Exports a symbol for the fiber library. In a shared library all other symbols are hidden, except
/// those of the public headers.
#define PLUG_FOR_FIBER __attribute__((visibility("default")))
