#pragma once

#include <string>
#include <string_view>

namespace lesson {

/// Text between UTF-8, in which programs work, and the encoding that a peer speaks: "utf-8", "gbk"
/// or any other name that iconv(3) knows. A value; safe from any thread.
class Codec {
 public:
  /// Throws ValueError naming an encoding that this system does not have.
  explicit Codec(std::string_view encoding);

  const std::string& encoding() const noexcept { return encoding_; }

  struct Decoded {
    std::string text;
    bool incomplete;  ///< the bytes end inside a character, which `text` leaves out
  };

  /// Throws UnicodeDecodeError naming the first byte that is no text.
  Decoded decode(std::string_view bytes) const;

  /// Throws UnicodeEncodeError naming the first character that the encoding does not have, or bytes
  /// that are not UTF-8.
  std::string encode(std::string_view text) const;

  /// As encode(), with '?' for what the encoding does not have.
  std::string encode_lossy(std::string_view text) const;

 private:
  std::string encoding_;
};

}  // namespace lesson
