#pragma once

// recvmsg(), sendmsg() and similar methods: messages of several buffers, with ancillary data.

#include "socket_type.hpp"

namespace plug::python {

Object recvmsg(SocketObject* self, PyObject* args);
Object recvmsg_into(SocketObject* self, PyObject* args);
Object sendmsg(SocketObject* self, PyObject* args);
Object sendmsg_afalg(SocketObject* self, PyObject* args, PyObject* keywords);

}  // namespace plug::python
