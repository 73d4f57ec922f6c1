#pragma once

// The type `_socket.socket`.

#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <cstdint>

#include "addresses.hpp"
#include "interpreter.hpp"

namespace plug::python {

/// The first members are those of CPython's own object, because the module `_ssl` reads them. No
/// installed header declares them (see Modules/socketmodule.h). Compare them again for each new
/// version of CPython.
static_assert(PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030F0000,
              "compare this layout with Modules/socketmodule.h of this version of CPython");
struct SocketObject {
  PyObject ob_base;
  int fd;
  int family;
  int type;
  int proto;
  PyObject* (*errorhandler)();
  std::int64_t timeout;  // nanoseconds; negative: no timeout
  void* state;           // since 3.12; only CPython's own functions read it

  Socket sock;

  Kind kind() const noexcept { return {family, type, proto}; }
  /// Updates the members above from `sock`.
  void mirror() noexcept;
};

/// The content of the capsule `_socket.CAPI`.
struct CApi {
  PyTypeObject* socket_type;
  PyObject* error;
  PyObject* timeout_error;
};

/// Creates the type. Throws PythonError.
Object make_socket_type();

/// Returns an object of the type that owns `sock`.
Object to_python(PyTypeObject* type, Socket sock);

/// Converts seconds, or None.
Timeout to_timeout(PyObject* value);
Object to_python(const Timeout& timeout);

}  // namespace plug::python
