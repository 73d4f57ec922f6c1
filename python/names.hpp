#pragma once

// The functions of the module that need no socket: hosts, services, interfaces, byte order.

#include "interpreter.hpp"

namespace plug::python {

/// Returns their table, with the empty entry that Python expects at the end.
PyMethodDef* name_functions() noexcept;

}  // namespace plug::python
