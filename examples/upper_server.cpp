// Sends back each chunk in upper case; "exit" ends the conversation.
//
// The lesson: a chunk may end in the middle of a character. The server keeps the incomplete
// character until the next chunk arrives. Bytes that are not UTF-8 are sent back unchanged.
//
// The C library's Unicode tables give one upper-case letter for each letter. The table below adds
// the letters whose upper case is several letters. It leaves out the combined letters of ancient
// Greek in U+1F50 to U+1FFC, which remain a single letter.

#include <algorithm>
#include <utility>

#include <locale.h>
#include <wctype.h>

#include "support/program.hpp"
#include "support/text.hpp"

namespace {

constexpr std::pair<char32_t, std::string_view> kSeveral[] = {{U'ß', "SS"},
                                                              {U'ŉ', "\u02bcN"},
                                                              {U'ǰ', "J\u030c"},
                                                              {U'ΐ', "\u0399\u0308\u0301"},
                                                              {U'ΰ', "\u03a5\u0308\u0301"},
                                                              {U'և', "ԵՒ"},
                                                              {U'ẖ', "H\u0331"},
                                                              {U'ẗ', "T\u0308"},
                                                              {U'ẘ', "W\u030a"},
                                                              {U'ẙ', "Y\u030a"},
                                                              {U'ẚ', "A\u02be"},
                                                              {U'ﬀ', "FF"},
                                                              {U'ﬁ', "FI"},
                                                              {U'ﬂ', "FL"},
                                                              {U'ﬃ', "FFI"},
                                                              {U'ﬄ', "FFL"},
                                                              {U'ﬅ', "ST"},
                                                              {U'ﬆ', "ST"},
                                                              {U'ﬓ', "ՄՆ"},
                                                              {U'ﬔ', "ՄԵ"},
                                                              {U'ﬕ', "ՄԻ"},
                                                              {U'ﬖ', "ՎՆ"},
                                                              {U'ﬗ', "ՄԽ"}};

/// The system's table of Unicode letters.
class Letters {
 public:
  Letters() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ == nullptr) throw std::runtime_error("this system has no locale C.UTF-8");
  }
  ~Letters() { freelocale(locale_); }
  Letters(const Letters&) = delete;
  Letters& operator=(const Letters&) = delete;

  locale_t locale() const noexcept { return locale_; }

 private:
  locale_t locale_;
};

class UpperCase {
 public:
  explicit UpperCase(const Letters& letters) : letters_(letters) {}

  /// Returns, in upper case, the characters that `chunk` completes.
  std::string operator()(std::string_view chunk) {
    const std::string text = std::exchange(held_, {}) += chunk;
    std::string upper;
    for (std::string_view rest = text; !rest.empty();) {
      const lesson::Utf8Start start = lesson::utf8_start(rest);
      const std::string_view piece = rest.substr(0, start.size);
      if (start.kind == lesson::Utf8Start::whole) {
        append(upper, start.character);
      } else {
        (start.kind == lesson::Utf8Start::incomplete ? held_ : upper) += piece;
      }
      rest.remove_prefix(start.size);
    }
    return upper;
  }

  /// Returns the bytes of the last character if it is still incomplete.
  const std::string& held() const { return held_; }

 private:
  void append(std::string& upper, char32_t letter) const {
    const auto several = std::ranges::find(kSeveral, letter, [](auto& row) { return row.first; });
    if (several != std::end(kSeveral)) {
      upper += several->second;
    } else {
      lesson::append_utf8(upper, towupper_l(static_cast<wint_t>(letter), letters_.locale()));
    }
  }

  const Letters& letters_;
  std::string held_;
};

void converse(plug::Socket& conn, const plug::Address& peer, const Letters& letters) {
  UpperCase upper_case(letters);
  for (plug::Bytes data = conn.recv(4096); !data.empty(); data = conn.recv(4096)) {
    lesson::print_line(peer, data);
    if (upper_case.held().empty() && plug::rstrip(data, "\r\n") == "exit") return;
    conn.sendall(upper_case(data));
  }
  conn.sendall(upper_case.held());
}

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint = lesson::server_arguments(argc, argv, "Sends back upper case.");
  return lesson::run([&](lesson::Stop& stop) {
    const Letters letters;
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer,
                     [&, &conn = conn, &peer = peer] { converse(conn, peer, letters); });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
