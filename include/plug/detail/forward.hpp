#pragma once

// The classes of the implementation to which public classes refer. They are defined in src/.

#include <plug/detail/cpp20.hpp>

namespace plug::detail {

struct AddressAccess;
struct AncillaryAccess;
struct BatchAccess;
class Descriptor;
class FiberGroup;
struct FiberLimit;
struct FileAccess;
class FiberScheduler;
class SelectorImpl;
struct ServerAccess;
class ServerLoop;
struct SocketAccess;
class SocketState;
struct StreamAccess;
struct SyncAccess;
struct TimeoutAccess;
class WaitNode;

}  // namespace plug::detail
