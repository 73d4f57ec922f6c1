#pragma once

#include <string>
#include <string_view>

namespace lesson {

/// Converts text between UTF-8, which the programs use, and the encoding of a peer: "utf-8", "gbk"
/// or any other name that iconv(3) knows. Safe to use from any thread.
class Codec {
 public:
  /// Throws ValueError if the system does not know the encoding.
  explicit Codec(std::string_view encoding);

  const std::string& encoding() const noexcept { return encoding_; }

  struct Decoded {
    std::string text;
    bool incomplete;  ///< the bytes end inside a character; `text` ends before it
  };

  /// Decodes bytes. Throws UnicodeDecodeError, which names the first invalid byte.
  Decoded decode(std::string_view bytes) const;

  /// Encodes text. Throws UnicodeEncodeError, which names the first character that the encoding
  /// lacks, or bytes that are not UTF-8.
  std::string encode(std::string_view text) const;

  /// Encodes text, with '?' for each character that the encoding lacks.
  std::string encode_lossy(std::string_view text) const;

 private:
  std::string encoding_;
};

}  // namespace lesson
