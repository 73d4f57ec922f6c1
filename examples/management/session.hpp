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

/// Holds a conversation in the management protocol with the client at `conn` until that ends it.
/// `log` gets one line for each command and what became of it.
///
/// Throws OSError when the connection breaks or the client is silent for longer than the time-out,
/// EOFError when it ends inside a command or a file. What a broken transfer had received is gone.
/// Any number may run at once, in threads or processes.
void serve_session(plug::Socket& conn, const SessionOptions& options,
                   const std::function<void(const std::string&)>& log);

}  // namespace management
