#pragma once

// The throwing form of a call whose other form sets an error code.

#include <plug/error.hpp>

#include <string_view>
#include <system_error>
#include <type_traits>

namespace plug::detail::base {

/// Throws the error. `about` is the text of the exception, or a function that returns the text or
/// throws another exception: about() or about(error).
template <class About>
[[gnu::always_inline]] inline void throw_with(const std::error_code& error, const About& about) {
  if constexpr (std::is_convertible_v<const About&, std::string_view>)
    throw_if(error, about);
  else if constexpr (std::is_invocable_v<const About&>)
    throw_if(error, about());
  else if constexpr (std::is_void_v<std::invoke_result_t<const About&, const std::error_code&>>)
    about(error);
  else
    throw_if(error, about(error));
}

/// Returns the result of call(error). If that sets an error, throws it as throw_with() does.
template <class Call, class About>
auto throwing(Call call, About about) {
  std::error_code error;
  if constexpr (std::is_void_v<decltype(call(error))>) {
    call(error);
    if (error) [[unlikely]]
      throw_with(error, about);
  } else {
    auto result = call(error);
    if (error) [[unlikely]]
      throw_with(error, about);
    return result;
  }
}

}  // namespace plug::detail::base
