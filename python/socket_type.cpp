#include "socket_type.hpp"

#include <structmember.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <optional>
#include <tuple>

#include "socket_messages.hpp"

namespace plug::python {

namespace {

// --- making and ending ---

PyObject* new_object(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* const made = type->tp_alloc(type, 0);
  if (made == nullptr) return nullptr;
  auto* const self = reinterpret_cast<SocketObject*>(made);
  ::new (&self->sock) Socket(Socket::closed());
  self->errorhandler = raise_errno;
  self->mirror();
  return made;
}

std::optional<int> given(int value) {
  return value == -1 ? std::nullopt : std::optional<int>(value);
}

Fileno fileno_of(PyObject* value) {
  if (PyFloat_Check(value)) fail(PyExc_TypeError, "integer argument expected, got float");
  return {c_int(value)};
}

Object initialise(SocketObject* self, PyObject* args, PyObject* keywords) {
  static const char* const names[] = {"family", "type", "proto", "fileno", nullptr};
  int family = -1;
  int type = -1;
  int proto = -1;
  PyObject* fileno = nullptr;
  parse(args, keywords, "|iiiO:socket", names, &family, &type, &proto, &fileno);
  audit("socket.__new__", "Oiii", self, family, type, proto);
  const auto given_family = given(family);
  const auto given_type = given(type);
  const auto given_proto = given(proto);
  if (fileno != nullptr && fileno != Py_None) {
    std::optional<AF> af;
    std::optional<SOCK> sock;
    std::optional<Protocol> protocol;
    if (given_family) af = AF{*given_family};
    if (given_type) sock = SOCK{*given_type};
    if (given_proto) protocol = Protocol(*given_proto);
    self->sock = Socket(fileno_of(fileno), af, sock, protocol);
  } else {
    self->sock = unlocked([&] {
      return Socket(AF{given_family.value_or(static_cast<int>(AF::INET))},
                    SOCK{given_type.value_or(static_cast<int>(SOCK::STREAM))},
                    given_proto.value_or(0));
    });
  }
  self->mirror();
  return none();
}

int init_object(PyObject* self, PyObject* args, PyObject* keywords) {
  PyObject* const done = entry<initialise>(reinterpret_cast<SocketObject*>(self), args, keywords);
  Py_XDECREF(done);
  return done == nullptr ? -1 : 0;
}

void finalize(PyObject* object) {
  auto* const self = reinterpret_cast<SocketObject*>(object);
  if (self->sock.fileno() < 0) return;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  if (PyErr_ResourceWarning(object, 1, "unclosed %R", object) != 0 &&
      PyErr_ExceptionMatches(PyExc_Warning))
    PyErr_WriteUnraisable(object);
  std::error_code ignored;
  unlocked([&] { self->sock.close(ignored); });
  self->mirror();
  PyErr_Restore(type, value, trace);
}

void deallocate(PyObject* object) {
  if (PyObject_CallFinalizerFromDealloc(object) < 0) return;
  PyTypeObject* const type = Py_TYPE(object);
  reinterpret_cast<SocketObject*>(object)->sock.~Socket();
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* represent(PyObject* object) {
  const auto* const self = reinterpret_cast<SocketObject*>(object);
  return PyUnicode_FromFormat("<socket object, fd=%d, family=%d, type=%d, proto=%d>",
                              self->sock.fileno(), self->family, self->type, self->proto);
}

// --- naming and connecting ---

Object bind(SocketObject* self, PyObject* value) {
  const AddressArgument address(self->kind(), value, "bind");
  audit("socket.bind", "OO", self, value);
  unlocked([&] { self->sock.bind(address.like()); });
  return none();
}

Object listen(SocketObject* self, PyObject* args) {
  int backlog = 0;
  if (PyTuple_GET_SIZE(args) == 0) {
    unlocked([&] { self->sock.listen(); });
  } else {
    parse(args, "i:listen", &backlog);
    unlocked([&] { self->sock.listen(backlog); });
  }
  return none();
}

Object accept(SocketObject* self, PyObject*) {
  auto accepted = unlocked([&] { return self->sock.accept(); });
  Object address = to_python(accepted.second);
  Object pair = build("iN", accepted.first.fileno(), address.release());
  std::ignore = accepted.first.detach();
  return pair;
}

Object connect(SocketObject* self, PyObject* value) {
  const AddressArgument address(self->kind(), value, "connect");
  audit("socket.connect", "OO", self, value);
  unlocked([&] { self->sock.connect(address.like()); });
  return none();
}

Object connect_ex(SocketObject* self, PyObject* value) {
  const AddressArgument address(self->kind(), value, "connect_ex");
  audit("socket.connect", "OO", self, value);
  const int number = unlocked([&] { return self->sock.connect_ex(address.like()); });
  if (PyErr_Occurred() != nullptr) throw PythonError();  // a signal handler raised an exception
  return build("i", number);
}

Object shutdown(SocketObject* self, PyObject* value) {
  const SHUT how{c_int(value)};
  unlocked([&] { self->sock.shutdown(how); });
  return none();
}

Object close(SocketObject* self, PyObject*) {
  // Forget the descriptor before the system closes it.
  self->fd = -1;
  unlocked([&] { self->sock.close(); });
  return none();
}

Object detach(SocketObject* self, PyObject*) {
  const int fd = self->sock.detach();
  self->mirror();
  return build("i", fd);
}

// --- data ---

Object recv(SocketObject* self, PyObject* args) {
  Py_ssize_t size = 0;
  int flags = 0;
  parse(args, "n|i:recv", &size, &flags);
  if (size < 0) throw_if(Errc::negative_size, "recv");
  // Receive into the bytes object, and then shorten it.
  Object data(PyBytes_FromStringAndSize(nullptr, size));
  const MutableBytes room(PyBytes_AS_STRING(data.get()), static_cast<std::size_t>(size));
  const std::size_t count = unlocked([&] { return self->sock.recv_into(room, MSG{flags}); });
  PyObject* cut = data.release();
  if (static_cast<Py_ssize_t>(count) < size) _PyBytes_Resize(&cut, static_cast<Py_ssize_t>(count));
  return Object(cut);
}

Object recvfrom(SocketObject* self, PyObject* args) {
  Py_ssize_t size = 0;
  int flags = 0;
  parse(args, "n|i:recvfrom", &size, &flags);
  const auto [data, address] = unlocked([&] { return self->sock.recvfrom(size, MSG{flags}); });
  Object bytes = bytes_of(data);
  return build("NN", bytes.release(), to_python(address).release());
}

/// Returns the part of `buffer` that `size` asks for; all of it for 0.
MutableBytes part_of(const Lent& buffer, Py_ssize_t size) {
  if (size < 0) throw_if(Errc::negative_size);
  const auto wanted = static_cast<std::size_t>(size);
  if (wanted > buffer.size()) fail(PyExc_ValueError, "buffer too small for requested bytes");
  return {buffer.data(), wanted == 0 ? buffer.size() : wanted};
}

Object recv_into(SocketObject* self, PyObject* args, PyObject* keywords) {
  static const char* const names[] = {"buffer", "nbytes", "flags", nullptr};
  Lent buffer;
  Py_ssize_t size = 0;
  int flags = 0;
  parse(args, keywords, "w*|ni:recv_into", names, buffer.place(), &size, &flags);
  const MutableBytes room = part_of(buffer, size);
  const std::size_t count = unlocked([&] { return self->sock.recv_into(room, MSG{flags}); });
  return Object(PyLong_FromSize_t(count));
}

Object recvfrom_into(SocketObject* self, PyObject* args, PyObject* keywords) {
  static const char* const names[] = {"buffer", "nbytes", "flags", nullptr};
  Lent buffer;
  Py_ssize_t size = 0;
  int flags = 0;
  parse(args, keywords, "w*|ni:recvfrom_into", names, buffer.place(), &size, &flags);
  const MutableBytes room = part_of(buffer, size);
  const auto [count, address] =
      unlocked([&] { return self->sock.recvfrom_into(room, MSG{flags}); });
  return build("nN", static_cast<Py_ssize_t>(count), to_python(address).release());
}

Object send(SocketObject* self, PyObject* args) {
  Lent data;
  int flags = 0;
  parse(args, "y*|i:send", data.place(), &flags);
  const std::size_t count = unlocked([&] {
    return self->sock.send({data.data(), data.size()}, MSG{flags});
  });
  return Object(PyLong_FromSize_t(count));
}

Object sendall(SocketObject* self, PyObject* args) {
  Lent data;
  int flags = 0;
  parse(args, "y*|i:sendall", data.place(), &flags);
  unlocked([&] { self->sock.sendall({data.data(), data.size()}, MSG{flags}); });
  return none();
}

Object sendto(SocketObject* self, PyObject* args) {
  Lent data;
  int flags = 0;
  PyObject* value = nullptr;
  const Py_ssize_t count = PyTuple_GET_SIZE(args);
  if (count == 2)
    parse(args, "y*O:sendto", data.place(), &value);
  else if (count == 3)
    parse(args, "y*iO:sendto", data.place(), &flags, &value);
  else
    fail(PyExc_TypeError, "sendto() takes 2 or 3 arguments (%zd given)", count);
  const AddressArgument address(self->kind(), value, "sendto");
  audit("socket.sendto", "OO", self, value);
  const std::size_t sent = unlocked([&] {
    return self->sock.sendto({data.data(), data.size()}, address.like(), MSG{flags});
  });
  return Object(PyLong_FromSize_t(sent));
}

// --- names and options ---

Object getsockname(SocketObject* self, PyObject*) {
  return to_python(unlocked([&] { return self->sock.getsockname(); }));
}

Object getpeername(SocketObject* self, PyObject*) {
  return to_python(unlocked([&] { return self->sock.getpeername(); }));
}

/// Python's integer options have 64 bits on AF_VSOCK sockets. plug's are int.
bool has_wide_options(const SocketObject* self) {
  return self->family == static_cast<int>(AF::VSOCK);
}

Object getsockopt(SocketObject* self, PyObject* args) {
  int level = 0;
  int name = 0;
  int length = 0;
  parse(args, "ii|i:getsockopt", &level, &name, &length);
  if (length != 0) return bytes_of(self->sock.getsockopt(level, name, length));
  if (!has_wide_options(self)) return build("i", self->sock.getsockopt(level, name));
  std::uint64_t wide = 0;
  const Bytes bytes = self->sock.getsockopt(level, name, sizeof wide);
  std::memcpy(&wide, bytes.data(), bytes.size());
  return Object(PyLong_FromUnsignedLongLong(wide));
}

Object setsockopt(SocketObject* self, PyObject* args) {
  int level = 0;
  int name = 0;
  int value = 0;
  unsigned length = 0;
  PyObject* empty = nullptr;
  std::uint64_t wide = 0;
  if (has_wide_options(self)) {
    if (PyArg_ParseTuple(args, "iiK:setsockopt", &level, &name, &wide)) {
      self->sock.setsockopt(level, name, BytesView(&wide, sizeof wide));
      return none();
    }
  } else if (PyArg_ParseTuple(args, "iii:setsockopt", &level, &name, &value)) {
    self->sock.setsockopt(level, name, value);
    return none();
  }
  PyErr_Clear();
  if (PyArg_ParseTuple(args, "iiO!I:setsockopt", &level, &name, Py_TYPE(Py_None), &empty,
                       &length)) {
    self->sock.setsockopt(level, name, std::nullopt, length);
    return none();
  }
  PyErr_Clear();
  Lent bytes;
  parse(args, "iiy*:setsockopt", &level, &name, bytes.place());
  self->sock.setsockopt(level, name, BytesView(bytes.data(), bytes.size()));
  return none();
}

// --- waiting ---

Object settimeout(SocketObject* self, PyObject* value) {
  self->sock.settimeout(to_timeout(value));
  self->mirror();
  return none();
}

Object gettimeout(SocketObject* self, PyObject*) { return to_python(self->sock.gettimeout()); }

Object setblocking(SocketObject* self, PyObject* value) {
  const int blocking = PyObject_IsTrue(value);
  if (blocking < 0) throw PythonError();
  self->sock.setblocking(blocking != 0);
  self->mirror();
  return none();
}

Object getblocking(SocketObject* self, PyObject*) {
  return Object(PyBool_FromLong(self->sock.getblocking() ? 1 : 0));
}

Object fileno(SocketObject* self, PyObject*) { return build("i", self->sock.fileno()); }

// --- the tables that describe the type ---

using Method = Object(SocketObject*, PyObject*);
using KeywordMethod = Object(SocketObject*, PyObject*, PyObject*);

template <Method* Function>
PyObject* call(PyObject* self, PyObject* argument) {
  return entry<Function>(reinterpret_cast<SocketObject*>(self), argument);
}

template <KeywordMethod* Function>
PyObject* call_with_keywords(PyObject* self, PyObject* args, PyObject* keywords) {
  return entry<Function>(reinterpret_cast<SocketObject*>(self), args, keywords);
}

template <KeywordMethod* Function>
PyMethodDef keyword_method(const char* name) {
  PyCFunctionWithKeywords const function = call_with_keywords<Function>;
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)),
          METH_VARARGS | METH_KEYWORDS, nullptr};
}

template <Method* Function>
PyMethodDef method(const char* name, int convention) {
  return {name, call<Function>, convention, nullptr};
}

PyMethodDef methods[] = {method<accept>("_accept", METH_NOARGS),
                         method<bind>("bind", METH_O),
                         method<close>("close", METH_NOARGS),
                         method<connect>("connect", METH_O),
                         method<connect_ex>("connect_ex", METH_O),
                         method<detach>("detach", METH_NOARGS),
                         method<fileno>("fileno", METH_NOARGS),
                         method<getblocking>("getblocking", METH_NOARGS),
                         method<getpeername>("getpeername", METH_NOARGS),
                         method<getsockname>("getsockname", METH_NOARGS),
                         method<getsockopt>("getsockopt", METH_VARARGS),
                         method<gettimeout>("gettimeout", METH_NOARGS),
                         method<listen>("listen", METH_VARARGS),
                         method<recv>("recv", METH_VARARGS),
                         keyword_method<recv_into>("recv_into"),
                         method<recvfrom>("recvfrom", METH_VARARGS),
                         keyword_method<recvfrom_into>("recvfrom_into"),
                         method<recvmsg>("recvmsg", METH_VARARGS),
                         method<recvmsg_into>("recvmsg_into", METH_VARARGS),
                         method<send>("send", METH_VARARGS),
                         method<sendall>("sendall", METH_VARARGS),
                         method<sendmsg>("sendmsg", METH_VARARGS),
                         keyword_method<sendmsg_afalg>("sendmsg_afalg"),
                         method<sendto>("sendto", METH_VARARGS),
                         method<setblocking>("setblocking", METH_O),
                         method<setsockopt>("setsockopt", METH_VARARGS),
                         method<settimeout>("settimeout", METH_O),
                         method<shutdown>("shutdown", METH_O),
                         {}};

PyMemberDef members[] = {{"family", T_INT, offsetof(SocketObject, family), READONLY, nullptr},
                         {"type", T_INT, offsetof(SocketObject, type), READONLY, nullptr},
                         {"proto", T_INT, offsetof(SocketObject, proto), READONLY, nullptr},
                         {}};

PyObject* get_timeout(PyObject* self, void*) { return call<gettimeout>(self, nullptr); }

PyGetSetDef computed[] = {{"timeout", get_timeout, nullptr, nullptr, nullptr}, {}};

template <class Function>
PyType_Slot slot(int which, Function* function) {
  return {which, reinterpret_cast<void*>(function)};
}

}  // namespace

void SocketObject::mirror() noexcept {
  fd = sock.fileno();
  family = static_cast<int>(sock.family());
  type = static_cast<int>(sock.type());
  proto = sock.proto();
  const Timeout limit = sock.gettimeout();
  timeout = limit.is_none() ? -1 : limit.duration().count();
}

Object make_socket_type() {
  static char doc[] = "A plug::Socket in place of CPython's own socket object.";
  PyType_Slot slots[] = {slot(Py_tp_new, new_object),
                         slot(Py_tp_init, init_object),
                         slot(Py_tp_finalize, finalize),
                         slot(Py_tp_dealloc, deallocate),
                         slot(Py_tp_repr, represent),
                         {Py_tp_methods, methods},
                         {Py_tp_members, members},
                         {Py_tp_getset, computed},
                         {Py_tp_doc, doc},
                         {0, nullptr}};
  PyType_Spec spec{"_socket.socket", sizeof(SocketObject), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE, slots};
  return Object(PyType_FromSpec(&spec));
}

Object to_python(PyTypeObject* type, Socket sock) {
  Object made(new_object(type, nullptr, nullptr));
  auto* const self = reinterpret_cast<SocketObject*>(made.get());
  self->sock = std::move(sock);
  self->mirror();
  return made;
}

Timeout to_timeout(PyObject* value) {
  if (value == Py_None) return std::nullopt;
  if (PyFloat_Check(value)) return PyFloat_AS_DOUBLE(value);
  const long long seconds = PyLong_AsLongLong(value);
  if (PyErr_Occurred() != nullptr) throw PythonError();
  return seconds;
}

Object to_python(const Timeout& timeout) {
  const auto seconds = timeout.seconds();
  return seconds ? Object(PyFloat_FromDouble(*seconds)) : none();
}

}  // namespace plug::python
