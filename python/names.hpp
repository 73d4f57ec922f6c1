#pragma once

// The functions of the module that need no socket: hosts, services, interfaces, byte order.

#include "interpreter.hpp"

namespace plug::python {

/// Their table, ending as Python wants it.
PyMethodDef* name_functions() noexcept;

}  // namespace plug::python
