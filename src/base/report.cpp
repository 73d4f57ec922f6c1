#include "base/report.hpp"

#include <exception>
#include <string>
#include <typeinfo>

#include "sys/process.hpp"

namespace plug::detail::base {

void report_exception(std::string_view what) noexcept {
  try {
    const std::string line(40, '-');
    std::string text = line + "\n" + std::string(what) + "\n";
    try {
      throw;
    } catch (const std::exception& error) {
      text += sys::type_name(typeid(error)) + ": " + error.what();
    } catch (...) {
      const std::type_info* const type = sys::current_exception_type();
      text += type == nullptr ? "an exception of another language" : sys::type_name(*type);
    }
    text += "\n" + line + "\n";
    sys::write_error(text.data(), text.size());
  } catch (...) {
    constexpr std::string_view kShort = "an exception, and no memory to describe it\n";
    sys::write_error(kShort.data(), kShort.size());
  }
}

}  // namespace plug::detail::base
