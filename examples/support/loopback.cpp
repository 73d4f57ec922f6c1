#include "support/loopback.hpp"

#include <CLI/CLI.hpp>

namespace lesson {
namespace {

bool is_loopback(const plug::Address& address) {
  const std::string host = address.host();
  return host == "::1" || host.starts_with("127.") || host.starts_with("::ffff:127.");
}

}  // namespace

void add_i_know(CLI::App& app, bool& i_know) {
  app.add_flag("--i-know", i_know, "listen on other addresses than loopback too");
}

plug::AddrInfo look_up_loopback(const Endpoint& endpoint, bool i_know, std::string_view danger) {
  plug::AddrInfo info = look_up(endpoint, plug::SOCK::STREAM);
  if (!i_know && !is_loopback(info.sockaddr)) {
    throw plug::ValueError(to_string(info.sockaddr) + " is not a loopback address, and " +
                           std::string(danger) + "; --i-know allows it");
  }
  return info;
}

plug::Socket listen_on_loopback(const Endpoint& endpoint, bool i_know, std::string_view danger) {
  return listen_at(look_up_loopback(endpoint, i_know, danger));
}

}  // namespace lesson
