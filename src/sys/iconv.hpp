#pragma once

#include <cstddef>
#include <string>

namespace plug::detail::sys {

/// Converts text from one encoding to another, piece by piece, with iconv(3). Keeps the shift state
/// between pieces.
class Converter {
 public:
  enum class Stop {
    done,        ///< everything has been read
    malformed,   ///< at a sequence that is invalid in the one encoding or has no form in the other
    incomplete,  ///< at a character whose end is missing
    full,        ///< no room for the next character
  };
  struct Step {
    std::size_t read;
    std::size_t written;
    Stop stop;
  };

  Converter() noexcept = default;
  /// Is not open if the system does not know one of the names.
  Converter(const std::string& to, const std::string& from) noexcept;
  Converter(Converter&& other) noexcept;
  Converter& operator=(Converter&& other) noexcept;
  ~Converter();

  bool is_open() const noexcept { return handle_ != nullptr; }

  Step convert(const char* input, std::size_t input_size, char* output,
               std::size_t output_size) noexcept;

  /// Returns to the initial state and writes the escape sequence for it, if there is one. Returns
  /// its size.
  std::size_t reset(char* output, std::size_t output_size) noexcept;

 private:
  void* handle_ = nullptr;
};

}  // namespace plug::detail::sys
