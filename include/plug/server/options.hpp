#pragma once

// Options of servers, by name.
//
//   ThreadPoolTCPServer server({"127.0.0.1", 8000}, handler<Echo>,
//                              {.max_workers = 8, .max_connections = 100});
//   server.serve_until_signal({.drain = 10s});
//
// Each kind of server has an aggregate: BaseServerOptions here, ThreadingOptions,
// ThreadPoolOptions, ForkingOptions and FiberServerOptions beside their servers. Before it binds,
// the constructor assigns each given option to the attribute of the same name, which the server
// class or BaseServer describes. An option that is not given leaves its attribute as it is. C++
// requires the options in the order in which the aggregate declares them: first those of the kind
// of server, then those of BaseServerOptions.

#include <plug/constants.hpp>
#include <plug/detail/server_options.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// An option: a value for an attribute, or not given. Converts from anything that converts to T.
/// For a Timeout, std::nullopt is a value: no limit.
template <class T>
class Option {
 public:
  constexpr Option() = default;
  constexpr Option(T value) : value_(std::move(value)), given_(true) {}
  template <std::convertible_to<T> V>
  requires(!std::is_arithmetic_v<T> && !std::same_as<std::remove_cvref_t<V>, T> &&
           !std::same_as<std::remove_cvref_t<V>, Option>) constexpr Option(V&& value)
      : value_(std::forward<V>(value)), given_(true) {}

  /// Returns true if there is a value.
  [[nodiscard]] constexpr bool is_given() const noexcept { return given_; }
  /// Assigns the value, if given.
  constexpr void assign_to(T& attribute) const {
    if (given_) attribute = value_;
  }

 private:
  T value_{};
  bool given_ = false;
};

/// The options of servers that handle one request at a time. BaseServer describes the attributes.
struct BaseServerOptions {
  Option<Timeout> timeout{};
  /// Applies to a socket that the server creates. By default the family of the address.
  Option<AF> address_family{};
  Option<SOCK> socket_type{};
  Option<int> request_queue_size{};
  Option<bool> allow_reuse_address{};
  Option<bool> allow_reuse_port{};
  Option<int> max_connections{};
  Option<int> max_connections_per_address{};
  Option<int> ipv4_prefix_length{};
  Option<int> ipv6_prefix_length{};
  Option<Timeout> connection_timeout{};
  Option<Timeout> connection_lifetime{};
  /// For datagram servers; another server throws ValueError.
  Option<std::ptrdiff_t> max_packet_size{};
  /// If false, the caller calls server_bind() and server_activate().
  bool bind_and_activate = true;
};

/// The options of serve_until_signal().
struct UntilSignalOptions {
  /// How long requests that are being handled, or wait in a pool's queue, may continue: zero ends
  /// them at once, std::nullopt sets no limit.
  Timeout drain = 0;
  /// The poll_interval of serve_forever().
  Timeout poll_interval = 0.5;
  /// The signals that end serving: by default SIGINT and SIGTERM.
  std::vector<int> signals = {2, 15};
};

}  // namespace plug

#pragma GCC visibility pop
