#pragma once

// Converts addresses and names between Python's form and plug's.

#include <plug/address.hpp>
#include <plug/resolve.hpp>

#include <optional>
#include <string>

#include "interpreter.hpp"

namespace plug::python {

/// The kind of socket that an address is for.
struct Kind {
  int family;
  int type;
  int proto;
};

/// The address that a Python caller has passed.
class AddressArgument {
 public:
  /// Errors name `call`. Throws Python's errors if `value` has the wrong shape.
  AddressArgument(Kind kind, PyObject* value, const char* call);

  AddressLike like() const { return host_ ? AddressLike(*host_) : AddressLike(address_); }

 private:
  std::optional<HostPort> host_;  // if empty, address_ is set
  Address address_;
};

/// Returns an address as Python has it: a tuple, a text or None.
Object to_python(const Address& address);

/// Converts a host name: str, bytes or bytearray.
std::string host_name(PyObject* value);

/// Converts a path, an interface or a host name: str in the encoding of the file system, or bytes.
std::string system_name(PyObject* value);

/// Converts (host, port[, flowinfo[, scope_id]]).
HostPort host_and_port(PyObject* tuple, bool ipv6, const char* call);

}  // namespace plug::python
