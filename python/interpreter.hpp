#pragma once

// The extension module's access to the interpreter: references, the lock, exceptions.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <cxxabi.h>
#include <plug/error.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace plug::python {

/// Thrown after Python's own exception has been set.
struct PythonError {};

/// True if this thread holds the interpreter's lock. A thread that asks for the lock after the
/// interpreter has ended is terminated. It then unwinds without the lock and leaks the objects that
/// it refers to.
inline thread_local bool holds_lock = true;

/// An owned reference to a Python object.
class Object {
 public:
  Object() noexcept = default;
  /// Takes ownership of a new reference. Throws PythonError for null.
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

/// Builds a value like Py_BuildValue(). "N" takes ownership of a reference.
template <class... Values>
Object build(const char* format, Values... values) {
  return Object(Py_BuildValue(format, values...));
}

/// Converts text that the system has returned: names and paths, in the encoding of the file system.
inline Object system_text(std::string_view text) {
  return Object(
      PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

inline Object bytes_of(std::string_view data) {
  return Object(PyBytes_FromStringAndSize(data.data(), static_cast<Py_ssize_t>(data.size())));
}

/// Unpacks arguments like PyArg_ParseTuple().
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

/// Converts a Python integer to a C int. Raises OverflowError if it does not fit.
int c_int(PyObject* value);

/// Calls sys.audit().
template <class... Values>
void audit(const char* event, const char* format, Values... values) {
  if (PySys_Audit(event, format, values...) < 0) throw PythonError();
}

/// A buffer that belongs to a Python object, held while it is used.
class Lent {
 public:
  Lent() noexcept = default;
  Lent(Lent&& other) noexcept : view_(std::exchange(other.view_, Py_buffer{})) {}
  Lent& operator=(Lent&&) = delete;
  ~Lent() {
    if (holds_lock) PyBuffer_Release(&view_);
  }

  /// The argument for PyArg_ParseTuple().
  Py_buffer* place() noexcept { return &view_; }
  char* data() const noexcept { return static_cast<char*>(view_.buf); }
  std::size_t size() const noexcept { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

/// Releases and takes the interpreter's lock. The thread does not hold it while it is in the
/// library.
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
    throw;  // lock() ends this thread
  } catch (...) {
    lock();
    throw;
  }
}

/// plug's interrupt hook: runs Python's signal handlers when a signal has interrupted a call (PEP
/// 475).
std::errc run_signal_handlers();

/// Sets Python's exception for the C++ exception that is being handled.
void raise_current();

/// Sets OSError, or its subclass for the number, from errno. Returns null.
PyObject* raise_errno() noexcept;

/// Counts a call of the module into the library.
void count_call() noexcept;
/// From now on counts in memory that several processes share, and adds the calls counted so far.
void count_calls_in(std::uint64_t* shared) noexcept;
std::uint64_t calls() noexcept;

/// The exceptions socket.herror and socket.gaierror.
extern PyObject* herror_type;
extern PyObject* gaierror_type;

/// Wraps a function of the module for C: counts the call, and turns C++ exceptions into Python's.
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
