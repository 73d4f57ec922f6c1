#include <plug/format.hpp>
#include <plug/plug.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

namespace plug {
namespace {

using detail::format::Formattable;

// Types of plug, but no other types that convert to them.
static_assert(Formattable<Address> && Formattable<HostPort> && Formattable<UnixAddress>);
static_assert(Formattable<CanAddress> && Formattable<NetlinkAddress> && Formattable<VsockAddress>);
static_assert(Formattable<ControlMessage>);
static_assert(Formattable<Socket> && Formattable<Timeout>);
static_assert(Formattable<OSError> && Formattable<TimeoutError> && Formattable<gaierror>);
static_assert(!Formattable<int> && !Formattable<double> && !Formattable<std::string>);
static_assert(!Formattable<std::optional<double>> && !Formattable<std::vector<Address>>);
static_assert(!Formattable<AF> && !Formattable<BytesView> && !Formattable<std::system_error>);

struct ConvertsToAddress {
  operator Address() const { return {}; }
};
static_assert(!Formattable<ConvertsToAddress>);

/// Expects the same of fmt::format and std::format, if they are available.
template <class Format>
void expect_formats(Format format) {
  const Address address = Address::parse("127.0.0.1:80");
  EXPECT_EQ(format("{}", address), "('127.0.0.1', 80)");
  EXPECT_EQ(format("{:>20}|", address), "   ('127.0.0.1', 80)|");
  EXPECT_EQ(format("{:*^21}", address), "**('127.0.0.1', 80)**");
  EXPECT_EQ(format("{:.4}", address), "('12");
  EXPECT_EQ(format("{}", HostPort("localhost", 1)), "('localhost', 1)");
  EXPECT_EQ(format("{:6}|", UnixAddress("/a")), "/a    |");
  EXPECT_EQ(format("{:>8}", NetlinkAddress{1, 2}), "  (1, 2)");
  EXPECT_EQ(format("{}", Timeout(2.5)), "2.5");
  EXPECT_EQ(format("{}", Timeout()), "None");
  Socket sock;
  EXPECT_EQ(format("{}", sock), to_string(sock));
  const ConnectionRefusedError error({ECONNREFUSED, std::system_category()}, "here");
  EXPECT_EQ(format("{}", error), "[Errno 111] Connection refused: here");
  EXPECT_EQ(format("{:.11}", static_cast<const OSError&>(error)), "[Errno 111]");
}

TEST(FmtFormat, PrintsWhatToStringDoesWithTheSpecificationsOfStrings) {
#if __has_include(<fmt/format.h>)
  expect_formats([](std::string_view text, const auto& value) {
    return fmt::format(fmt::runtime(text), value);
  });
  EXPECT_EQ(fmt::format("{} {}", Timeout(1), Address()), "1.0 None");
  EXPECT_THROW((void)fmt::format(fmt::runtime("{:d}"), Timeout(1)), fmt::format_error);
#else
  GTEST_SKIP() << "no <fmt/format.h> here";
#endif
}

TEST(StdFormat, PrintsWhatToStringDoesWithTheSpecificationsOfStrings) {
#ifdef __cpp_lib_format
  expect_formats([](std::string_view text, const auto& value) {
    return std::vformat(text, std::make_format_args(value));
  });
  const Timeout second(1);
  EXPECT_THROW((void)std::vformat("{:d}", std::make_format_args(second)), std::format_error);
#else
  GTEST_SKIP() << "the standard library has no std::format";
#endif
}

}  // namespace
}  // namespace plug
