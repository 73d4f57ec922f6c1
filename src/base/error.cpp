#include <plug/error.hpp>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "sys/netdb.hpp"

namespace plug {

namespace {

const char* message_of(Errc error) noexcept {
  switch (error) {
    case Errc::negative_size:
      return "negative buffersize";
    case Errc::negative_fileno:
      return "negative file descriptor";
    case Errc::bad_option_length:
      return "getsockopt buflen out of range";
    case Errc::address_family:
      return "address family mismatched";
    case Errc::address_too_long:
      return "AF_UNIX path too long";
    case Errc::embedded_nul:
      return "embedded null character";
    case Errc::bad_packed_address:
      return "packed IP wrong length for inet_ntoa";
    case Errc::no_such_name:
      return "service/proto not found";
    case Errc::poisoned:
      return "cannot read from timed out object";
    case Errc::closed_file:
      return "I/O operation on closed file.";
    case Errc::not_readable:
      return "not readable";
    case Errc::not_writable:
      return "not writable";
    case Errc::control_length:
      return "CMSG_LEN() argument out of range";
    case Errc::ancillary_size:
      return "invalid ancillary data buffer length";
    case Errc::ancillary_overflow:
      return "too much ancillary data";
    case Errc::not_a_stream:
      return "only SOCK_STREAM type sockets are supported";
    case Errc::not_blocking:
      return "non-blocking sockets are not supported";
    case Errc::count_not_positive:
      return "count must be a positive integer";
    case Errc::end_in_message:
      return "the stream ended inside a message";
    case Errc::message_too_long:
      return "message above the limit";
    case Errc::malformed_length:
      return "malformed length prefix";
    case Errc::bad_encoding:
      return "invalid text in this encoding";
    case Errc::bad_inet_aton:
      return "illegal IP address string passed to inet_aton";
    case Errc::bad_inet_pton:
      return "illegal IP address string passed to inet_pton";
    case Errc::no_such_port:
      return "port/proto not found";
    case Errc::no_such_protocol:
      return "protocol not found";
    case Errc::no_such_interface:
      return "no interface with this name";
    case Errc::several_addresses:
      return "wildcard resolved to multiple address";
    case Errc::no_addresses:
      return "getaddrinfo returns an empty list";
    case Errc::interface_too_long:
      return "AF_CAN interface name too long";
    case Errc::bad_bluetooth:
      return "bad bluetooth address";
    case Errc::not_a_fileno:
      return "Invalid file descriptor";
    case Errc::bad_events:
      return "Invalid events";
    case Errc::bad_sizehint:
      return "sizehint must be positive or -1";
    case Errc::bad_flags:
      return "invalid flags";
    case Errc::bad_maxevents:
      return "maxevents must be greater than 0";
    case Errc::closed_poller:
      return "I/O operation on closed epoll object or selector";
    case Errc::not_registered:
      return "not registered";
    case Errc::already_registered:
      return "already registered";
    case Errc::concurrent_poll:
      return "concurrent poll() invocation";
    case Errc::cancelled:
      return "cancelled";
  }
  return "unknown error of plug";
}

class PlugCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "plug"; }
  std::string message(int value) const override { return message_of(static_cast<Errc>(value)); }
  std::error_condition default_error_condition(int value) const noexcept override {
    if (static_cast<Errc>(value) == Errc::cancelled) return std::errc::operation_canceled;
    if (static_cast<Errc>(value) == Errc::address_family)
      return std::errc::address_family_not_supported;
    return {value, *this};
  }
};

class TimeoutCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "plug.timeout"; }
  std::string message(int) const override { return "timed out"; }
  std::error_condition default_error_condition(int) const noexcept override {
    return std::errc::timed_out;
  }
};

class GaiCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "getaddrinfo"; }
  std::string message(int value) const override { return detail::sys::eai_text(value); }
};

class HerrorCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "h_errno"; }
  std::string message(int value) const override { return detail::sys::h_errno_text(value); }
};

/// Never destroyed, because errors use it while the process ends, too.
template <class Category>
union Lasting {
  constexpr Lasting() noexcept : category() {}
  Lasting(const Lasting&) = delete;
  Lasting& operator=(const Lasting&) = delete;
  ~Lasting() {}  // NOLINT(modernize-use-equals-default): as the default it would be deleted

  Category category;
};

constinit Lasting<PlugCategory> the_plug;
constinit Lasting<TimeoutCategory> the_timeout;
constinit Lasting<GaiCategory> the_gai;
constinit Lasting<HerrorCategory> the_herror;

/// Returns true if the code's value is a system error number.
bool is_errno(const std::error_code& code) noexcept {
  return code.category() == std::system_category() || code.category() == std::generic_category();
}

/// Returns true if the code's value is a number that Python shows as the errno attribute.
bool has_number(const std::error_code& code) noexcept {
  return is_errno(code) || code.category() == gai_category() ||
         code.category() == herror_category();
}

std::string with_about(std::string text, std::string_view about) {
  if (!about.empty()) (text += ": ") += about;
  return text;
}

std::string text_of(const std::error_code& code, std::string_view about) {
  std::string text;
  if (has_number(code)) text = "[Errno " + std::to_string(code.value()) + "] ";
  return with_about(text + code.message(), about);
}

std::string group_text(std::string_view message, const std::vector<OSError>& exceptions) {
  std::string text(message);
  text += " (" + std::to_string(exceptions.size()) +
          (exceptions.size() == 1 ? " sub-exception)" : " sub-exceptions)");
  const char* separator = ": ";
  for (const OSError& exception : exceptions) {
    (text += separator) += exception.what();
    separator = "; ";
  }
  return text;
}

[[noreturn]] void throw_plug_error(Errc error, std::string_view about) {
  switch (error) {
    case Errc::negative_size:
    case Errc::negative_fileno:
    case Errc::embedded_nul:
    case Errc::closed_file:
    case Errc::message_too_long:
    case Errc::malformed_length:
    case Errc::bad_encoding:
    case Errc::ancillary_size:
    case Errc::not_a_stream:
    case Errc::not_blocking:
    case Errc::count_not_positive:
    case Errc::not_a_fileno:
    case Errc::bad_events:
    case Errc::bad_sizehint:
    case Errc::bad_maxevents:
    case Errc::closed_poller:
      throw ValueError(with_about(message_of(error), about));
    case Errc::not_registered:
    case Errc::already_registered:
      throw KeyError(with_about(message_of(error), about));
    case Errc::concurrent_poll:
      throw RuntimeError(with_about(message_of(error), about));
    case Errc::cancelled:
      throw CancelledError();
    case Errc::control_length:
      throw OverflowError(with_about(message_of(error), about));
    case Errc::end_in_message:
      throw EOFError(with_about(message_of(error), about));
    default:
      throw OSError(error, about);
  }
}

[[noreturn]] void throw_system_error(const std::error_code& code, std::string_view about) {
  switch (code.value()) {
    case EAGAIN:
    case EALREADY:
    case EINPROGRESS:
      throw BlockingIOError(code, about);
    case EPIPE:
    case ESHUTDOWN:
      throw BrokenPipeError(code, about);
    case ECONNABORTED:
      throw ConnectionAbortedError(code, about);
    case ECONNREFUSED:
      throw ConnectionRefusedError(code, about);
    case ECONNRESET:
      throw ConnectionResetError(code, about);
    case ECHILD:
      throw ChildProcessError(code, about);
    case EEXIST:
      throw FileExistsError(code, about);
    case ENOENT:
      throw FileNotFoundError(code, about);
    case EINTR:
      throw InterruptedError(code, about);
    case EISDIR:
      throw IsADirectoryError(code, about);
    case ENOTDIR:
      throw NotADirectoryError(code, about);
    case EACCES:
    case EPERM:
      throw PermissionError(code, about);
    case ESRCH:
      throw ProcessLookupError(code, about);
    case ETIMEDOUT:
      throw TimeoutError(code, about);
    default:
      throw OSError(code, about);
  }
}

}  // namespace

const std::error_category& plug_category() noexcept { return the_plug.category; }
const std::error_category& timeout_category() noexcept { return the_timeout.category; }
const std::error_category& gai_category() noexcept { return the_gai.category; }
const std::error_category& herror_category() noexcept { return the_herror.category; }

std::error_code make_error_code(Errc error) noexcept {
  return {static_cast<int>(error), plug_category()};
}

std::error_code timed_out() noexcept { return {1, timeout_category()}; }

OSError::OSError(std::error_code code, std::string_view about)
    : std::system_error(code), text_(text_of(code, about)) {}

int OSError::number() const noexcept { return has_number(code()) ? code().value() : 0; }

ExceptionGroup::ExceptionGroup(std::string_view message, std::vector<OSError> exceptions)
    : std::runtime_error(group_text(message, exceptions)),
      exceptions_(std::make_shared<const std::vector<OSError>>(std::move(exceptions))) {}

UnicodeDecodeError::UnicodeDecodeError(std::string_view encoding, std::size_t start,
                                       std::string_view reason, std::string_view bad_bytes)
    : ValueError([&] {
        std::string text = "'" + std::string(encoding) + "' codec can't decode ";
        if (bad_bytes.size() == 1) {
          char byte[8];
          std::snprintf(byte, sizeof byte, "0x%02x", static_cast<unsigned char>(bad_bytes[0]));
          text += std::string("byte ") + byte + " in position " + std::to_string(start);
        } else {
          text += "bytes in position " + std::to_string(start) + "-" +
                  std::to_string(start + bad_bytes.size() - 1);
        }
        return text + ": " + std::string(reason);
      }()),
      start_(start) {}

void throw_if(const std::error_code& code, std::string_view about) {
  if (!code) return;
  const std::error_category& category = code.category();
  if (category == plug_category()) throw_plug_error(static_cast<Errc>(code.value()), about);
  if (category == timeout_category()) throw TimeoutError(code, about);
  if (category == gai_category()) throw gaierror(code, about);
  if (category == herror_category()) throw herror(code, about);
  if (is_errno(code)) throw_system_error(code, about);
  throw OSError(code, about);
}

}  // namespace plug
