#pragma once

// What goes wrong, typed as in Python.
//
// Calls come in two forms. The plain one throws what this file declares. The one with a trailing
// std::error_code& does not throw for a failed operation: it stores one of
//
//   std::system_category()   the system's error number (errno)
//   std::generic_category()  the std::errc with which the interrupt hook has ended the call
//   timeout_category()       the time-out of this library ran out; equal to std::errc::timed_out as
//   a
//                            condition, told apart from the kernel's ETIMEDOUT by its category
//   gai_category()           EAI_* numbers of the resolver
//   herror_category()        h_errno numbers of the old resolver calls
//   plug_category()          Errc: what has no number in the system
//
// and clears it on success.
//
//   OSError (std::system_error)                  ValueError (std::invalid_argument)
//    ├ BlockingIOError       EAGAIN EALREADY       └ UnicodeDecodeError, UnicodeEncodeError
//    │                       EINPROGRESS          OverflowError, KeyError (std::out_of_range)
//    ├ ChildProcessError     ECHILD               EOFError (std::runtime_error)
//    ├ ConnectionError                             └ IncompleteReadError   (framing.hpp)
//    │  ├ BrokenPipeError         EPIPE ESHUTDOWN
//    │  ├ ConnectionAbortedError  ECONNABORTED
//    │  ├ ConnectionRefusedError  ECONNREFUSED
//    │  └ ConnectionResetError    ECONNRESET
//    ├ FileExistsError EEXIST, FileNotFoundError ENOENT
//    ├ InterruptedError EINTR
//    ├ IsADirectoryError EISDIR, NotADirectoryError ENOTDIR
//    ├ PermissionError EACCES EPERM, ProcessLookupError ESRCH
//    ├ TimeoutError          a time-out of ours, or ETIMEDOUT
//    ├ gaierror, herror                        ExceptionGroup, RuntimeError (std::runtime_error)
//                                                TypeError (std::logic_error)
//
// Python: https://docs.python.org/3/library/exceptions.html#os-exceptions (PEP 3151)

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// Errors that have no number in the system.
enum class Errc {
  negative_size = 1,   ///< a count of bytes below zero               -> ValueError
  negative_fileno,     ///< a descriptor below zero                   -> ValueError
  buffer_too_small,    ///< more bytes asked for than the buffer has  -> ValueError
  bad_option_length,   ///< getsockopt length outside 1..1024         -> OSError
  address_family,      ///< an address that this socket's family cannot use -> OSError
  address_too_long,    ///< a Unix path that the kernel's form cannot hold  -> OSError
  embedded_nul,        ///< a NUL inside a name                       -> ValueError
  bad_packed_address,  ///< a packed IP address of a wrong length     -> OSError
  no_such_name,        ///< a service that is not known               -> OSError
  poisoned,            ///< reading a file after its time-out         -> OSError
  closed_file,         ///< an operation on a closed file             -> ValueError
  not_readable,        ///< reading a file made without 'r'           -> OSError
  not_writable,        ///< writing a file made without 'w'           -> OSError
  control_length,      ///< a count of control bytes out of range     -> OverflowError
  ancillary_size,      ///< room for ancillary data out of range      -> ValueError
  ancillary_overflow,  ///< more ancillary data than a call can take  -> OSError
  not_a_stream,        ///< sendfile() on another kind of socket      -> ValueError
  not_blocking,        ///< sendfile() with a time-out of zero        -> ValueError
  count_not_positive,  ///< sendfile() of less than one byte          -> ValueError
  end_in_message,      ///< the stream ended inside a message         -> IncompleteReadError
  message_too_long,    ///< a message above the reader's bound        -> LimitOverrunError
  malformed_length,    ///< a length prefix that no number fits       -> ValueError
  bad_encoding,        ///< bytes that are not in the named encoding  -> UnicodeDecodeError
  bad_inet_aton,       ///< text that inet_aton() does not take       -> OSError
  bad_inet_pton,       ///< text that inet_pton() does not take       -> OSError
  no_such_port,        ///< a port that no service has                -> OSError
  no_such_protocol,    ///< a protocol that is not known              -> OSError
  no_such_interface,   ///< an interface that is not there            -> OSError
  several_addresses,   ///< one address asked for where there are more -> OSError
  no_addresses,        ///< a name that has been found, without any   -> OSError
  interface_too_long,  ///< a name that no interface of CAN can have  -> OSError
  bad_bluetooth,       ///< text that is no address of Bluetooth      -> OSError
  not_a_fileno,        ///< an object without a descriptor, to wait for -> ValueError
  bad_events,          ///< events that cannot be waited for          -> ValueError
  bad_sizehint,        ///< a size hint below one                     -> ValueError
  bad_flags,           ///< flags that no Epoll is made with          -> OSError
  bad_maxevents,       ///< less than one event asked for             -> ValueError
  closed_poller,       ///< an operation on a closed Epoll or selector -> ValueError
  not_registered,      ///< what a Poll or a selector does not watch  -> KeyError
  already_registered,  ///< what a selector watches already           -> KeyError
  concurrent_poll,     ///< a Poll or a selector waited on twice      -> RuntimeError
  cancelled,           ///< a fiber that has been asked to end        -> CancelledError
};

const std::error_category& plug_category() noexcept;
const std::error_category& timeout_category() noexcept;
const std::error_category& gai_category() noexcept;
const std::error_category& herror_category() noexcept;

std::error_code make_error_code(Errc error) noexcept;

/// The code that a run-out time-out of this library has.
std::error_code timed_out() noexcept;

/// A value that can never be right. Python's ValueError.
class ValueError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// A number outside what the call can take. Python's OverflowError.
class OverflowError : public std::out_of_range {
 public:
  using std::out_of_range::out_of_range;
};

/// A key that is not there, or is there already. Python's KeyError.
class KeyError : public std::out_of_range {
 public:
  using std::out_of_range::out_of_range;
};

/// A value of another type than was asked for. Python's TypeError.
class TypeError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// A call that cannot be made in this state. Python's RuntimeError.
class RuntimeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Bytes that are not text in the encoding named. Python's UnicodeDecodeError.
class UnicodeDecodeError : public ValueError {
 public:
  /// `start` counts bytes from the beginning of what was decoded.
  UnicodeDecodeError(std::string_view encoding, std::size_t start, std::string_view reason,
                     std::string_view bad_bytes);
  std::size_t start() const noexcept { return start_; }

 private:
  std::size_t start_;
};

/// Text that the encoding named cannot express. Python's UnicodeEncodeError.
class UnicodeEncodeError : public ValueError {
 public:
  using ValueError::ValueError;
};

/// The other side ended the stream where more was due. Python's EOFError.
class EOFError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What ends a program, or a part of it, and not one request: a class of the user's that derives
/// from this passes through a server, which reports anything else as the failure of one request and
/// goes on. Python's BaseException, for what is no Exception: KeyboardInterrupt, SystemExit.
class BaseException {
 public:
  BaseException() = default;
  BaseException(const BaseException&) = default;
  BaseException& operator=(const BaseException&) = default;
  virtual ~BaseException() = default;
};

/// Thrown in a fiber that has been asked to end, by the call that waits or is about to. The form
/// with an error code gives Errc::cancelled, equal to std::errc::operation_canceled as a condition.
/// Python's asyncio.CancelledError.
class CancelledError : public BaseException {};

/// A failed system operation. what() is Python's text: "[Errno 111] Connection refused", followed
/// by ": " and what it was about where that is known ("[Errno 111] Connection refused:
/// ('127.0.0.1', 9)"). Copies share their text and do not throw.
class OSError : public std::system_error {
 public:
  explicit OSError(std::error_code code, std::string_view about = {});

  /// The number (Python's errno attribute); 0 where Python has None, as for a time-out of ours.
  int number() const noexcept;

  /// The number's text alone, e.g. "Connection refused".
  std::string strerror() const { return code().message(); }

  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;
};

class BlockingIOError : public OSError {
 public:
  using OSError::OSError;
};
class ChildProcessError : public OSError {
 public:
  using OSError::OSError;
};
class ConnectionError : public OSError {
 public:
  using OSError::OSError;
};
class BrokenPipeError : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};
class ConnectionAbortedError : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};
class ConnectionRefusedError : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};
class ConnectionResetError : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};
class FileExistsError : public OSError {
 public:
  using OSError::OSError;
};
class FileNotFoundError : public OSError {
 public:
  using OSError::OSError;
};
class InterruptedError : public OSError {
 public:
  using OSError::OSError;
};
class IsADirectoryError : public OSError {
 public:
  using OSError::OSError;
};
class NotADirectoryError : public OSError {
 public:
  using OSError::OSError;
};
class PermissionError : public OSError {
 public:
  using OSError::OSError;
};
class ProcessLookupError : public OSError {
 public:
  using OSError::OSError;
};
class TimeoutError : public OSError {
 public:
  using OSError::OSError;
};

/// getaddrinfo() or getnameinfo() failed; number() is an EAI value.
class gaierror : public OSError {
 public:
  using OSError::OSError;
};

/// gethostbyaddr() and its like failed; number() is an h_errno value.
class herror : public OSError {
 public:
  using OSError::OSError;
};

/// Several failures of one call. what() is the message, how many there are, and the text of each.
/// Copies share what they hold and do not throw. Python's ExceptionGroup.
class ExceptionGroup : public std::runtime_error {
 public:
  ExceptionGroup(std::string_view message, std::vector<OSError> exceptions);

  /// In the order in which they happened, as plain OSErrors: throw_if(e.code()) throws the class
  /// that belongs to each.
  const std::vector<OSError>& exceptions() const noexcept { return *exceptions_; }

 private:
  std::shared_ptr<const std::vector<OSError>> exceptions_;
};

/// Throws the class that belongs to `code`; `about` names the value or address concerned. The one
/// place where a code becomes an exception. Does nothing when there is no error.
void throw_if(const std::error_code& code, std::string_view about = {});

}  // namespace plug

template <>
struct std::is_error_code_enum<plug::Errc> : std::true_type {};

#pragma GCC visibility pop
