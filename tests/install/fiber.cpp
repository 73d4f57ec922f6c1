// Fibers that throw and catch exceptions, those of plug and those of this program, on both sides of
// a switch.

#include <iostream>
#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/plug.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

struct OwnError : plug::OSError {
  using plug::OSError::OSError;
};

/// Leaves a frame with a buffer by an exception, for a sanitizer to check.
std::string leave_by_exception(plug::Socket& sock) {
  char room[256] = "caught ";
  try {
    sock.settimeout(0.001);
    sock.recv_into(room);
  } catch (const plug::TimeoutError&) {
    return std::string(room) + "TimeoutError";
  }
  return room;
}

std::string throw_in_another_fiber() {
  auto task = plug::fiber::spawn([] {
    plug::fiber::yield();
    throw OwnError(std::make_error_code(std::errc::io_error), "own");
  });
  try {
    task.join();
  } catch (const OwnError&) {
    return "caught OwnError";
  }
  return "";
}

std::string be_cancelled() {
  auto task = plug::fiber::spawn([] {
    try {
      plug::fiber::sleep(std::nullopt);
    } catch (const plug::CancelledError&) {
      return std::string("caught CancelledError");
    }
    return std::string();
  });
  plug::fiber::yield();
  task.cancel();
  return task.join();
}

}  // namespace

int main() {
  auto [near, far] = plug::socketpair();
  const std::string told =
      plug::fiber::run([sock = std::move(near), peer = std::move(far)]() mutable {
        auto answering = plug::fiber::spawn([&peer] { peer.sendall(peer.recv(1024)); });
        sock.sendall("hello from a fiber");
        std::string lines = sock.recv(1024) + "\n";
        lines += leave_by_exception(sock) + "\n";
        lines += throw_in_another_fiber() + "\n";
        lines += be_cancelled() + "\n";
        for (int i = 0; i < 100; ++i)
          plug::fiber::spawn([&peer] { leave_by_exception(peer); }).join();
        return lines;
      });
  std::cout << told;
  return told == "hello from a fiber\ncaught TimeoutError\ncaught OwnError\ncaught CancelledError\n"
             ? 0
             : 1;
}
