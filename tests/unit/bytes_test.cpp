#include <plug/bytes.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace plug {
namespace {

template <class... Arguments>
constexpr bool kViews = std::is_constructible_v<BytesView, Arguments...>;
template <class... Arguments>
constexpr bool kMutable = std::is_constructible_v<MutableBytes, Arguments...>;

std::string text(BytesView bytes) { return std::string(bytes.data(), bytes.size()); }

struct TwoBytes {
  std::uint16_t value;
};

// The types that convert to a view.
static_assert(kViews<std::string&> && kViews<const std::string&> && kViews<std::string>);
static_assert(kViews<std::string_view> && kViews<std::span<const std::byte>>);
static_assert(kViews<std::vector<unsigned char>&> && kViews<const std::vector<char>&>);
static_assert(kViews<std::array<std::byte, 3>&> && kViews<const std::array<std::int8_t, 3>&>);
static_assert(kViews<unsigned char (&)[4]> && kViews<const unsigned char (&)[4]>);
static_assert(kViews<std::byte (&)[4]> && kViews<const std::int8_t (&)[4]>);
static_assert(kViews<const void*, std::size_t>);
static_assert(std::is_convertible_v<std::string, BytesView>);
static_assert(std::is_convertible_v<MutableBytes, BytesView>);

// A mutable char array does not say how many of its elements are in use.
static_assert(!kViews<char (&)[4]>);
static_assert(!kViews<char8_t (&)[4]>);
// A pointer has no length.
static_assert(!kViews<char*> && !kViews<const char*> && !kViews<void*> && !kViews<std::byte*>);
static_assert(!kViews<std::nullptr_t> && !kViews<int> && !kViews<char>);
// Elements larger than a byte, and bits.
static_assert(!kViews<std::vector<int>&> && !kViews<std::wstring&> && !kViews<int (&)[4]>);
static_assert(!kViews<std::vector<TwoBytes>&> && !kViews<std::vector<bool>&>);
static_assert(!kViews<std::array<bool, 3>&> && !kViews<bool (&)[4]>);
// An owning range that is not contiguous memory.
static_assert(!kViews<std::vector<std::string>&>);

static_assert(kMutable<std::string&> && kMutable<std::vector<unsigned char>&>);
static_assert(kMutable<std::span<std::byte>> && kMutable<std::array<char, 3>&>);
static_assert(kMutable<char (&)[4]> && kMutable<unsigned char (&)[4]> &&
              kMutable<std::byte (&)[4]>);
static_assert(kMutable<void*, std::size_t>);
static_assert(!kMutable<const std::string&> && !kMutable<std::string_view>);
static_assert(!kMutable<std::span<const std::byte>> && !kMutable<const std::vector<char>&>);
static_assert(!kMutable<const char (&)[4]> && !kMutable<const unsigned char (&)[4]>);
static_assert(!kMutable<const std::array<char, 3>&> && !kMutable<BytesView>);
static_assert(!kMutable<char*> && !kMutable<const void*, std::size_t>);
static_assert(!kMutable<std::vector<int>&> && !kMutable<int (&)[4]>);

TEST(BytesView, OfALiteralLeavesOutItsNul) {
  EXPECT_EQ(text("abc"), "abc");
  EXPECT_TRUE(BytesView("").empty());
}

TEST(BytesView, OfALiteralKeepsTheNulsInsideIt) {
  EXPECT_EQ(text("a\0b\0"), std::string("a\0b\0", 4));
  EXPECT_EQ(text("\0"), std::string(1, '\0'));
}

TEST(BytesView, OfARangeIsAllOfItNulsIncluded) {
  const std::string nul("a\0b", 3);
  EXPECT_EQ(text(nul), nul);
  EXPECT_EQ(text(std::string_view(nul)), nul);
  EXPECT_EQ(text(std::vector<unsigned char>{'a', 0, 'b'}), nul);
  EXPECT_EQ(text(std::array<char, 3>{'a', 0, 'b'}), nul);
  EXPECT_EQ(text(std::span<const char>(nul)), nul);
  const std::byte bytes[] = {std::byte{'a'}, std::byte{0}, std::byte{'b'}};
  EXPECT_EQ(text(bytes), nul);
  unsigned char numbers[] = {'a', 0, 'b'};
  EXPECT_EQ(text(numbers), nul);
}

TEST(BytesView, OfNothingIsEmptyAndHasAnAddress) {
  const BytesView none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.size(), 0u);
  EXPECT_NE(none.data(), nullptr);
  EXPECT_TRUE(BytesView(std::vector<char>()).empty());
}

TEST(BytesView, PointsAtTheCallersMemory) {
  std::string owned = "abc";
  const BytesView view = owned;
  owned[1] = 'X';
  EXPECT_EQ(text(view), "aXc");
  EXPECT_EQ(view.data(), owned.data());
}

TEST(BytesView, HasPartsAndBytesByPosition) {
  constexpr BytesView view = "abc";
  static_assert(view.subspan(1, 1)[0] == 'b' && view.first(2).size() == 2);
  EXPECT_EQ(text(view.first(0)), "");
  EXPECT_EQ(text(view.first(2)), "ab");
  EXPECT_EQ(text(view.first(3)), "abc");
  EXPECT_EQ(text(view.last(0)), "");
  EXPECT_EQ(text(view.last(2)), "bc");
  EXPECT_EQ(text(view.last(3)), "abc");
  EXPECT_EQ(text(view.subspan(0)), "abc");
  EXPECT_EQ(text(view.subspan(2)), "c");
  EXPECT_EQ(text(view.subspan(3)), "");
  EXPECT_EQ(view.subspan(3).data(), view.end());
  EXPECT_EQ(view.last(0).data(), view.end());
  EXPECT_EQ(text(view.subspan(1, 1)), "b");
  EXPECT_EQ(text(view.subspan(3, 0)), "");
  EXPECT_EQ(view[0], 'a');
  EXPECT_EQ(&view[2], view.data() + 2);
}

#ifdef _GLIBCXX_ASSERTIONS
template <class View>
void expect_checked() {
  char memory[3] = {};
  const View view(memory, sizeof memory);
  EXPECT_DEATH((void)view[3], "Assertion");
  EXPECT_DEATH((void)view.first(4), "Assertion");
  EXPECT_DEATH((void)view.last(4), "Assertion");
  EXPECT_DEATH((void)view.subspan(4), "Assertion");
  EXPECT_DEATH((void)view.subspan(1, 3), "Assertion");
  EXPECT_DEATH((void)view.subspan(4, 0), "Assertion");
  EXPECT_DEATH((void)view.subspan(1, ~std::size_t{0}), "Assertion");
}

TEST(BytesViewDeathTest, ChecksPositionsWhereTheStandardLibraryDoes) {
  expect_checked<BytesView>();
}

TEST(MutableBytesDeathTest, ChecksPositionsWhereTheStandardLibraryDoes) {
  expect_checked<MutableBytes>();
}
#endif

TEST(BytesView, IsASpanOfBytesWhereOneIsWanted) {
  const std::string owned = "abc";
  const BytesView view = owned;
  const std::span<const std::byte> span = view;
  EXPECT_EQ(static_cast<const void*>(span.data()), owned.data());
  EXPECT_EQ(span.size(), 3u);
  EXPECT_EQ(std::span<const std::byte>(view).back(), std::byte{'c'});
  const auto sum = [](std::span<const std::byte> bytes) {
    return std::accumulate(bytes.begin(), bytes.end(), 0,
                           [](int total, std::byte byte) { return total + int(byte); });
  };
  EXPECT_EQ(sum(view), 'a' + 'b' + 'c');
  EXPECT_EQ(sum(view.last(1)), 'c');
  EXPECT_EQ(text(std::span<const std::byte>(view)), "abc");
  static_assert(!std::is_convertible_v<BytesView, std::span<std::byte>>);
  static_assert(!std::is_convertible_v<BytesView, std::span<const std::byte, 3>>);
}

TEST(BytesView, IsAStringViewWhereOneIsWanted) {
  const std::string_view view = BytesView("a\0b");
  EXPECT_EQ(view, std::string_view("a\0b", 3));
}

TEST(MutableBytes, IsTheWholeArrayOrRange) {
  char characters[4] = {};
  EXPECT_EQ(MutableBytes(characters).size(), 4u);
  EXPECT_EQ(MutableBytes(characters).data(), characters);
  std::string owned(7, 'x');
  EXPECT_EQ(MutableBytes(owned).size(), 7u);
  std::vector<std::byte> bytes(5);
  EXPECT_EQ(MutableBytes(bytes).size(), 5u);
  EXPECT_EQ(MutableBytes(std::span(bytes).subspan(1, 2)).size(), 2u);
  EXPECT_TRUE(MutableBytes().empty());
}

TEST(MutableBytes, WritesThroughToTheCallersMemory) {
  std::array<unsigned char, 3> memory{};
  const MutableBytes view = memory;
  view.data()[1] = 'x';
  EXPECT_EQ(memory[1], 'x');
}

TEST(MutableBytes, HasPartsAndBytesByPosition) {
  char memory[3] = {'a', 'b', 'c'};
  const MutableBytes view = memory;
  EXPECT_EQ(text(view.first(2)), "ab");
  EXPECT_EQ(text(view.last(2)), "bc");
  EXPECT_EQ(text(view.subspan(1)), "bc");
  EXPECT_EQ(text(view.subspan(1, 1)), "b");
  EXPECT_EQ(view.subspan(3).data(), view.end());
  EXPECT_TRUE(MutableBytes().subspan(0).empty());
  view[1] = 'X';
  view.last(1)[0] = 'Y';
  EXPECT_EQ(std::string_view(memory, 3), "aXY");
}

TEST(MutableBytes, IsASpanOfBytesWhereOneIsWanted) {
  char memory[3] = {'a', 'b', 'c'};
  const MutableBytes view = memory;
  const std::span<std::byte> writable = view;
  writable[1] = std::byte{'X'};
  const std::span<const std::byte> readable = view;
  EXPECT_EQ(text(readable), "aXc");
  EXPECT_EQ(readable.data(), writable.data());
}

}  // namespace
}  // namespace plug
