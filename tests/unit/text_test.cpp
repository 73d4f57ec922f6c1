// Compares functions on bytes with the methods of Python's bytes.

#include <plug/error.hpp>
#include <plug/text.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "support/process.hpp"

using namespace std::string_literals;

namespace plug {
namespace {

using testing::ElementsAre;

std::tuple<Bytes, Bytes, Bytes> parts(const Partition& partition) {
  return {partition.before, partition.separator, partition.after};
}

TEST(UpperAndLower, ChangeTheLettersOfASCIIAlone) {
  EXPECT_EQ(upper("az{`AZ[@ \0\xff"s), "AZ{`AZ[@ \0\xff"s);
  EXPECT_EQ(lower("az{`AZ[@ \0\xff"s), "az{`az[@ \0\xff"s);
  EXPECT_EQ(upper("Grüße"), "GRüßE");
  EXPECT_EQ(lower("GRÜSSE"), "grÜsse");
  EXPECT_EQ(upper(""), "");
}

TEST(Strip, TakesWhitespaceOrTheGivenBytesFromTheEnds) {
  EXPECT_EQ(strip(" \t\r\n\v\fa b\f\v\n\r\t "), "a b");
  EXPECT_EQ(lstrip(" \n a b \n "), "a b \n ");
  EXPECT_EQ(rstrip(" \n a b \n "), " \n a b");
  EXPECT_EQ(strip("\0 a \0"s), "\0 a \0"s);
  EXPECT_EQ(strip(" \n "), "");
  EXPECT_EQ(lstrip(""), "");
  EXPECT_EQ(rstrip(""), "");
  EXPECT_EQ(strip("www.example.com", "cmowz."), "example");
  EXPECT_EQ(lstrip("xxaxx", "x"), "axx");
  EXPECT_EQ(rstrip("xxaxx", "x"), "xxa");
  EXPECT_EQ(rstrip("text\r\n", "\n"), "text\r");
  EXPECT_EQ(strip(" a ", ""), " a ");
  EXPECT_EQ(strip("xxx", "x"), "");
}

TEST(Split, GivesTheWordsOrThePartsBetweenSeparators) {
  EXPECT_THAT(split("  put  name.txt\r\n"), ElementsAre("put", "name.txt"));
  EXPECT_THAT(split(""), ElementsAre());
  EXPECT_THAT(split(" \n"), ElementsAre());
  EXPECT_THAT(split("a,b,,c,", ","), ElementsAre("a", "b", "", "c", ""));
  EXPECT_THAT(split("", ","), ElementsAre(""));
  EXPECT_THAT(split("a\r\nb\r\n", "\r\n"), ElementsAre("a", "b", ""));
  EXPECT_THAT(split("aaa", "aa"), ElementsAre("", "a"));
  EXPECT_THAT(split("a,b,c", ",", 1), ElementsAre("a", "b,c"));
  EXPECT_THAT(split("a,b,c", ",", 0), ElementsAre("a,b,c"));
  EXPECT_THAT(split("a,b,c", ",", 9), ElementsAre("a", "b", "c"));
  EXPECT_THROW((void)split("a", ""), ValueError);
}

TEST(PartitionFunctions, SplitAtTheFirstOrTheLastSeparator) {
  EXPECT_EQ(parts(partition("a: b: c", ": ")), std::tuple("a", ": ", "b: c"));
  EXPECT_EQ(parts(rpartition("a: b: c", ": ")), std::tuple("a: b", ": ", "c"));
  EXPECT_EQ(parts(partition("abc", ":")), std::tuple("abc", "", ""));
  EXPECT_EQ(parts(rpartition("abc", ":")), std::tuple("", "", "abc"));
  EXPECT_EQ(parts(partition(":", ":")), std::tuple("", ":", ""));
  EXPECT_THROW((void)partition("a", ""), ValueError);
  EXPECT_THROW((void)rpartition("a", ""), ValueError);
}

TEST(FunctionsOnBytes, OwnTheirResults) {
  const Bytes word = strip(Bytes(" a word that is too long for a short string "));
  const std::vector<Bytes> words = split(Bytes("one_that_is_too_long_for_a_short_string two"));
  EXPECT_EQ(word, "a word that is too long for a short string");
  EXPECT_EQ(words[0], "one_that_is_too_long_for_a_short_string");
}

std::string hex(const Bytes& bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    (text += digits[byte >> 4]) += digits[byte & 15];
  }
  return text + ' ';
}

TEST(FunctionsOnBytes, GiveWhatPythonGives) {
  constexpr const char* kPython = R"(
import random
data = [bytes.fromhex(each) for each in DATA]
for a in data:
    found = [a.upper(), a.lower(), a.strip(), a.lstrip(), a.rstrip(), *a.split()]
    for s in (b',', b', ', b'a'):
        found += [a.strip(s), a.lstrip(s), a.rstrip(s), *a.split(s), *a.split(s, 1)]
        found += [*a.partition(s), *a.rpartition(s)]
    print(*(each.hex() for each in found), '')
)";
  std::mt19937 random(20240229);
  const std::string alphabet = ",, \t\n\r\v\faAzZ\0\x1c\x85\xa0\xff\xc3"s;
  std::string asked = "DATA = [", expected;
  for (int i = 0; i < 300; ++i) {
    Bytes data(random() % 12, '\0');
    for (char& c : data) c = alphabet[random() % alphabet.size()];
    std::string text = hex(data);
    text.pop_back();
    asked += "'" + text + "',";
    std::vector<Bytes> found = {upper(data), lower(data), strip(data), lstrip(data), rstrip(data)};
    const auto add = [&](const std::vector<Bytes>& more) {
      found.insert(found.end(), more.begin(), more.end());
    };
    add(split(data));
    for (const char* const s : {",", ", ", "a"}) {
      const std::string_view by = s;
      add({strip(data, by), lstrip(data, by), rstrip(data, by)});
      add(split(data, by));
      add(split(data, by, 1));
      for (const Partition& each : {partition(data, by), rpartition(data, by)})
        add({each.before, each.separator, each.after});
    }
    for (const Bytes& each : found) expected += hex(each);
    expected += '\n';
  }
  int status = 0;
  EXPECT_EQ(run_program({"python3", "-c", asked + "]" + kPython}, status), expected);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace plug
