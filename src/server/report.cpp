#include "server/report.hpp"

#include <new>
#include <string>

namespace plug::detail::server {

void report_request_exception(std::string_view what, const Address& client_address) noexcept {
  std::string text;
  try {
    text = std::string(what) + " " + to_string(client_address);
  } catch (const std::bad_alloc&) {
    return base::report_exception(what);
  }
  base::report_exception(text);
}

}  // namespace plug::detail::server
