#pragma once

// The type `_socket.socket`.

#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <cstdint>

#include "addresses.hpp"
#include "interpreter.hpp"

namespace plug::python {

/// Begins as CPython's own object does, since its module `_ssl` reads these members. No header of
/// an installed Python declares it (Modules/socketmodule.h); a version that changed it needs a
/// look.
static_assert(PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030F0000,
              "compare this layout with Modules/socketmodule.h of this version of CPython");
struct SocketObject {
  PyObject ob_base;
  int fd;
  int family;
  int type;
  int proto;
  PyObject* (*errorhandler)();
  std::int64_t timeout;  // nanoseconds; below zero: none
  void* state;           // from 3.12 on; read by CPython's own functions alone

  Socket sock;

  Kind kind() const noexcept { return {family, type, proto}; }
  /// Writes down what the members above say of `sock`.
  void mirror() noexcept;
};

/// What the capsule `_socket.CAPI` holds.
struct CApi {
  PyTypeObject* socket_type;
  PyObject* error;
  PyObject* timeout_error;
};

/// Makes the type. Throws PythonError.
Object make_socket_type();

/// An object of the type, over a socket.
Object to_python(PyTypeObject* type, Socket sock);

/// Seconds, or None.
Timeout to_timeout(PyObject* value);
Object to_python(const Timeout& timeout);

}  // namespace plug::python
