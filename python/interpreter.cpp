#include "interpreter.hpp"

#include <atomic>
#include <cerrno>
#include <climits>
#include <new>
#include <string>

namespace plug::python {

PyObject* herror_type = nullptr;
PyObject* gaierror_type = nullptr;

namespace {

thread_local PyThreadState* released = nullptr;

std::atomic<std::uint64_t> own_count{0};
std::atomic<std::uint64_t*> shared_count{nullptr};

void raise_numbered(PyObject* type, const OSError& error) {
  const std::string text = error.strerror();
  PyObject* const arguments = Py_BuildValue("(is)", error.number(), text.c_str());
  if (arguments == nullptr) return;
  PyErr_SetObject(type, arguments);
  Py_DECREF(arguments);
}

void raise_os_error(const OSError& error) {
  const std::error_category& category = error.code().category();
  if (category == timeout_category())
    PyErr_SetString(PyExc_TimeoutError, error.strerror().c_str());
  else if (category == gai_category())
    raise_numbered(gaierror_type, error);
  else if (category == herror_category())
    raise_numbered(herror_type, error);
  else if (category == plug_category())
    PyErr_SetString(PyExc_OSError, error.strerror().c_str());
  else
    raise_numbered(PyExc_OSError, error);  // Python chooses the subclass by the number
}

}  // namespace

int c_int(PyObject* value) {
  const long number = PyLong_AsLong(value);
  if (PyErr_Occurred() != nullptr) throw PythonError();
  if (number < INT_MIN || number > INT_MAX)
    fail(PyExc_OverflowError, "Python int %ld does not fit a C int", number);
  return static_cast<int>(number);
}

void unlock() noexcept {
  holds_lock = false;
  released = PyEval_SaveThread();
}

void lock() {
  PyEval_RestoreThread(std::exchange(released, nullptr));
  holds_lock = true;
}

std::errc run_signal_handlers() {
  if (released == nullptr) return std::errc{};  // this thread has not released the lock
  lock();
  const bool raised = PyErr_CheckSignals() != 0;
  unlock();
  return raised ? std::errc::interrupted : std::errc{};
}

void raise_current() {
  if (PyErr_Occurred() != nullptr) return;
  try {
    throw;
  } catch (const OSError& error) {
    raise_os_error(error);
  } catch (const ValueError& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const OverflowError& error) {
    PyErr_SetString(PyExc_OverflowError, error.what());
  } catch (const TypeError& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

PyObject* raise_errno() noexcept {
  try {
    throw_if({errno, std::system_category()});
  } catch (...) {
    raise_current();
  }
  return nullptr;
}

void count_call() noexcept {
  std::uint64_t* const shared = shared_count.load(std::memory_order_relaxed);
  if (shared != nullptr)
    std::atomic_ref(*shared).fetch_add(1, std::memory_order_relaxed);
  else
    own_count.fetch_add(1, std::memory_order_relaxed);
}

void count_calls_in(std::uint64_t* shared) noexcept {
  std::atomic_ref(*shared).fetch_add(own_count.exchange(0));
  shared_count.store(shared);
}

std::uint64_t calls() noexcept {
  std::uint64_t* const shared = shared_count.load();
  return shared != nullptr ? std::atomic_ref(*shared).load() : own_count.load();
}

}  // namespace plug::python
