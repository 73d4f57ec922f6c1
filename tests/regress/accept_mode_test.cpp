// A duplicate shares the blocking mode of its descriptor and may change it. The timeout of the
// original socket must apply nevertheless.

#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <tuple>

#include <unistd.h>

#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

/// Runs `body` in a child process. An alarm ends the child if it hangs.
int run_bounded(const std::function<int()>& body) {
  return run_in_child([&] {
    ::alarm(20);
    return body();
  });
}

TEST(AcceptWithATimeout, EndsThoughADuplicateSwitchedTheDescriptorToBlocking) {
  EXPECT_EQ(run_bounded([] {
              Socket listener = tcp_listener();
              listener.settimeout(0.01);
              listener.dup().settimeout(std::nullopt);
              try {
                std::ignore = listener.accept();
              } catch (const TimeoutError&) {
                return 0;
              }
              return 1;
            }),
            0);
}

TEST(AcceptWithoutWaiting, DoesNotWaitThoughADuplicateSwitchedTheDescriptorToBlocking) {
  EXPECT_EQ(run_bounded([] {
              Socket listener = tcp_listener();
              listener.setblocking(false);
              listener.dup().settimeout(std::nullopt);
              try {
                std::ignore = listener.accept();
              } catch (const BlockingIOError&) {
                return 0;
              }
              return 1;
            }),
            0);
}

TEST(AcceptWithATimeout, StillTakesWhoIsThere) {
  Socket listener = tcp_listener();
  listener.settimeout(20);
  listener.dup().settimeout(std::nullopt);
  Socket client;
  client.connect(listener.getsockname());
  EXPECT_EQ(listener.accept().second, client.getsockname());
}

TEST(TransferWithATimeout, EndsThoughADuplicateSwitchedTheDescriptorToBlocking) {
  EXPECT_EQ(run_bounded([] {
              auto [sock, peer] = socketpair();
              sock.settimeout(0.01);
              sock.dup().settimeout(std::nullopt);
              int ended = 0;
              const std::string much(8 << 20, 'x');
              try {
                sock.recv(1);
              } catch (const TimeoutError&) {
                ++ended;
              }
              try {
                sock.sendall(much);
              } catch (const TimeoutError&) {
                ++ended;
              }
              return ended == 2 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace plug
