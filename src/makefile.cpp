#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <cerrno>

#include "socket_state.hpp"

namespace plug {

File Socket::makefile(std::string_view mode, const FileOptions& options) {
  if (fileno() < 0) throw_if({EBADF, std::system_category()}, "makefile of a closed socket");
  return detail::SocketAccess::make_file(state_, mode, options);
}

}  // namespace plug
