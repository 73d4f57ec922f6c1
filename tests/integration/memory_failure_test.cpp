// Makes each allocation of an operation fail in turn: nothing leaks, nothing is lost, and existing
// objects stay usable.

#include <plug/plug.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/allocations.hpp"
#include "support/connected_pair.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

/// Calls `work` with its first allocation failing, then with its second, and so on until no
/// allocation is left. Calls `check` after each. `work` must throw std::bad_alloc or nothing.
void fail_each_allocation(const std::function<void()>& work, const std::function<void()>& check) {
  std::size_t failed = 0;
  for (bool reached = true; reached; ++failed) {
    bool thrown = false;
    allocations = {};
    allocations.failing = failed + 1;
    try {
      work();
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    reached = allocations.count >= allocations.failing;
    allocations = {};
    SCOPED_TRACE("allocation " + std::to_string(failed + 1));
    EXPECT_TRUE(thrown || !reached) << "swallowed";
    check();
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  EXPECT_GT(failed, 1u) << "nothing was allocated";
}

/// Creates and destroys all kinds of objects of the library.
void converse() {
  Socket listener = create_server({"127.0.0.1", 0});
  Socket sock = create_connection({"127.0.0.1", listener.getsockname().port()});
  auto [conn, peer] = listener.accept();
  EXPECT_EQ(peer, sock.getsockname());
  conn.settimeout(5);
  sock.setsockopt(SOL::SOCKET, SO::KEEPALIVE, 1);
  sock.sendall("a line that is too long for a small string\nanother\n");
  {
    File file = conn.makefile("rw");
    EXPECT_EQ(file.readline(), "a line that is too long for a small string\n");
    EXPECT_EQ(file.readlines(1).size(), 1u);
    file.write("an answer");
    file.flush();
  }
  EXPECT_EQ(sock.recv(100), "an answer");
  Framer sender(sock, Delimiter{"\r\n"});
  Framer receiver(conn, Delimiter{"\r\n"});
  sender.send("a message that is too long for a small string");
  EXPECT_EQ(receiver.recv()->size(), 45u);
  const Socket copy = conn.dup();
  EXPECT_FALSE(to_string(copy).empty());
  const auto [first, second] = socketpair();
  EXPECT_FALSE(getaddrinfo("127.0.0.1", 80).empty());
  EXPECT_EQ(inet_ntoa(inet_aton("127.0.0.1")), "127.0.0.1");
}

TEST(MemoryFailure, OfAConversationLeaksNoDescriptor) {
  converse();
  const int before = settled_descriptors();
  fail_each_allocation(converse, [&] { EXPECT_EQ(settled_descriptors(), before); });
}

template <class AnyServer>
void open_and_end() {
  const AnyServer server({"127.0.0.1", 0}, [](Request&, const Address&, BaseServer&) {});
}

TEST(MemoryFailure, WhileServersOpenAndEndIsAnExceptionAtMost) {
  const int before = settled_descriptors();
  const auto check = [&] { EXPECT_EQ(settled_descriptors(), before); };
  fail_each_allocation(open_and_end<TCPServer>, check);
  fail_each_allocation(open_and_end<ThreadingTCPServer>, check);
  fail_each_allocation(open_and_end<ThreadPoolTCPServer>, check);
  fail_each_allocation(open_and_end<ForkingTCPServer>, check);
}

TEST(MemoryFailure, OfAnErrorsTextLeavesTheSocketUsable) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  const auto fail = [](const std::function<void()>& call) {
    try {
      call();
      ADD_FAILURE();
    } catch (const OSError& error) {
      EXPECT_NE(error.what(), nullptr);
    } catch (const ValueError& error) {
      EXPECT_NE(error.what(), nullptr);
    }
  };
  const auto errors = [&] {
    char room[4];
    fail([&] { pair.sock.recv(10); });
    fail([&] { pair.sock.recv(-1); });
    fail([&] { pair.sock.recvmsg_into({room}, -1); });
    fail([&] { pair.sock.bind(UnixAddress{"/no such folder/and no such socket"}); });
    fail([&] { pair.sock.connect({"127.0.0.1", 1}); });
    fail([&] { Socket(Fileno{-1}); });
    fail([&] { Socket(AF{250}); });
    fail([&] { pair.sock.getsockopt(SOL::SOCKET, SO::TYPE, 5000); });
    fail([&] { Address::parse("no address"); });
  };
  fail_each_allocation(errors, [&] {
    pair.peer.sendall("x");
    EXPECT_EQ(pair.sock.recv(1), "x");
  });
}

TEST(MemoryFailure, LosesAndRepeatsNoLine) {
  struct Case {
    std::string mode, encoding, errors, sent, read;
  };
  const std::string line = "a line that is too long for a small string: ";
  const Case cases[] = {{"rb", "utf-8", "strict", "\xc3\xa9", "\xc3\xa9"},
                        {"r", "utf-8", "strict", "\xc3\xa9", "\xc3\xa9"},
                        {"r", "utf-8", "replace", "\xe9 \xe9", "\xef\xbf\xbd \xef\xbf\xbd"},
                        {"r", "latin-1", "strict", "\xe9", "\xc3\xa9"},
                        {"r", "cp1252", "strict", "\xe9", "\xc3\xa9"}};
  for (const Case& each : cases) {
    SCOPED_TRACE(each.mode + " " + each.encoding + " " + each.errors);
    std::string sent, expected, got;
    for (int i = 0; i < 400; ++i) {  // larger than a buffer
      sent += line + each.sent + std::to_string(i) + "\n";
      expected += line + each.read + std::to_string(i) + "\n";
    }
    ConnectedPair pair;
    pair.finish(sent);
    File file = pair.sock.makefile(each.mode, {.encoding = each.encoding, .errors = each.errors});
    // A different allocation fails each time.
    for (std::size_t failing = 1;; failing = failing % 4 + 1) {
      allocations = {};
      allocations.failing = failing;
      try {
        const std::string one = file.readline();
        allocations = {};
        if (one.empty()) break;
        got += one;
      } catch (const std::bad_alloc&) {
        allocations = {};
      }
    }
    EXPECT_TRUE(got == expected) << got.size() << " of " << expected.size();
  }
}

TEST(MemoryFailure, LosesNoMessageOfAFramer) {
  const std::vector<std::size_t> sizes = {100, 20, 70'000, 300'000, 17'000, 50};
  for (const Framing& framing : {Framing(LengthPrefix{}), Framing(VarintPrefix{}),
                                 Framing(Delimiter{"\n"}), Framing(Delimiter{"\r\n", ";"})}) {
    SCOPED_TRACE(framing.index());
    ConnectedPair pair;
    std::thread sender([&] {
      Framer framer(pair.peer, framing);
      for (const std::size_t size : sizes) framer.send(Bytes(size, 'x'));
    });
    Framer framer(pair.sock, framing);
    for (const std::size_t size : sizes) {
      std::optional<Bytes> message;
      for (std::size_t failing = 1; !message; ++failing) {
        allocations = {};
        allocations.failing = failing;
        try {
          message = framer.recv();
        } catch (const std::bad_alloc&) {
        }
      }
      allocations = {};
      EXPECT_EQ(message->size(), size);
    }
    sender.join();
  }
}

TEST(MemoryFailure, LosesNoBufferedWrite) {
  ConnectedPair pair;
  File file = pair.sock.makefile("w", {.newline_ = "\r\n"});
  fail_each_allocation([&] { file.write("a line that is too long for a small string\n"); }, [] {});
  fail_each_allocation([&] { File other = pair.sock.makefile("rw"); }, [] {});
  file.flush();
  EXPECT_EQ(pair.peer.recv(100), "a line that is too long for a small string\r\n");
}

}  // namespace
}  // namespace plug
