#pragma once

// How the extension module speaks with the interpreter: references, the lock, exceptions.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <cxxabi.h>
#include <plug/error.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace plug::python {

/// Thrown where Python's own exception has been set.
struct PythonError {};

/// Whether this thread holds the interpreter's lock. It does not while it is being ended, which the
/// interpreter does to threads that ask for the lock when it has gone: what they refer to is lost.
inline thread_local bool holds_lock = true;

/// An owned reference.
class Object {
 public:
  Object() noexcept = default;
  /// Takes over a new reference; throws PythonError for null.
  explicit Object(PyObject* made) : object_(made) {
    if (made == nullptr) throw PythonError();
  }
  Object(Object&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Object& operator=(Object&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Object() {
    if (holds_lock) Py_XDECREF(object_);
  }

  static Object borrow(PyObject* borrowed) noexcept {
    Py_INCREF(borrowed);
    Object object;
    object.object_ = borrowed;
    return object;
  }

  PyObject* get() const noexcept { return object_; }
  PyObject* release() noexcept { return std::exchange(object_, nullptr); }

 private:
  PyObject* object_ = nullptr;
};

inline Object none() noexcept { return Object::borrow(Py_None); }

/// Builds a value as Py_BuildValue() does. "N" takes over a reference.
template <class... Values>
Object build(const char* format, Values... values) {
  return Object(Py_BuildValue(format, values...));
}

/// Text that the system gave: names and paths, in the encoding of the file system.
inline Object system_text(std::string_view text) {
  return Object(
      PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

inline Object bytes_of(std::string_view data) {
  return Object(PyBytes_FromStringAndSize(data.data(), static_cast<Py_ssize_t>(data.size())));
}

/// Unpacks arguments as PyArg_ParseTuple() does.
template <class... Places>
void parse(PyObject* args, const char* format, Places... places) {
  if (!PyArg_ParseTuple(args, format, places...)) throw PythonError();
}

template <std::size_t N, class... Places>
void parse(PyObject* args, PyObject* keywords, const char* format, const char* const (&names)[N],
           Places... places) {
  if (!PyArg_ParseTupleAndKeywords(args, keywords, format, const_cast<char**>(names), places...))
    throw PythonError();
}

[[noreturn]] inline void fail(PyObject* type, const char* message) {
  PyErr_SetString(type, message);
  throw PythonError();
}

template <class... Values>
[[noreturn]] void fail(PyObject* type, const char* format, Values... values) {
  PyErr_Format(type, format, values...);
  throw PythonError();
}

/// A Python integer as a C int; OverflowError where it does not fit.
int c_int(PyObject* value);

/// sys.audit().
template <class... Values>
void audit(const char* event, const char* format, Values... values) {
  if (PySys_Audit(event, format, values...) < 0) throw PythonError();
}

/// Memory that a Python object lends.
class Lent {
 public:
  Lent() noexcept = default;
  Lent(Lent&& other) noexcept : view_(std::exchange(other.view_, Py_buffer{})) {}
  Lent& operator=(Lent&&) = delete;
  ~Lent() {
    if (holds_lock) PyBuffer_Release(&view_);
  }

  /// What PyArg_ParseTuple() fills.
  Py_buffer* place() noexcept { return &view_; }
  char* data() const noexcept { return static_cast<char*>(view_.buf); }
  std::size_t size() const noexcept { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

/// Gives up the interpreter's lock for as long as this thread is in the library.
void unlock() noexcept;
void lock();

template <class Call>
auto unlocked(Call call) {
  unlock();
  try {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      lock();
    } else {
      auto result = call();
      lock();
      return result;
    }
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread ends, in lock()
  } catch (...) {
    lock();
    throw;
  }
}

/// Runs signal handlers when a signal has interrupted a call, as PEP 475 wants. plug's hook.
std::errc run_signal_handlers();

/// Turns the exception in flight into Python's.
void raise_current();

/// Sets OSError, or the class that belongs to the number, from errno. Returns null.
PyObject* raise_errno() noexcept;

/// How many calls have come to the library through the module.
void count_call() noexcept;
/// Counts from now on in memory that other processes share, so that theirs are in the sum.
void count_calls_in(std::uint64_t* shared) noexcept;
std::uint64_t calls() noexcept;

/// socket.herror and socket.gaierror.
extern PyObject* herror_type;
extern PyObject* gaierror_type;

/// A function of the module's as C calls it, which counts the call and lets no exception of C++
/// out.
template <auto Function, class... Arguments>
PyObject* entry(Arguments... arguments) {
  count_call();
  try {
    return Function(arguments...).release();
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

}  // namespace plug::python
