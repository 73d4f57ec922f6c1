#pragma once

#include <plug/socket.hpp>
#include <plug/stream.hpp>

#include <memory>
#include <string_view>

#include "socket/state.hpp"

namespace plug::detail::stream {

/// Makes and ends files in ways that the public interface does not offer.
struct StreamAccess {
  static File make_file(std::shared_ptr<socket::SocketState> state, std::string_view mode,
                        const FileOptions& options);
  /// Makes a binary file without a buffer, each of whose writes sends all of its data.
  static File make_whole_writer(Socket& sock);
  static File closed_file() noexcept;
  /// Closes a file and discards the data that it has still to write.
  static void drop(File& file) noexcept;
};

}  // namespace plug::detail::stream
