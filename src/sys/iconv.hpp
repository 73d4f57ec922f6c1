#pragma once

#include <cstddef>
#include <string>

namespace plug::detail::sys {

/// Converts text from one encoding to another, piece by piece, by iconv(3). Keeps the shift state
/// from one piece to the next.
class Converter {
 public:
  enum class Stop {
    done,        ///< everything has been read
    malformed,   ///< at something that the one encoding does not have, or the other cannot say
    incomplete,  ///< at a character whose end is missing
    full,        ///< no room for the next character
  };
  struct Step {
    std::size_t read;
    std::size_t written;
    Stop stop;
  };

  Converter() noexcept = default;
  /// Not open when the system does not know one of the names.
  Converter(const std::string& to, const std::string& from) noexcept;
  Converter(Converter&& other) noexcept;
  Converter& operator=(Converter&& other) noexcept;
  ~Converter();

  bool is_open() const noexcept { return handle_ != nullptr; }

  Step convert(const char* input, std::size_t input_size, char* output,
               std::size_t output_size) noexcept;

  /// Goes back to the initial state and writes the sequence that says so, where there is one.
  /// Returns its size.
  std::size_t reset(char* output, std::size_t output_size) noexcept;

 private:
  void* handle_ = nullptr;
};

}  // namespace plug::detail::sys
