#pragma once

// Exceptions and error codes, typed as in Python.
//
// Calls have two forms. The plain form throws one of the classes below. The form with a
// std::error_code& does not throw if the operation fails. It stores an error of one of these
// categories, or clears the error code on success:
//
//   std::system_category()   the system's error number (errno)
//   std::generic_category()  the std::errc with which the interrupt hook ended the call
//   timeout_category()       a timeout set in this library expired; as a condition it equals
//                            std::errc::timed_out, and the category distinguishes it from the
//                            kernel's ETIMEDOUT
//   gai_category()           EAI_* numbers of the resolver
//   herror_category()        h_errno numbers of gethostbyaddr() and gethostbyname_ex()
//   plug_category()          Errc: errors without a number of the system
//
//   OSError (std::system_error)                    ValueError (std::invalid_argument)
//    ├ BlockingIOError     EAGAIN EALREADY          ├ UnicodeDecodeError
//    │                     EINPROGRESS              ├ UnicodeEncodeError
//    ├ ChildProcessError   ECHILD                   └ LimitOverrunError    (framing.hpp)
//    ├ ConnectionError                             EOFError (std::runtime_error)
//    │  ├ BrokenPipeError         EPIPE ESHUTDOWN   └ IncompleteReadError  (framing.hpp)
//    │  ├ ConnectionAbortedError  ECONNABORTED     OverflowError (std::out_of_range)
//    │  ├ ConnectionRefusedError  ECONNREFUSED     KeyError (std::out_of_range)
//    │  └ ConnectionResetError    ECONNRESET       RuntimeError (std::runtime_error)
//    ├ FileExistsError     EEXIST                  TypeError (std::logic_error)
//    ├ FileNotFoundError   ENOENT                  ExceptionGroup (std::runtime_error)
//    ├ InterruptedError    EINTR                   BaseException
//    ├ IsADirectoryError   EISDIR                   └ CancelledError
//    ├ NotADirectoryError  ENOTDIR
//    ├ PermissionError     EACCES EPERM
//    ├ ProcessLookupError  ESRCH
//    ├ TimeoutError        ETIMEDOUT, or a timeout set in this library
//    └ gaierror, herror
//
// Python: https://docs.python.org/3/library/exceptions.html#os-exceptions (PEP 3151)

#include <plug/detail/cpp20.hpp>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// Errors that have no error number, and the exception that the throwing form throws.
enum class Errc {
  negative_size = 1,   ///< a negative byte count                          -> ValueError
  negative_fileno,     ///< a negative file descriptor                     -> ValueError
  bad_option_length,   ///< a getsockopt() length outside 1..1024          -> OSError
  address_family,      ///< an address that the socket's family cannot use -> OSError
  address_too_long,    ///< a Unix path that is too long for the kernel    -> OSError
  embedded_nul,        ///< a name that contains a NUL                     -> ValueError
  bad_packed_address,  ///< a packed IP address of the wrong length        -> OSError
  no_such_name,        ///< an unknown service                             -> OSError
  poisoned,            ///< a read from a file after a timeout             -> OSError
  closed_file,         ///< an operation on a closed file                  -> ValueError
  not_readable,        ///< a read from a file made without 'r'            -> OSError
  not_writable,        ///< a write to a file made without 'w'             -> OSError
  control_length,      ///< the size of a control message is out of range  -> OverflowError
  ancillary_size,      ///< the space for ancillary data is out of range   -> ValueError
  ancillary_overflow,  ///< too much ancillary data for one call           -> OSError
  not_a_stream,        ///< sendfile() on a socket that is not a stream    -> ValueError
  not_blocking,        ///< sendfile() with a timeout of zero              -> ValueError
  count_not_positive,  ///< sendfile() of less than one byte               -> ValueError
  end_in_message,      ///< the stream ended inside a message              -> IncompleteReadError
  message_too_long,    ///< a message exceeds the limit                    -> LimitOverrunError
  malformed_length,    ///< a malformed length prefix                      -> ValueError
  bad_encoding,        ///< invalid in the encoding     -> UnicodeDecodeError, UnicodeEncodeError
  bad_inet_aton,       ///< inet_aton() cannot read the text               -> OSError
  bad_inet_pton,       ///< inet_pton() cannot read the text               -> OSError
  no_such_port,        ///< a port without a service                       -> OSError
  no_such_protocol,    ///< an unknown protocol                            -> OSError
  no_such_interface,   ///< an unknown network interface                   -> OSError
  several_addresses,   ///< several addresses where one is required        -> OSError
  no_addresses,        ///< a lookup found no addresses                    -> OSError
  interface_too_long,  ///< a CAN interface name that is too long          -> OSError
  bad_bluetooth,       ///< a malformed Bluetooth address                  -> OSError
  not_a_fileno,        ///< an object to wait for has no open descriptor   -> ValueError
  bad_events,          ///< no events, or other than READ and WRITE        -> ValueError
  bad_sizehint,        ///< an Epoll size hint other than -1 or above zero -> ValueError
  bad_flags,           ///< Epoll flags other than CLOEXEC                 -> OSError
  bad_maxevents,       ///< Epoll::poll() for less than one event          -> ValueError
  closed_poller,       ///< a closed or moved-from poller or selector      -> ValueError
  not_registered,      ///< an object that is not registered               -> KeyError
  already_registered,  ///< an object that is already registered           -> KeyError
  concurrent_poll,     ///< a second concurrent wait on a Poll or selector -> RuntimeError
  cancelled,           ///< the fiber has been cancelled                   -> CancelledError
};

const std::error_category& plug_category() noexcept;
const std::error_category& timeout_category() noexcept;
const std::error_category& gai_category() noexcept;
const std::error_category& herror_category() noexcept;

std::error_code make_error_code(Errc error) noexcept;

/// Returns the error code of an expired timeout.
std::error_code timed_out() noexcept;

/// An argument is invalid. Python's ValueError.
class ValueError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// A number is out of the range of the call. Python's OverflowError.
class OverflowError : public std::out_of_range {
 public:
  using std::out_of_range::out_of_range;
};

/// A key does not exist, or exists already. Python's KeyError.
class KeyError : public std::out_of_range {
 public:
  using std::out_of_range::out_of_range;
};

/// A value has another type than requested. Python's TypeError.
class TypeError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// A call is not allowed in the current state. Python's RuntimeError.
class RuntimeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Bytes are not valid in the encoding. Python's UnicodeDecodeError.
class UnicodeDecodeError : public ValueError {
 public:
  /// `start` is the position of the bad bytes, counted from the first byte decoded.
  UnicodeDecodeError(std::string_view encoding, std::size_t start, std::string_view reason,
                     std::string_view bad_bytes);
  std::size_t start() const noexcept { return start_; }

 private:
  std::size_t start_;
};

/// The encoding cannot express a character. Python's UnicodeEncodeError.
class UnicodeEncodeError : public ValueError {
 public:
  using ValueError::ValueError;
};

/// The stream ended before the expected data had arrived. Python's EOFError.
class EOFError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The base class of exceptions that end the program or a part of it, like KeyboardInterrupt and
/// SystemExit in Python; you may derive your own. A server lets them through; it reports any other
/// exception as the failure of one request and continues. Not derived from std::exception. Python's
/// BaseException.
class BaseException {
 public:
  BaseException() = default;
  BaseException(const BaseException&) = default;
  BaseException& operator=(const BaseException&) = default;
  virtual ~BaseException() = default;
};

/// Thrown in a cancelled fiber by a call that waits or is about to. The form with an error code
/// stores Errc::cancelled, which as a condition equals std::errc::operation_canceled. Python's
/// asyncio.CancelledError.
class CancelledError : public BaseException {};

/// A system operation failed. what() returns Python's text, with the address or value concerned if
/// known: "[Errno 111] Connection refused: ('127.0.0.1', 9)". Copying does not throw.
class OSError : public std::system_error {
 public:
  explicit OSError(std::error_code code, std::string_view about = {});

  /// Returns the error number (Python's errno); 0 for an error without one, such as a timeout.
  int number() const noexcept;

  /// Returns the text of the error alone, such as "Connection refused".
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

/// getaddrinfo() or getnameinfo() failed. number() is a value of EAI.
class gaierror : public OSError {
 public:
  using OSError::OSError;
};

/// gethostbyaddr() or gethostbyname_ex() failed. number() is an h_errno value.
class herror : public OSError {
 public:
  using OSError::OSError;
};

/// Several failures of one call. what() returns the message, the number of failures, and the text
/// of each. Copying does not throw. Python's ExceptionGroup.
class ExceptionGroup : public std::runtime_error {
 public:
  ExceptionGroup(std::string_view message, std::vector<OSError> exceptions);

  /// Returns the failures in the order in which they happened, as plain OSErrors. To throw one as
  /// its specific class, call throw_if(e.code()).
  const std::vector<OSError>& exceptions() const noexcept { return *exceptions_; }

 private:
  std::shared_ptr<const std::vector<OSError>> exceptions_;
};

/// Throws the exception that belongs to `code`; does nothing if `code` is no error. `about` names
/// the value or address concerned. A code lacks the details of IncompleteReadError,
/// LimitOverrunError and the Unicode errors; throws EOFError or ValueError for these.
void throw_if(const std::error_code& code, std::string_view about = {});

}  // namespace plug

template <>
struct std::is_error_code_enum<plug::Errc> : std::true_type {};

#pragma GCC visibility pop
