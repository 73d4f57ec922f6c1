#include "support/codec.hpp"

#include <cerrno>

#include <iconv.h>

#include <plug/error.hpp>

#include "support/text.hpp"

namespace lesson {
namespace {

constexpr const char* kUtf8 = "UTF-8";

class Converter {
 public:
  Converter(const char* to, const char* from) : handle_(iconv_open(to, from)) {
    if (handle_ == reinterpret_cast<iconv_t>(-1)) {
      throw plug::ValueError("this system has no conversion from " + std::string(from) + " to " +
                             to);
    }
  }
  ~Converter() { iconv_close(handle_); }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;

  /// Converts as much as it can, removes the converted bytes from `rest`, and appends the result to
  /// `out`. Returns 0 if all is converted, EILSEQ if `rest` begins with bytes that cannot be
  /// converted, and EINVAL if it begins with an incomplete character.
  int convert(std::string_view& rest, std::string& out) {
    while (!rest.empty()) {
      char buffer[4096];
      char* from = const_cast<char*>(rest.data());  // iconv() does not write to it
      char* to = buffer;
      std::size_t left = rest.size();
      std::size_t room = sizeof buffer;
      const std::size_t result = iconv(handle_, &from, &left, &to, &room);
      const int error = result == static_cast<std::size_t>(-1) ? errno : 0;
      out.append(buffer, sizeof buffer - room);
      rest.remove_prefix(rest.size() - left);
      if (error != 0 && error != E2BIG) return error;
    }
    return 0;
  }

 private:
  iconv_t handle_;
};

}  // namespace

Codec::Codec(std::string_view encoding) : encoding_(encoding) {
  const Converter from(kUtf8, encoding_.c_str());
  const Converter to(encoding_.c_str(), kUtf8);
}

Codec::Decoded Codec::decode(std::string_view bytes) const {
  Converter converter(kUtf8, encoding_.c_str());
  std::string_view rest = bytes;
  std::string text;
  const int error = converter.convert(rest, text);
  if (error == EILSEQ) {
    throw plug::UnicodeDecodeError(encoding_, bytes.size() - rest.size(), "invalid byte",
                                   rest.substr(0, 1));
  }
  return {std::move(text), error == EINVAL};
}

std::string Codec::encode(std::string_view text) const {
  Converter converter(encoding_.c_str(), kUtf8);
  std::string_view rest = text;
  std::string bytes;
  if (converter.convert(rest, bytes) != 0) {
    const std::string_view bad = rest.substr(0, utf8_start(rest).size);
    throw plug::UnicodeEncodeError("'" + encoding_ + "' has no '" + one_line(bad) + "'");
  }
  return bytes;
}

std::string Codec::encode_lossy(std::string_view text) const {
  Converter converter(encoding_.c_str(), kUtf8);
  std::string bytes;
  while (converter.convert(text, bytes) != 0) {
    bytes += '?';
    text.remove_prefix(utf8_start(text).size);
  }
  return bytes;
}

}  // namespace lesson
