#include <plug/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <future>
#include <string>
#include <system_error>
#include <type_traits>
#include <typeindex>
#include <vector>

namespace plug {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::error_code system_code(int number) { return {number, std::system_category()}; }

/// Finds the exact class that a code throws, with catch clauses from the most derived class on.
struct Thrown {
  std::type_index type = typeid(void);
  std::string what;
  int number = -1;
  std::error_code code;
};

Thrown thrown_by(const std::error_code& code, std::string_view about = {}) {
  Thrown thrown;
  try {
    throw_if(code, about);
  } catch (const OSError& error) {
    thrown = {typeid(error), error.what(), error.number(), error.code()};
  } catch (const std::exception& error) {
    thrown = {typeid(error), error.what(), 0, {}};
  }
  return thrown;
}

template <class Derived, class... Bases>
constexpr bool kDerives = (std::is_base_of_v<Bases, Derived> && ...);

static_assert(kDerives<OSError, std::system_error>);
static_assert(kDerives<BrokenPipeError, ConnectionError, OSError>);
static_assert(kDerives<ConnectionAbortedError, ConnectionError>);
static_assert(kDerives<ConnectionRefusedError, ConnectionError>);
static_assert(kDerives<ConnectionResetError, ConnectionError>);
static_assert(kDerives<TimeoutError, OSError> && kDerives<gaierror, OSError>);
static_assert(kDerives<ValueError, std::invalid_argument>);
static_assert(kDerives<OverflowError, std::out_of_range>);
static_assert(kDerives<UnicodeDecodeError, ValueError> && kDerives<UnicodeEncodeError, ValueError>);
static_assert(kDerives<EOFError, std::runtime_error>);
static_assert(std::is_nothrow_copy_constructible_v<OSError>);
static_assert(std::is_nothrow_copy_constructible_v<TimeoutError>);
static_assert(std::is_nothrow_copy_constructible_v<gaierror>);
static_assert(std::is_nothrow_copy_assignable_v<OSError>);
static_assert(std::is_error_code_enum_v<Errc>);

TEST(OSErrorClass, IsChosenByTheNumber) {
  const std::pair<int, std::type_index> table[] = {
      {EAGAIN, typeid(BlockingIOError)},
      {EWOULDBLOCK, typeid(BlockingIOError)},
      {EALREADY, typeid(BlockingIOError)},
      {EINPROGRESS, typeid(BlockingIOError)},
      {ECHILD, typeid(ChildProcessError)},
      {EPIPE, typeid(BrokenPipeError)},
      {ESHUTDOWN, typeid(BrokenPipeError)},
      {ECONNABORTED, typeid(ConnectionAbortedError)},
      {ECONNREFUSED, typeid(ConnectionRefusedError)},
      {ECONNRESET, typeid(ConnectionResetError)},
      {EEXIST, typeid(FileExistsError)},
      {ENOENT, typeid(FileNotFoundError)},
      {EINTR, typeid(InterruptedError)},
      {EISDIR, typeid(IsADirectoryError)},
      {ENOTDIR, typeid(NotADirectoryError)},
      {EACCES, typeid(PermissionError)},
      {EPERM, typeid(PermissionError)},
      {ESRCH, typeid(ProcessLookupError)},
      {ETIMEDOUT, typeid(TimeoutError)},
  };
  for (int number = 1; number < 140; ++number) {
    std::type_index expected = typeid(OSError);
    for (const auto& [listed, type] : table)
      if (listed == number) expected = type;
    const Thrown thrown = thrown_by(system_code(number));
    EXPECT_EQ(thrown.type, expected) << number << " " << thrown.what;
    EXPECT_EQ(thrown.number, number);
    EXPECT_EQ(thrown.code, system_code(number));
  }
}

TEST(OSErrorClass, IsTheSameForCodesOfTheGenericCategory) {
  EXPECT_EQ(thrown_by(make_error_code(std::errc::connection_refused)).type,
            typeid(ConnectionRefusedError));
  EXPECT_EQ(thrown_by(make_error_code(std::errc::connection_refused)).number, ECONNREFUSED);
}

TEST(OSErrorClass, OfACodeThatIsNoSystemNumberIsOSError) {
  // As errno, 2 and 4 would be ENOENT and EINTR.
  for (const std::error_code code : {make_error_code(std::future_errc::promise_already_satisfied),
                                     make_error_code(std::future_errc::broken_promise)}) {
    const Thrown thrown = thrown_by(code);
    EXPECT_EQ(thrown.type, typeid(OSError));
    EXPECT_EQ(thrown.what, code.message());
    EXPECT_EQ(thrown.number, 0);
    EXPECT_EQ(thrown.code, code);
  }
}

TEST(OSErrorText, IsPythonsFollowedByWhatItWasAbout) {
  EXPECT_EQ(thrown_by(system_code(ECONNREFUSED)).what, "[Errno 111] Connection refused");
  EXPECT_EQ(thrown_by(system_code(ECONNREFUSED), "('127.0.0.1', 9)").what,
            "[Errno 111] Connection refused: ('127.0.0.1', 9)");
  EXPECT_EQ(thrown_by(system_code(EBADF)).what, "[Errno 9] Bad file descriptor");
  EXPECT_EQ(thrown_by(system_code(9999)).what, "[Errno 9999] Unknown error 9999");
  EXPECT_EQ(OSError(system_code(EBADF), "x").strerror(), "Bad file descriptor");
}

TEST(OSErrorText, LivesAsLongAsTheLastCopy) {
  OSError last(system_code(EBADF), "the last");
  {
    const OSError first(system_code(EPIPE), "the first");
    const OSError copy = first;
    EXPECT_STREQ(copy.what(), first.what());
    last = copy;
  }
  EXPECT_STREQ(last.what(), "[Errno 32] Broken pipe: the first");
  EXPECT_EQ(last.number(), EPIPE);
}

TEST(Timeouts, OfOursAndOfTheKernelAreOneClassOfTwoKinds) {
  const Thrown ours = thrown_by(timed_out());
  const Thrown kernels = thrown_by(system_code(ETIMEDOUT));
  EXPECT_EQ(ours.type, typeid(TimeoutError));
  EXPECT_EQ(kernels.type, typeid(TimeoutError));
  EXPECT_EQ(ours.what, "timed out");
  EXPECT_EQ(ours.number, 0);
  EXPECT_EQ(kernels.what, "[Errno 110] Connection timed out");
  EXPECT_EQ(kernels.number, ETIMEDOUT);
}

TEST(Timeouts, OfBothKindsEqualTheConditionAndNotEachOther) {
  EXPECT_EQ(timed_out(), std::errc::timed_out);
  EXPECT_EQ(system_code(ETIMEDOUT), std::errc::timed_out);
  EXPECT_NE(timed_out(), system_code(ETIMEDOUT));
  EXPECT_NE(timed_out(), std::errc::resource_unavailable_try_again);
  EXPECT_EQ(timed_out().category(), timeout_category());
  EXPECT_NE(timeout_category(), std::system_category());
}

TEST(ResolverErrors, AreNotMappedByTheSystemsNumbers) {
  // As errno, 2 would be ENOENT, 1 EPERM, and 11 EAGAIN.
  for (const int number : {-2, -3, -11, 1, 2, 3, 11}) {
    const Thrown gai = thrown_by({number, gai_category()});
    EXPECT_EQ(gai.type, typeid(gaierror)) << number;
    EXPECT_EQ(gai.number, number);
    const Thrown old = thrown_by({number, herror_category()});
    EXPECT_EQ(old.type, typeid(herror)) << number;
    EXPECT_EQ(old.number, number);
  }
  EXPECT_NE(std::error_code(-2, gai_category()), std::errc::no_such_file_or_directory);
  EXPECT_NE(std::error_code(2, herror_category()), std::errc::no_such_file_or_directory);
}

TEST(ResolverErrors, HaveTheResolversText) {
  EXPECT_EQ(thrown_by({-2, gai_category()}).what, "[Errno -2] Name or service not known");
  EXPECT_EQ(thrown_by({-2, gai_category()}, "host 'x'").what,
            "[Errno -2] Name or service not known: host 'x'");
  EXPECT_EQ(thrown_by({1, herror_category()}).what, "[Errno 1] Unknown host");
}

TEST(Errc, ThrowsThePythonClassOfEach) {
  const std::pair<Errc, std::type_index> table[] = {
      {Errc::negative_size, typeid(ValueError)},   {Errc::negative_fileno, typeid(ValueError)},
      {Errc::bad_option_length, typeid(OSError)},  {Errc::address_family, typeid(OSError)},
      {Errc::address_too_long, typeid(OSError)},   {Errc::embedded_nul, typeid(ValueError)},
      {Errc::bad_packed_address, typeid(OSError)}, {Errc::no_such_name, typeid(OSError)},
      {Errc::poisoned, typeid(OSError)},           {Errc::closed_file, typeid(ValueError)},
      {Errc::not_readable, typeid(OSError)},       {Errc::not_writable, typeid(OSError)},
      {Errc::bad_inet_aton, typeid(OSError)},      {Errc::bad_inet_pton, typeid(OSError)},
      {Errc::no_such_port, typeid(OSError)},       {Errc::no_such_protocol, typeid(OSError)},
      {Errc::no_such_interface, typeid(OSError)},  {Errc::several_addresses, typeid(OSError)},
      {Errc::no_addresses, typeid(OSError)},
  };
  for (const auto& [error, type] : table) {
    const Thrown thrown = thrown_by(error, "the value");
    EXPECT_EQ(thrown.type, type) << make_error_code(error).message();
    EXPECT_EQ(thrown.number, 0);
    EXPECT_EQ(thrown.what, make_error_code(error).message() + ": the value");
  }
}

TEST(Errc, HasATextForEachAndOneForNone) {
  std::vector<std::string> texts;
  for (int value = 1; value <= static_cast<int>(Errc::no_addresses); ++value) {
    const std::string text = make_error_code(static_cast<Errc>(value)).message();
    EXPECT_THAT(texts, ::testing::Not(::testing::Contains(text)));
    EXPECT_THAT(text, ::testing::Not(HasSubstr("unknown")));
    texts.push_back(text);
  }
  EXPECT_THAT(std::error_code(9999, plug_category()).message(), StartsWith("unknown"));
}

TEST(Errc, BecomesACodeOfItsOwnCategory) {
  const std::error_code code = Errc::embedded_nul;
  EXPECT_EQ(code.category(), plug_category());
  EXPECT_EQ(code, Errc::embedded_nul);
  EXPECT_NE(code, Errc::negative_size);
}

TEST(ThrowIf, DoesNothingWithoutAnError) {
  EXPECT_NO_THROW(throw_if({}));
  EXPECT_NO_THROW(throw_if({0, gai_category()}, "x"));
}

TEST(Categories, HaveDifferentNames) {
  EXPECT_STRNE(plug_category().name(), timeout_category().name());
  EXPECT_STRNE(gai_category().name(), herror_category().name());
  EXPECT_EQ(&gai_category(), &gai_category());
}

TEST(UnicodeDecodeErrorText, EqualsPythons) {
  const UnicodeDecodeError one("utf-8", 3, "invalid start byte", "\xff");
  EXPECT_STREQ(one.what(),
               "'utf-8' codec can't decode byte 0xff in position 3: invalid start byte");
  EXPECT_EQ(one.start(), 3u);
  const UnicodeDecodeError two("utf-8", 0, "unexpected end of data", "\xe2\x82");
  EXPECT_STREQ(two.what(),
               "'utf-8' codec can't decode bytes in position 0-1: unexpected end of data");
}

}  // namespace
}  // namespace plug
