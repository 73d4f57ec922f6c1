#include "socket_messages.hpp"

#include <plug/ancillary.hpp>
#include <plug/family/constants.hpp>

#include <vector>

namespace plug::python {

namespace {

/// Converts each item of an iterable with `convert`.
template <class T, class Convert>
std::vector<T> items_of(PyObject* iterable, const char* message, Convert convert) {
  const Object sequence(PySequence_Fast(iterable, message));
  std::vector<T> items;
  // Read the size each time, because `convert` runs Python code, which may change the sequence.
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.get()); ++i) {
    const Object item = Object::borrow(PySequence_Fast_GET_ITEM(sequence.get(), i));
    items.push_back(convert(item.get()));
  }
  return items;
}

std::vector<Lent> buffers_of(PyObject* iterable, const char* format, const char* message) {
  return items_of<Lent>(iterable, message, [&](PyObject* item) {
    Lent lent;
    if (!PyArg_Parse(item, format, lent.place())) throw PythonError();
    return lent;
  });
}

template <class View>
std::vector<View> views_of(const std::vector<Lent>& lent) {
  std::vector<View> views;
  for (const Lent& buffer : lent) views.emplace_back(buffer.data(), buffer.size());
  return views;
}

std::vector<ControlMessage> control_messages(PyObject* iterable) {
  return items_of<ControlMessage>(
      iterable, "sendmsg() argument 2 must be an iterable", [](PyObject* item) {
        int level = 0;
        int type = 0;
        Lent data;
        if (PySequence_Check(item) == 0)
          fail(PyExc_TypeError, "[sendmsg() ancillary data items] must be a sequence");
        const Object sequence(PySequence_Tuple(item));  // accepts a list too
        parse(sequence.get(), "iiy*:[sendmsg() ancillary data items]", &level, &type, data.place());
        return ControlMessage(level, type, {data.data(), data.size()});
      });
}

/// Returns a list of (level, type, data). The Python caller then owns the descriptors in it.
Object items_to_python(const AncillaryData& ancdata) {
  Object list(PyList_New(0));
  for (const ControlMessage& item : ancdata) {
    const Object entry = build("iiN", item.level, item.type, bytes_of(item.data).release());
    if (PyList_Append(list.get(), entry.get()) < 0) throw PythonError();
  }
  return list;
}

Object received(Object first, AncillaryData& ancdata, MSG flags, const Address& sender) {
  Object items = items_to_python(ancdata);
  Object address = to_python(sender);
  Object all =
      build("NNiN", first.release(), items.release(), static_cast<int>(flags), address.release());
  ancdata.release();
  return all;
}

}  // namespace

Object recvmsg(SocketObject* self, PyObject* args) {
  Py_ssize_t size = 0;
  Py_ssize_t ancsize = 0;
  int flags = 0;
  parse(args, "n|ni:recvmsg", &size, &ancsize, &flags);
  auto message = unlocked([&] { return self->sock.recvmsg(size, ancsize, MSG{flags}); });
  return received(bytes_of(message.data), message.ancdata, message.flags, message.address);
}

Object recvmsg_into(SocketObject* self, PyObject* args) {
  PyObject* iterable = nullptr;
  Py_ssize_t ancsize = 0;
  int flags = 0;
  parse(args, "O|ni:recvmsg_into", &iterable, &ancsize, &flags);
  const auto lent = buffers_of(
      iterable,
      "w*;recvmsg_into() argument 1 must be an iterable of single-segment read-write buffers",
      "recvmsg_into() argument 1 must be an iterable");
  const auto buffers = views_of<MutableBytes>(lent);
  auto message = unlocked([&] { return self->sock.recvmsg_into(buffers, ancsize, MSG{flags}); });
  return received(Object(PyLong_FromSize_t(message.count)), message.ancdata, message.flags,
                  message.address);
}

Object sendmsg(SocketObject* self, PyObject* args) {
  PyObject* iterable = nullptr;
  PyObject* ancillary = nullptr;
  int flags = 0;
  PyObject* value = nullptr;
  parse(args, "O|OiO:sendmsg", &iterable, &ancillary, &flags, &value);
  const bool addressed = value != nullptr && value != Py_None;
  std::optional<AddressArgument> address;
  if (addressed) address.emplace(self->kind(), value, "sendmsg");
  audit("socket.sendmsg", "OO", self, value == nullptr ? Py_None : value);
  const auto lent =
      buffers_of(iterable, "y*;sendmsg() argument 1 must be an iterable of bytes-like objects",
                 "sendmsg() argument 1 must be an iterable");
  const auto buffers = views_of<BytesView>(lent);
  const auto items =
      ancillary == nullptr ? std::vector<ControlMessage>() : control_messages(ancillary);
  const std::size_t count = unlocked([&] {
    return address ? self->sock.sendmsg(buffers, items, address->like(), MSG{flags})
                   : self->sock.sendmsg(buffers, items, MSG{flags});
  });
  return Object(PyLong_FromSize_t(count));
}

Object sendmsg_afalg(SocketObject* self, PyObject* args, PyObject* keywords) {
  static const char* const names[] = {"msg", "op", "iv", "assoclen", "flags", nullptr};
  PyObject* iterable = nullptr;
  PyObject* op = nullptr;
  Lent iv;
  PyObject* length = nullptr;
  int flags = 0;
  parse(args, keywords, "|O$O!y*O!i:sendmsg_afalg", names, &iterable, &PyLong_Type, &op, iv.place(),
        &PyLong_Type, &length, &flags);
  const int operation = op == nullptr ? -1 : c_int(op);
  if (operation < 0) fail(PyExc_TypeError, "Invalid or missing argument 'op'");
  AfalgOptions options{.iv = {iv.data(), iv.size()}, .flags = MSG{flags}};
  if (length != nullptr) {
    const int bytes = c_int(length);
    if (bytes < 0) fail(PyExc_TypeError, "assoclen must be positive");
    options.assoclen = static_cast<std::uint32_t>(bytes);
  }
  std::vector<Lent> lent;
  if (iterable != nullptr)
    lent = buffers_of(iterable,
                      "y*;sendmsg_afalg() argument 1 must be an iterable of bytes-like objects",
                      "sendmsg_afalg() argument 1 must be an iterable");
  const auto buffers = views_of<BytesView>(lent);
  const std::size_t count =
      unlocked([&] { return self->sock.sendmsg_afalg(ALG{operation}, buffers, options); });
  return Object(PyLong_FromSize_t(count));
}

}  // namespace plug::python
