#pragma once

// Server<T>, which opens and closes a server of your class T.

#include <plug/detail/server_arguments.hpp>
#include <plug/server/base.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

/// Opens a server of your class T once T is constructed, and closes it before any part of T is
/// destroyed (see "Subclasses" in plug/socketserver.hpp). Its constructor arguments are those of T:
///
///   Server<T> server(address, handler);                 T(address, handler, false)
///   Server<T> server(address, handler, false);          the same, but not opened
///   Server<T> server(address, handler, true, more...);  T(address, handler, false, more...)
///   Server<T> server(address, handler, options);        T(address, handler, false), with options
///   Server<T> server(anything...);                      T(anything...)
///
/// T must pass this false on to its base class. A T without such a parameter must pass the literal
/// false to its base class. Exceptions of T and its hooks propagate. Throws RuntimeError if T
/// opened the server itself.
template <std::derived_from<BaseServer> T>
class Server final : public T {
 public:
  template <class... More>
  requires detail::takes_bind_flag<T, More...> Server(ServerAddress address, HandlerFactory handler,
                                                      bool bind_and_activate = true, More&&... more)
      : T(std::move(address), std::move(handler), detail::DontBind{}, std::forward<More>(more)...) {
    this->complete(bind_and_activate);
  }

  template <class... More>
  requires detail::TakesNoBindFlag<T, More...> Server(ServerAddress address, HandlerFactory handler,
                                                      More&&... more)
      : T(std::move(address), std::move(handler), std::forward<More>(more)...) {
    this->complete(true);
  }

  template <class... More>
  requires detail::takes_bind_flag<T, More...> Server(ServerAddress address, HandlerFactory handler,
                                                      const typename T::Options& options,
                                                      More&&... more)
      : T(std::move(address), std::move(handler), detail::DontBind{}, std::forward<More>(more)...) {
    this->set_attributes(options);
    this->complete(options.bind_and_activate);
  }

  template <class... More>
  requires detail::TakesNoBindFlag<T, More...> Server(ServerAddress address, HandlerFactory handler,
                                                      const typename T::Options& options,
                                                      More&&... more)
      : T(std::move(address), std::move(handler), std::forward<More>(more)...) {
    this->set_attributes(options);
    this->complete(options.bind_and_activate);
  }

  template <class... Any>
  requires(!detail::begin_as_server_arguments<Any...> &&
           std::is_constructible_v<T, Any...>) explicit Server(Any&&... any)
      : T(std::forward<Any>(any)...) {
    this->complete(true);
  }

  ~Server() override { this->end(); }
};

}  // namespace plug

#pragma GCC visibility pop
