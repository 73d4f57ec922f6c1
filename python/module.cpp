// The module `_socket`, on which CPython's socket and all modules above it are built. It converts
// arguments and results; plug does the work.

#include <plug/constants.hpp>
#include <plug/family/constants.hpp>
#include <plug/socket.hpp>

#include <string_view>
#include <type_traits>

#include "names.hpp"
#include "socket_type.hpp"

namespace plug::python {

namespace {

PyTypeObject* socket_type = nullptr;

Object close(PyObject* value) {
  const int fd = c_int(value);
  unlocked([&] { plug::close(Fileno{fd}); });
  return none();
}

Object dup(PyObject* value) { return build("i", plug::dup(Fileno{c_int(value)}).detach()); }

Object socketpair(PyObject* args) {
  int family = static_cast<int>(AF::UNIX);
  int type = static_cast<int>(SOCK::STREAM);
  int proto = 0;
  parse(args, "|iii:socketpair", &family, &type, &proto);
  auto pair = plug::socketpair(AF{family}, SOCK{type}, proto);
  Object first = to_python(socket_type, std::move(pair.first));
  Object second = to_python(socket_type, std::move(pair.second));
  return build("NN", first.release(), second.release());
}

Object getdefaulttimeout(PyObject*) { return to_python(plug::getdefaulttimeout()); }

Object setdefaulttimeout(PyObject* value) {
  plug::setdefaulttimeout(to_timeout(value));
  return none();
}

/// Returns the number of calls into plug.
Object plug_calls(PyObject*) { return Object(PyLong_FromUnsignedLongLong(calls())); }

/// Counts from now on in the first eight bytes of a buffer, such as a file that several processes
/// map. The buffer is never released.
Object count_plug_calls_in(PyObject* args) {
  Lent buffer;
  parse(args, "w*:count_plug_calls_in", buffer.place());
  if (buffer.size() < sizeof(std::uint64_t)) fail(PyExc_ValueError, "fewer than eight bytes");
  count_calls_in(reinterpret_cast<std::uint64_t*>(buffer.data()));
  new Lent(std::move(buffer));  // leaked: calls are counted until the process ends
  return none();
}

template <auto F>
PyMethodDef function(const char* name, int convention) {
  PyCFunction const called = [](PyObject*, PyObject* argument) { return entry<F>(argument); };
  return {name, called, convention, nullptr};
}

PyMethodDef functions[] = {function<close>("close", METH_O),
                           function<dup>("dup", METH_O),
                           function<getdefaulttimeout>("getdefaulttimeout", METH_NOARGS),
                           function<setdefaulttimeout>("setdefaulttimeout", METH_O),
                           function<socketpair>("socketpair", METH_VARARGS),
                           function<plug_calls>("plug_calls", METH_NOARGS),
                           function<count_plug_calls_in>("count_plug_calls_in", METH_VARARGS),
                           {}};

void add(PyObject* module, const char* name, Object value) {
  if (PyModule_AddObjectRef(module, name, value.get()) < 0) throw PythonError();
}

template <class T>
Object constant(T value) {
  if constexpr (std::is_same_v<T, bool>)
    return Object(PyBool_FromLong(value ? 1 : 0));
  else if constexpr (std::is_convertible_v<T, std::string_view>)
    return build("s", std::string_view(value).data());
  else
    return Object(PyLong_FromLongLong(static_cast<long long>(value)));
}

void add_constants(PyObject* module) {
#define PLUG_CONSTANT(name, value) add(module, name, constant(value));
#include "constants.inc"
#undef PLUG_CONSTANT
}

void add_types(PyObject* module) {
  static CApi api;
  // The types are never freed.
  socket_type = reinterpret_cast<PyTypeObject*>(make_socket_type().release());
  herror_type = Object(PyErr_NewException("socket.herror", PyExc_OSError, nullptr)).release();
  gaierror_type = Object(PyErr_NewException("socket.gaierror", PyExc_OSError, nullptr)).release();
  PyObject* const type = reinterpret_cast<PyObject*>(socket_type);
  add(module, "socket", Object::borrow(type));
  add(module, "SocketType", Object::borrow(type));
  add(module, "error", Object::borrow(PyExc_OSError));
  add(module, "timeout", Object::borrow(PyExc_TimeoutError));
  add(module, "herror", Object::borrow(herror_type));
  add(module, "gaierror", Object::borrow(gaierror_type));
  api = {socket_type, PyExc_OSError, PyExc_TimeoutError};
  add(module, "CAPI", Object(PyCapsule_New(&api, "_socket.CAPI", nullptr)));
}

Object make_module() {
  static PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                   "_socket",
                                   "CPython's _socket on plug.",
                                   -1,
                                   functions,
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   nullptr};
  Object module(PyModule_Create(&definition));
  if (PyModule_AddFunctions(module.get(), name_functions()) < 0) throw PythonError();
  add_constants(module.get());
  add_types(module.get());
  set_interrupt_hook(run_signal_handlers);
  return module;
}

}  // namespace

}  // namespace plug::python

PyMODINIT_FUNC PyInit__socket() { return plug::python::entry<plug::python::make_module>(); }
