#pragma once

// Addresses and names as Python writes them.

#include <plug/address.hpp>
#include <plug/resolve.hpp>

#include <optional>
#include <string>

#include "interpreter.hpp"

namespace plug::python {

/// What kind of socket an address is for.
struct Kind {
  int family;
  int type;
  int proto;
};

/// An address that was given to a call.
class AddressArgument {
 public:
  /// `call` is named by errors. Throws Python's errors for a value of another shape.
  AddressArgument(Kind kind, PyObject* value, const char* call);

  AddressLike like() const { return host_ ? AddressLike(*host_) : AddressLike(address_); }

 private:
  std::optional<HostPort> host_;  // else address_
  Address address_;
};

/// The tuple, text or None that Python has for an address.
Object to_python(const Address& address);

/// A host name: str, bytes or bytearray.
std::string host_name(PyObject* value);

/// A path, an interface or this machine's name: str in the encoding of the file system, or bytes.
std::string system_name(PyObject* value);

/// The (host, port[, flowinfo[, scope_id]]) of a call.
HostPort host_and_port(PyObject* tuple, bool ipv6, const char* call);

}  // namespace plug::python
