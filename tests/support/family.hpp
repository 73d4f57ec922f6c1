#pragma once

// For tests of address families that not every kernel has.

#include <plug/family/addresses.hpp>
#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <system_error>

#include "support/blocked_thread.hpp"

/// The end of the message when a test of a family is skipped.
inline constexpr const char* kFamiliesElsewhere =
    ": scripts/test --families runs this in a machine that has it";

/// Returns true in the virtual machine that has all families: no test may be skipped there.
inline bool in_machine() { return std::getenv("PLUG_MACHINE") != nullptr; }

/// Tests sockets of one family, protocol and type. Skips if the kernel lacks them.
class FamilyTest : public testing::Test {
 protected:
  FamilyTest(plug::AF family, plug::SOCK type, plug::Protocol protocol = 0)
      : family_(family), type_(type), protocol_(protocol) {}

  void SetUp() override {
    try {
      plug::Socket sock(family_, type_, protocol_);
      prepare();
    } catch (const plug::OSError& error) {
      if (in_machine()) throw;
      GTEST_SKIP() << error.what() << kFamiliesElsewhere;
    }
  }

  /// Prepares everything else that the family needs. Throws OSError if it is missing.
  virtual void prepare() {}

  /// Returns a socket with a timeout of ten seconds.
  plug::Socket make() const { return make(type_); }
  plug::Socket make(plug::SOCK type) const {
    plug::Socket sock(family_, type, protocol_);
    sock.settimeout(10);
    return sock;
  }

 private:
  plug::AF family_;
  plug::SOCK type_;
  plug::Protocol protocol_;
};

/// Calls `send` while `receive` waits. Returns the result of `receive`.
template <class Receive, class Send>
auto meanwhile(Send send, Receive receive) {
  const OnceBlocked sender([&send] { send(); });
  return receive();
}
