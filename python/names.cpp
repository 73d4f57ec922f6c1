#include "names.hpp"

#include <plug/ancillary.hpp>
#include <plug/resolve.hpp>

#include <optional>
#include <string>

#include "addresses.hpp"

namespace plug::python {

namespace {

// --- hosts ---

/// Converts the port argument of getaddrinfo().
Service service_of(PyObject* value) {
  if (value == Py_None) return std::nullopt;
  if (PyLong_Check(value)) {
    const Object text(PyObject_Str(value));
    return host_name(text.get());
  }
  if (!PyUnicode_Check(value) && !PyBytes_Check(value))
    fail(PyExc_OSError, "Int or String expected");
  return host_name(value);
}

Object getaddrinfo(PyObject* args, PyObject* keywords) {
  static const char* const names[] = {"host", "port", "family", "type", "proto", "flags", nullptr};
  PyObject* host = nullptr;
  PyObject* port = nullptr;
  int family = 0;
  int type = 0;
  int proto = 0;
  int flags = 0;
  parse(args, keywords, "OO|iiii:getaddrinfo", names, &host, &port, &family, &type, &proto, &flags);
  if (host != Py_None && !PyUnicode_Check(host) && !PyBytes_Check(host))
    fail(PyExc_TypeError, "getaddrinfo() argument 1 must be string or None");
  std::optional<std::string> name;
  if (host != Py_None) name = host_name(host);
  const Service service = service_of(port);
  audit("socket.getaddrinfo", "OOiii", host, port, family, type, proto);
  const auto answers = unlocked(
      [&] { return plug::getaddrinfo(name, service, AF{family}, SOCK{type}, proto, AI{flags}); });
  Object list(PyList_New(0));
  for (const AddrInfo& answer : answers) {
    const Object item =
        build("iiiNN", static_cast<int>(answer.family), static_cast<int>(answer.type), answer.proto,
              Object(PyUnicode_FromString(answer.canonname.c_str())).release(),
              to_python(answer.sockaddr).release());
    if (PyList_Append(list.get(), item.get()) < 0) throw PythonError();
  }
  return list;
}

Object getnameinfo(PyObject* args) {
  PyObject* tuple = nullptr;
  int flags = 0;
  parse(args, "Oi:getnameinfo", &tuple, &flags);
  if (!PyTuple_Check(tuple)) fail(PyExc_TypeError, "getnameinfo() argument 1 must be a tuple");
  const HostPort address = host_and_port(tuple, true, "getnameinfo");
  audit("socket.getnameinfo", "(O)", tuple);
  const auto [host, service] = unlocked([&] { return plug::getnameinfo(address, NI{flags}); });
  return build("NN", system_text(host).release(), system_text(service).release());
}

Object gethostbyname(PyObject* args) {
  PyObject* value = nullptr;
  parse(args, "O:gethostbyname", &value);
  const std::string name = host_name(value);
  audit("socket.gethostbyname", "O", value);
  return build("s", unlocked([&] { return plug::gethostbyname(name); }).c_str());
}

Object text_list(const std::vector<std::string>& texts) {
  Object list(PyList_New(0));
  for (const std::string& text : texts)
    if (PyList_Append(list.get(), system_text(text).get()) < 0) throw PythonError();
  return list;
}

Object host_entry(const HostEntry& entry) {
  Object name = system_text(entry.hostname);
  Object aliases = text_list(entry.aliaslist);
  return build("NNN", name.release(), aliases.release(), text_list(entry.ipaddrlist).release());
}

Object gethostbyname_ex(PyObject* args) {
  PyObject* value = nullptr;
  parse(args, "O:gethostbyname_ex", &value);
  const std::string name = host_name(value);
  audit("socket.gethostbyname", "O", value);
  return host_entry(unlocked([&] { return plug::gethostbyname_ex(name); }));
}

Object gethostbyaddr(PyObject* args) {
  PyObject* value = nullptr;
  parse(args, "O:gethostbyaddr", &value);
  const std::string name = host_name(value);
  audit("socket.gethostbyaddr", "O", value);
  return host_entry(unlocked([&] { return plug::gethostbyaddr(name); }));
}

Object gethostname(PyObject*) {
  audit("socket.gethostname", nullptr);
  return system_text(plug::gethostname());
}

Object sethostname(PyObject* args) {
  PyObject* value = nullptr;
  if (!PyArg_ParseTuple(args, "S:sethostname", &value)) {
    PyErr_Clear();
    parse(args, "U:sethostname", &value);
  }
  const std::string name = system_name(value);
  audit("socket.sethostname", "O", value);
  unlocked([&] { plug::sethostname(name); });
  return none();
}

// --- services, protocols, interfaces ---

Object getservbyname(PyObject* args) {
  const char* service = nullptr;
  const char* protocol = nullptr;
  parse(args, "s|s:getservbyname", &service, &protocol);
  audit("socket.getservbyname", "ss", service, protocol == nullptr ? "" : protocol);
  return build("i", unlocked([&] {
                 return plug::getservbyname(service, protocol == nullptr ? "" : protocol);
               }));
}

Object getservbyport(PyObject* args) {
  int port = 0;
  const char* protocol = nullptr;
  parse(args, "i|s:getservbyport", &port, &protocol);
  audit("socket.getservbyport", "is", port, protocol == nullptr ? "" : protocol);
  return build("s", unlocked([&] {
                      return plug::getservbyport(port, protocol == nullptr ? "" : protocol);
                    }).c_str());
}

Object getprotobyname(PyObject* args) {
  const char* protocol = nullptr;
  parse(args, "s:getprotobyname", &protocol);
  return build("i", unlocked([&] { return plug::getprotobyname(protocol); }));
}

Object if_nameindex(PyObject*) {
  const auto interfaces = unlocked([] { return plug::if_nameindex(); });
  Object list(PyList_New(0));
  for (const auto& [index, name] : interfaces) {
    const Object item = build("iN", index, system_text(name).release());
    if (PyList_Append(list.get(), item.get()) < 0) throw PythonError();
  }
  return list;
}

Object if_nametoindex(PyObject* args) {
  PyObject* value = nullptr;
  parse(args, "O:if_nametoindex", &value);
  const std::string name = system_name(value);
  return build("i", unlocked([&] { return plug::if_nametoindex(name); }));
}

Object if_indextoname(PyObject* value) {
  const long long index = PyLong_AsLongLong(value);
  if (PyErr_Occurred() != nullptr) throw PythonError();
  return system_text(unlocked([&] { return plug::if_indextoname(index); }));
}

// --- numbers and packed addresses ---

std::int64_t integer(PyObject* value) {
  const long long number = PyLong_AsLongLong(value);
  if (PyErr_Occurred() != nullptr) throw PythonError();
  return number;
}

template <auto Convert>
Object convert(PyObject* value) {
  return Object(PyLong_FromUnsignedLong(Convert(integer(value))));
}

template <auto Size>
Object control_size(PyObject* args) {
  Py_ssize_t length = 0;
  parse(args, "n", &length);
  return Object(PyLong_FromSize_t(Size(length)));
}

Object inet_aton(PyObject* args) {
  const char* text = nullptr;
  parse(args, "s:inet_aton", &text);
  return bytes_of(plug::inet_aton(text));
}

Object inet_ntoa(PyObject* args) {
  Lent packed;
  parse(args, "y*:inet_ntoa", packed.place());
  return build("s", plug::inet_ntoa({packed.data(), packed.size()}).c_str());
}

Object inet_pton(PyObject* args) {
  int family = 0;
  const char* text = nullptr;
  parse(args, "is:inet_pton", &family, &text);
  return bytes_of(plug::inet_pton(AF{family}, text));
}

Object inet_ntop(PyObject* args) {
  int family = 0;
  Lent packed;
  parse(args, "iy*:inet_ntop", &family, packed.place());
  return build("s", plug::inet_ntop(AF{family}, {packed.data(), packed.size()}).c_str());
}

// --- the table ---

using Function = Object(PyObject*);

template <Function* F>
PyMethodDef function(const char* name, int convention) {
  PyCFunction const called = [](PyObject*, PyObject* argument) { return entry<F>(argument); };
  return {name, called, convention, nullptr};
}

PyMethodDef keyword_function(const char* name) {
  PyCFunctionWithKeywords const called = [](PyObject*, PyObject* args, PyObject* keywords) {
    return entry<getaddrinfo>(args, keywords);
  };
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(called)),
          METH_VARARGS | METH_KEYWORDS, nullptr};
}

PyMethodDef functions[] = {function<control_size<CMSG::LEN>>("CMSG_LEN", METH_VARARGS),
                           function<control_size<CMSG::SPACE>>("CMSG_SPACE", METH_VARARGS),
                           keyword_function("getaddrinfo"),
                           function<gethostbyaddr>("gethostbyaddr", METH_VARARGS),
                           function<gethostbyname>("gethostbyname", METH_VARARGS),
                           function<gethostbyname_ex>("gethostbyname_ex", METH_VARARGS),
                           function<gethostname>("gethostname", METH_NOARGS),
                           function<getnameinfo>("getnameinfo", METH_VARARGS),
                           function<getprotobyname>("getprotobyname", METH_VARARGS),
                           function<getservbyname>("getservbyname", METH_VARARGS),
                           function<getservbyport>("getservbyport", METH_VARARGS),
                           function<convert<htonl_>>("htonl", METH_O),
                           function<convert<htons_>>("htons", METH_O),
                           function<if_indextoname>("if_indextoname", METH_O),
                           function<if_nameindex>("if_nameindex", METH_NOARGS),
                           function<if_nametoindex>("if_nametoindex", METH_VARARGS),
                           function<inet_aton>("inet_aton", METH_VARARGS),
                           function<inet_ntoa>("inet_ntoa", METH_VARARGS),
                           function<inet_ntop>("inet_ntop", METH_VARARGS),
                           function<inet_pton>("inet_pton", METH_VARARGS),
                           function<convert<ntohl_>>("ntohl", METH_O),
                           function<convert<ntohs_>>("ntohs", METH_O),
                           function<sethostname>("sethostname", METH_VARARGS),
                           {}};

}  // namespace

PyMethodDef* name_functions() noexcept { return functions; }

}  // namespace plug::python
