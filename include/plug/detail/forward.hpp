#pragma once

// The classes of the implementation to which public classes refer. They are defined in src/.

#include <plug/detail/cpp20.hpp>

namespace plug::detail::address {

struct AddressAccess;

}  // namespace plug::detail::address

namespace plug::detail::base {

struct TimeoutAccess;

}  // namespace plug::detail::base

namespace plug::detail::fiber {

struct FiberAccess;
class FiberGroup;
struct FiberLimit;
class FiberScheduler;

}  // namespace plug::detail::fiber

namespace plug::detail::select {

struct FileAccess;
class SelectorImpl;

}  // namespace plug::detail::select

namespace plug::detail::server {

struct ServerAccess;
class ServerLoop;

}  // namespace plug::detail::server

namespace plug::detail::socket {

struct AncillaryAccess;
struct BatchAccess;
struct SocketAccess;
class SocketState;

}  // namespace plug::detail::socket

namespace plug::detail::stream {

struct StreamAccess;

}  // namespace plug::detail::stream

namespace plug::detail::sync {

struct SyncAccess;

}  // namespace plug::detail::sync

namespace plug::detail::wait {

class Descriptor;
class WaitNode;

}  // namespace plug::detail::wait
