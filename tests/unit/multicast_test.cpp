// Tests multicast groups in a private network, which no other host receives.

#include <plug/family/multicast.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>

#include "support/errors.hpp"
#include "support/namespaces.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

using testing::HasSubstr;

constexpr const char* kInterface = "m0";

struct Kind {
  AF family;
  std::string group;
  std::string other;
  std::string host;    ///< an address of this host
  std::string absent;  ///< an unused address in the network
};

class Multicast : public testing::TestWithParam<Kind> {
 protected:
  /// Returns a socket on a free port that sends to groups through `interface`.
  Socket make(const char* interface = kInterface) const {
    Socket sock(GetParam().family, SOCK::DGRAM);
    sock.settimeout(10);
    sock.bind({"", 0});
    set_multicast_interface(sock, interface);
    return sock;
  }

  /// Returns the address of the group on the port of `sock`.
  HostPort group_at(const Socket& sock, const std::string& group) const {
    const bool six = GetParam().family == AF::INET6;
    return HostPort(group, sock.getsockname().port(), 0,
                    six ? static_cast<std::uint32_t>(if_nametoindex(kInterface)) : 0);
  }

  /// Runs `body` in a private network with an interface m0 that supports multicast and receives its
  /// own datagrams.
  void in_network(const std::function<void()>& body) const {
    const int status = run_in_namespaces({}, true, [&] {
      for (const std::string command :
           {"link add m0 type veth peer name m1", "link set m0 up", "link set m1 up",
            "address add 10.77.0.7/24 dev m0", "address add fd77::7/64 dev m0 nodad",
            "address add 10.77.0.8/24 dev m0", "address add fd77::8/64 dev m0 nodad"}) {
        int done = -1;
        run_program({"sh", "-c", "ip " + command + " 2>&1"}, done);
        if (done != 0) return kNoNamespaces;
      }
      body();
      return HasFailure() ? 1 : 0;
    });
    if (status == kNoNamespaces)
      GTEST_SKIP() << "needs a network of its own with a veth, which root may make";
    EXPECT_EQ(status, 0);
  }

  const Kind& kind_ = GetParam();
};

TEST_P(Multicast, IsReceivedByWhoHasJoined) {
  in_network([&] {
    Socket member = make();
    Socket sender = make();
    join_group(member, kind_.group, kInterface);
    sender.sendto("hello", group_at(member, kind_.group));
    EXPECT_EQ(member.recv(100), "hello");
  });
}

TEST_P(Multicast, IsNoLongerReceivedByWhoHasLeft) {
  in_network([&] {
    Socket member = make();
    Socket sender = make();
    join_group(member, kind_.group, kInterface);
    join_group(member, kind_.other, kInterface);
    leave_group(member, kind_.group, kInterface);
    sender.sendto("gone", group_at(member, kind_.group));
    sender.sendto("here", group_at(member, kind_.other));
    EXPECT_EQ(member.recv(100), "here");
  });
}

TEST_P(Multicast, IsReceivedFromTheSourceThatWasJoinedAlone) {
  in_network([&] {
    Socket member = make();
    Socket sender = make();
    join_group(member, kind_.other, kInterface);
    join_group(member, kind_.group, kInterface, kind_.absent);
    sender.sendto("of another", group_at(member, kind_.group));
    sender.sendto("to the other", group_at(member, kind_.other));
    EXPECT_EQ(member.recv(100), "to the other");
    leave_group(member, kind_.group, kInterface, kind_.absent);
    join_group(member, kind_.group, kInterface, kind_.host);
    Socket known(kind_.family, SOCK::DGRAM);
    known.bind({kind_.host, 0});
    set_multicast_interface(known, kInterface);
    known.sendto("of the source", group_at(member, kind_.group));
    EXPECT_EQ(member.recv(100), "of the source");
  });
}

TEST_P(Multicast, OfABlockedSourceIsDropped) {
  in_network([&] {
    Socket member = make();
    Socket known(kind_.family, SOCK::DGRAM);
    known.bind({kind_.host, 0});
    set_multicast_interface(known, kInterface);
    join_group(member, kind_.group, kInterface);
    join_group(member, kind_.other, kInterface);
    block_source(member, kind_.group, kind_.host, kInterface);
    known.sendto("blocked", group_at(member, kind_.group));
    known.sendto("open", group_at(member, kind_.other));
    EXPECT_EQ(member.recv(100), "open");
    unblock_source(member, kind_.group, kind_.host, kInterface);
    known.sendto("again", group_at(member, kind_.group));
    EXPECT_EQ(member.recv(100), "again");
  });
}

TEST_P(Multicast, IsNotHeardHereWithoutTheLoop) {
  in_network([&] {
    Socket member = make();
    Socket sender = make();
    join_group(member, kind_.group, kInterface);
    EXPECT_TRUE(multicast_loop(sender));
    set_multicast_loop(sender, false);
    EXPECT_FALSE(multicast_loop(sender));
    sender.sendto("unheard", group_at(member, kind_.group));
    set_multicast_loop(sender, true);
    sender.sendto("heard", group_at(member, kind_.group));
    EXPECT_EQ(member.recv(100), "heard");
  });
}

TEST_P(Multicast, MakesOneHopUnlessToldOtherwise) {
  Socket sock = make("lo");
  EXPECT_EQ(multicast_ttl(sock), 1);
  set_multicast_ttl(sock, 255);
  EXPECT_EQ(multicast_ttl(sock), 255);
  set_multicast_ttl(sock, 0);
  EXPECT_EQ(multicast_ttl(sock), 0);
  EXPECT_THAT(text_of_error<OverflowError>([&] { set_multicast_ttl(sock, 256); }),
              HasSubstr("256"));
  EXPECT_THROW(set_multicast_ttl(sock, -1), OverflowError);
}

TEST_P(Multicast, RefusesWhatIsNoGroupAndNamesIt) {
  Socket sock = make("lo");
  std::error_code error;
  for (const std::string text : {"", "x", "127.0.0.1", "::1", "239.1.2", "1.2.3.4", "ff02::g"}) {
    EXPECT_THAT(text_of_error<ValueError>([&] { join_group(sock, text, "lo"); }),
                HasSubstr("'" + text + "'"));
    EXPECT_THROW(leave_group(sock, text, "lo", "", error), ValueError);
  }
  EXPECT_THROW(join_group(sock, kind_.family == AF::INET ? "ff02::1" : "239.1.2.3"), ValueError);
  EXPECT_THAT(text_of_error<ValueError>([&] { join_group(sock, kind_.group, "lo", "nobody"); }),
              HasSubstr("'nobody'"));
  EXPECT_THROW(block_source(sock, kind_.group, ""), ValueError);
}

TEST_P(Multicast, FailsAsTheSystemDoesAndNamesTheGroup) {
  Socket sock = make("lo");
  EXPECT_THAT(text_of_error<OSError>([&] { join_group(sock, kind_.group, "no-such-if"); }),
              HasSubstr("No such device: join " + kind_.group + " on 'no-such-if'"));
  EXPECT_EQ(number_of_error([&] { set_multicast_interface(sock, "no-such-if"); }), ENODEV);
  EXPECT_EQ(number_of_error([&] { leave_group(sock, kind_.group, "lo"); }), EADDRNOTAVAIL);
  join_group(sock, kind_.group, "lo");
  EXPECT_EQ(number_of_error([&] { join_group(sock, kind_.group, "lo"); }), EADDRINUSE);
  std::error_code error;
  join_group(sock, kind_.group, "lo", "", error);
  EXPECT_EQ(error.value(), EADDRINUSE);
  Socket closed(kind_.family, SOCK::DGRAM);
  closed.close();
  EXPECT_THROW(join_group(closed, kind_.group), std::exception);
}

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.group; }

INSTANTIATE_TEST_SUITE_P(
    Ip, Multicast,
    testing::Values(Kind{AF::INET, "239.255.7.1", "239.255.7.2", "10.77.0.7", "10.77.0.9"},
                    Kind{AF::INET6, "ff15::7:1", "ff15::7:2", "fd77::7", "fd77::9"}),
    [](const auto& kind) { return kind.param.family == AF::INET ? "IPv4" : "IPv6"; });

TEST(MulticastOfAnotherFamily, IsRefused) {
  Socket sock(AF::UNIX, SOCK::DGRAM);
  EXPECT_THROW(join_group(sock, "239.1.2.3"), ValueError);
  EXPECT_THROW(set_multicast_ttl(sock, 1), ValueError);
}

}  // namespace
}  // namespace plug
