#pragma once

#include <plug/plug.hpp>

#include <cstdint>
#include <functional>
#include <string>

#include "support/codec.hpp"

namespace management {

struct SessionOptions {
  std::string root;                                 ///< the directory that is served
  lesson::Codec codec{"utf-8"};                     ///< "utf-8" or "gbk"
  std::uint64_t max_size = std::uint64_t{1} << 40;  ///< bytes of a file
  plug::Timeout timeout = 300;                      ///< the longest wait for a silent client
};

/// Serves the client at `conn` until it ends the conversation. Calls `log` with a line for each
/// command and its result.
///
/// Throws OSError if the connection breaks or the client is silent for longer than the timeout, and
/// EOFError if the stream ends inside a command or a file. An incomplete file is removed. Several
/// sessions may run at the same time, in threads or processes.
void serve_session(plug::Socket& conn, const SessionOptions& options,
                   const std::function<void(const std::string&)>& log);

}  // namespace management
