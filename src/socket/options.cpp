// Options of sockets.

#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <algorithm>
#include <limits>

#include "socket/calls.hpp"
#include "socket/state.hpp"

namespace plug {

namespace {

using detail::base::error_from;
using detail::base::throwing;
using detail::socket::on_descriptor;
using detail::socket::state_or_closed;
using detail::wait::Descriptor;
namespace sys = detail::sys;

std::string option_text(OptionLevel level, OptionName name) {
  return "level " + std::to_string(int{level}) + ", option " + std::to_string(int{name});
}

[[noreturn]] void throw_no_int(OptionLevel level, OptionName name, const std::string& value) {
  throw OverflowError(option_text(level, name) + ": " + value + " does not fit a C int");
}

std::string bytes_text(OptionLevel level, OptionName name, std::string_view size) {
  return option_text(level, name) + ", " + std::string(size) + " bytes";
}

}  // namespace

void Socket::set_integer_option(OptionLevel level, OptionName name, long long value) {
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max())
    throw_no_int(level, name, std::to_string(value));
  throwing([&](std::error_code& error) { setsockopt(level, name, static_cast<int>(value), error); },
           [&] { return option_text(level, name) + " = " + std::to_string(value); });
}

void Socket::set_integer_option(OptionLevel level, OptionName name, unsigned long long value) {
  if (value > static_cast<unsigned>(std::numeric_limits<int>::max()))
    throw_no_int(level, name, std::to_string(value));
  set_integer_option(level, name, static_cast<long long>(value));
}

void Socket::setsockopt(OptionLevel level, OptionName name, BytesView value) {
  throwing([&](std::error_code& error) { setsockopt(level, name, value, error); },
           [&] { return bytes_text(level, name, std::to_string(value.size())); });
}

void Socket::setsockopt(OptionLevel level, OptionName name, std::nullopt_t, std::size_t length) {
  const long result = on_descriptor(state_or_closed(state_), [=](int fd) {
    return sys::setsockopt(fd, level, name, nullptr, length);
  });
  if (result < 0)
    throw_if(error_from(result), bytes_text(level, name, "None of " + std::to_string(length)));
}

void Socket::setsockopt(OptionLevel level, OptionName name, int value, std::error_code& error) {
  setsockopt(level, name, BytesView(&value, sizeof value), error);
}

void Socket::setsockopt(OptionLevel level, OptionName name, BytesView value,
                        std::error_code& error) {
  error = error_from(on_descriptor(state_or_closed(state_), [=](int fd) {
    return sys::setsockopt(fd, level, name, value.data(), value.size());
  }));
  if (OptionLevel(SOL::SOCKET) != level) return;
  if (OptionName(SO::RCVTIMEO) == name || OptionName(SO::SNDTIMEO) == name)
    state_or_closed(state_).descriptor.heed(Descriptor::kTimed);
  if (OptionName(SO::RCVLOWAT) == name)
    state_or_closed(state_).descriptor.heed(Descriptor::kLowWater);
}

int Socket::getsockopt(OptionLevel level, OptionName name) const {
  return throwing([&](std::error_code& error) { return getsockopt(level, name, error); },
                  [&] { return option_text(level, name); });
}

int Socket::getsockopt(OptionLevel level, OptionName name, std::error_code& error) const {
  int value = 0;
  std::size_t size = sizeof value;
  error = error_from(on_descriptor(state_or_closed(state_), [&](int fd) {
    return sys::getsockopt(fd, level, name, &value, size);
  }));
  return value;
}

Bytes Socket::getsockopt(OptionLevel level, OptionName name, ByteCount length) const {
  return throwing([&](std::error_code& error) { return getsockopt(level, name, length, error); },
                  [&] { return bytes_text(level, name, std::to_string(length.value())); });
}

Bytes Socket::getsockopt(OptionLevel level, OptionName name, ByteCount length,
                         std::error_code& error) const {
  constexpr std::ptrdiff_t kLongest = 1024;
  if (length.value() < 1 || length.value() > kLongest) {
    error = Errc::bad_option_length;
    return {};
  }
  Bytes value(static_cast<std::size_t>(length.value()), '\0');
  std::size_t size = value.size();
  error = error_from(on_descriptor(state_or_closed(state_), [&](int fd) {
    return sys::getsockopt(fd, level, name, value.data(), size);
  }));
  value.resize(error ? 0 : std::min(size, value.size()));
  return value;
}

}  // namespace plug
