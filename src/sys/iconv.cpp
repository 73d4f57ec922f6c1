#include "sys/iconv.hpp"

#include <iconv.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace plug::detail::sys {

Converter::Converter(const std::string& to, const std::string& from) noexcept
    : handle_(::iconv_open(to.c_str(), from.c_str())) {
  // iconv_open() reports failure with (iconv_t)-1.
  if (reinterpret_cast<std::intptr_t>(handle_) == -1) handle_ = nullptr;
}

Converter::Converter(Converter&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Converter& Converter::operator=(Converter&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Converter::~Converter() {
  if (handle_ != nullptr) ::iconv_close(handle_);
}

Converter::Step Converter::convert(const char* input, std::size_t input_size, char* output,
                                   std::size_t output_size) noexcept {
  char* in = const_cast<char*>(input);
  std::size_t in_left = input_size;
  std::size_t out_left = output_size;
  const bool failed =
      ::iconv(handle_, &in, &in_left, &output, &out_left) == static_cast<std::size_t>(-1);
  Stop stop = Stop::done;
  if (failed) {
    if (errno == E2BIG)
      stop = Stop::full;
    else
      stop = errno == EINVAL ? Stop::incomplete : Stop::malformed;
  }
  return {input_size - in_left, output_size - out_left, stop};
}

std::size_t Converter::reset(char* output, std::size_t output_size) noexcept {
  std::size_t left = output_size;
  ::iconv(handle_, nullptr, nullptr, &output, &left);
  return output_size - left;
}

}  // namespace plug::detail::sys
