// Tests text files where Python's io module lacks a feature or behaves differently.

#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "support/connected_pair.hpp"
#include "support/errors.hpp"

namespace plug {
namespace {

using namespace std::string_literals;

/// Returns the text that a file with these options reads from `bytes`.
std::string decoded(const std::string& bytes, const FileOptions& options) {
  ConnectedPair pair;
  pair.finish(bytes);
  return pair.sock.makefile("r", options).read();
}

/// Returns the bytes that a file with these options writes for `text`.
std::string encoded(std::string_view text, const FileOptions& options) {
  ConnectedPair pair;
  File file = pair.sock.makefile("w", options);
  pair.sock.close();
  file.write(text);
  file.close();
  return pair.peer.makefile("rb").read();
}

TEST(Text, ComesWholeWhenItsCharactersComeInPieces) {
  for (const std::string encoding : {"utf-8", "gbk", "utf-16-le"}) {
    const std::string bytes = encoded("中文\r\nß\n", {.encoding = encoding, .errors = "ignore"});
    ConnectedPair pair(socketpair(AF::UNIX, SOCK::SEQPACKET));
    for (const char byte : bytes) pair.peer.sendall(std::string(1, byte));
    pair.peer.shutdown(SHUT::WR);
    File file = pair.sock.makefile("r", {.encoding = encoding});
    EXPECT_EQ(file.read(1), "中");
    EXPECT_EQ(file.readline(), "文\n");
    EXPECT_EQ(file.read(), encoding == "gbk" ? "\n" : "ß\n");
  }
}

TEST(MalformedText, StopsOnlyTheCallsThatReachItAndReadingGoesOnBehindIt) {
  ConnectedPair pair;
  pair.finish(
      "one\ntwo\nthr\xff"
      "ee\nfour\n\xe2\x82");
  File file = pair.sock.makefile("r");
  EXPECT_EQ(file.readline(), "one\n");
  EXPECT_EQ(file.read(2), "tw");
  EXPECT_EQ(file.readline(), "o\n");
  try {
    (void)file.readline();
    FAIL() << "it was read";
  } catch (const UnicodeDecodeError& error) {
    EXPECT_EQ(error.start(), 11u);
    EXPECT_STREQ(error.what(),
                 "'utf-8' codec can't decode byte 0xff in position 11: invalid start byte");
  }
  EXPECT_EQ(file.readline(), "three\n");
  std::error_code error;
  EXPECT_TRUE(file.readlines(-1, error).empty());
  EXPECT_EQ(error, Errc::bad_encoding);
  EXPECT_EQ(file.read(), "four\n");
  EXPECT_EQ(file.read(), "");
}

TEST(MalformedText, IsToldByItsPlaceInTheStreamHoweverItCame) {
  for (const SOCK type : {SOCK::STREAM, SOCK::SEQPACKET}) {
    ConnectedPair pair(socketpair(AF::UNIX, type));
    for (const char byte : "a\r\nä\xf0\x9f\x98z\xff"s) pair.peer.sendall(std::string(1, byte));
    pair.peer.shutdown(SHUT::WR);
    File file = pair.sock.makefile("r");
    EXPECT_EQ(text_of_error<UnicodeDecodeError>([&] { (void)file.read(); }),
              "'utf-8' codec can't decode bytes in position 5-7: invalid continuation byte");
    EXPECT_EQ(text_of_error<UnicodeDecodeError>([&] { (void)file.read(); }),
              "'utf-8' codec can't decode byte 0xff in position 9: invalid start byte");
    EXPECT_EQ(file.read(), "a\näz");
  }
}

TEST(MalformedText, OfIconvIsRefusedReplacedOrIgnored) {
  const std::string bad =
      "a\xff"
      "b\xd6\xd0\xc4";
  EXPECT_EQ(text_of_error<UnicodeDecodeError>([&] { decoded(bad, {.encoding = "gbk"}); }),
            "'gbk' codec can't decode byte 0xff in position 1: illegal multibyte sequence");
  EXPECT_EQ(text_of_error<UnicodeDecodeError>([&] { decoded(bad.substr(2), {.encoding = "gbk"}); }),
            "'gbk' codec can't decode byte 0xc4 in position 3: incomplete multibyte sequence");
  EXPECT_EQ(decoded(bad, {.encoding = "gbk", .errors = "replace"}), "a�b中�");
  EXPECT_EQ(decoded(bad, {.encoding = "gbk", .errors = "ignore"}), "ab中");
  const std::string lone_surrogate =
      "a\0\0\xd8"
      "b\0"s;
  EXPECT_EQ(decoded(lone_surrogate, {.encoding = "utf-16-le", .errors = "replace"}), "a�b");
}

TEST(TextToWrite, ThatIsNotUtf8IsRefusedReplacedOrIgnored) {
  const std::string bad = "ok\xff\xe2\x82!";
  ConnectedPair pair;
  File file = pair.sock.makefile("w");
  EXPECT_EQ(text_of_error<UnicodeEncodeError>([&] { file.write(bad); }),
            "text to write is not UTF-8: byte 0xff in position 2: invalid start byte");
  EXPECT_THROW(file.write("\xed\xa0\x80"), UnicodeEncodeError);
  std::error_code error;
  EXPECT_EQ(file.write(bad, error), 0u);
  EXPECT_EQ(error, Errc::bad_encoding);
  file.write("nothing of it was taken");
  file.flush();
  EXPECT_EQ(pair.peer.recv(100), "nothing of it was taken");
  for (const std::string encoding : {"utf-8", "ascii", "gbk"}) {
    EXPECT_EQ(encoded(bad, {.encoding = encoding, .errors = "replace"}), "ok?\?!");
    EXPECT_EQ(encoded(bad, {.encoding = encoding, .errors = "ignore"}), "ok!");
  }
  EXPECT_EQ(pair.sock.makefile("w", {.errors = "replace"}).write(bad), 5u);
}

TEST(Encodings, AreKnownByPythonsNames) {
  for (const std::string name : {"UTF-8", "utf8", "utf_8", "U8"})
    EXPECT_EQ(encoded("ä", {.encoding = name}), "\xc3\xa4") << name;
  for (const std::string name : {"latin-1", "latin1", "iso-8859-1", "ISO8859_1", "L1"})
    EXPECT_EQ(encoded("ä", {.encoding = name}), "\xe4") << name;
  for (const std::string name : {"ascii", "US-ASCII"})
    EXPECT_THROW(encoded("ä", {.encoding = name}), UnicodeEncodeError) << name;
  for (const std::string name : {"gbk", "GBK", "cp936", "euc_cn"})
    EXPECT_EQ(encoded("中", {.encoding = name}), "\xd6\xd0") << name;
  for (const std::string name : {"utf-16-be", "utf_16_be", "UTF-16BE"})
    EXPECT_EQ(encoded("中", {.encoding = name}), "\x4e\x2d") << name;
  EXPECT_EQ(encoded("日", {.encoding = "euc_jp"}), "\xc6\xfc");
}

TEST(TheLastCharacter, IsReadWhereTheConverterHoldsItBackForWhatMayFollow) {
  EXPECT_EQ(decoded("abc", {.encoding = "tcvn"}), "abc");
  EXPECT_EQ(decoded("abc", {.encoding = "cp1258"}), "abc");
  EXPECT_EQ(decoded("\xf9\xec\xe5\xed", {.encoding = "cp1255"}), "שלום");
}

TEST(ACharacter, IsThereAsSoonAsItsBytesAre) {
  ConnectedPair pair;
  File file = pair.sock.makefile("r", {.encoding = "cp1258"});
  pair.peer.sendall("a");
  EXPECT_EQ(file.read(1), "a");
}

TEST(AByteOrderMark, IsReadWhereItMustBeAndWrittenOnce) {
  for (const auto& [encoding, bytes] : {std::pair{"utf-16", "\xff\xfe\x4b\x4b"s},
                                        {"utf-16", "\xfe\xff\x4b\x4b"s},
                                        {"utf-32", "\xff\xfe\0\0\x4b\x4b\0\0"s},
                                        {"utf-8-sig", "\xef\xbb\xbf\xe4\xad\x8b"s}})
    EXPECT_EQ(decoded(bytes, {.encoding = encoding}), "䭋") << encoding;
  for (const std::string errors : {"strict", "replace"})
    EXPECT_EQ(
        text_of_error<UnicodeDecodeError>(
            [&] { decoded("a\0b\0"s, {.encoding = "utf-16", .errors = errors}); }),
        "'utf-16' codec can't decode bytes in position 0-1: UTF-16 stream does not start with "
        "BOM");
  ConnectedPair pair;
  File file = pair.sock.makefile("w", {.encoding = "utf-16"});
  file.write("a");
  file.write("b");
  file.flush();
  EXPECT_EQ(pair.peer.recv(100), "\xff\xfe\x61\0\x62\0"s);
}

TEST(AnEncodingWithShiftStates, IsInItsInitialStateBetweenWrites) {
  const FileOptions options{.encoding = "iso-2022-jp"};
  EXPECT_EQ(encoded("日", options), "\x1b$BF|\x1b(B");
  ConnectedPair pair;
  File file = pair.sock.makefile("w", options);
  EXPECT_THROW(file.write("日😀"), UnicodeEncodeError);
  file.write("plain");
  file.flush();
  EXPECT_EQ(pair.peer.recv(100), "plain");
}

TEST(Reading, AndWritingTextDoNotDisturbEachOther) {
  ConnectedPair pair;
  File file = pair.sock.makefile("rw");
  pair.peer.sendall("one\r\ntwo\r");
  EXPECT_EQ(file.readline(), "one\n");
  file.write("between\n");
  file.flush();
  pair.finish("\nthree\n");
  EXPECT_EQ(file.readline(), "two\n");
  EXPECT_EQ(file.readline(), "three\n");
  EXPECT_EQ(pair.peer.recv(100), "between\n");
}

}  // namespace
}  // namespace plug
