// Tests rare answers of the system, and the arguments of plug's calls. This program replaces
// getaddrinfo(), getnameinfo(), connect(), accept4() and recv() of the C library.

#include <plug/error.hpp>
#include <plug/resolve.hpp>
#include <plug/socket.hpp>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace {

bool broken = false;  // makes the resolver fail
std::vector<sockaddr_in6> connected;
int interruptions = 0;  // calls of accept4() and recv() that still fail with EINTR

template <class Function>
Function* libc(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (broken) return EAI_SYSTEM;
  return libc<decltype(getaddrinfo)>("getaddrinfo")(host, service, hints, found);
}

extern "C" int getnameinfo(const sockaddr* address, socklen_t size, char* host, socklen_t host_size,
                           char* service, socklen_t service_size, int flags) {
  if (broken) return EAI_SYSTEM;
  return libc<decltype(getnameinfo)>("getnameinfo")(address, size, host, host_size, service,
                                                    service_size, flags);
}

extern "C" int connect(int fd, const sockaddr* address, socklen_t size) {
  if (address->sa_family == AF_INET6 && size == sizeof(sockaddr_in6)) {
    connected.emplace_back();
    std::memcpy(&connected.back(), address, size);
  }
  return static_cast<int>(::syscall(SYS_connect, fd, address, size));
}

extern "C" int accept4(int fd, sockaddr* __restrict address, socklen_t* __restrict size,
                       int flags) {
  if (interruptions > 0) {
    --interruptions;
    errno = EINTR;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_accept4, fd, address, size, flags));
}

extern "C" ssize_t recv(int fd, void* data, std::size_t size, int flags) {
  if (interruptions > 0) {
    --interruptions;
    errno = EINTR;
    return -1;
  }
  return ::syscall(SYS_recvfrom, fd, data, size, flags, nullptr, nullptr);
}

namespace plug {
namespace {

class BrokenResolver : public testing::Test {
 protected:
  void SetUp() override {
    broken = true;
    errno = 0;
  }
  void TearDown() override { broken = false; }
};

TEST_F(BrokenResolver, IsAnErrorAlsoWhereItSaysNoNumber) {
  std::error_code error;
  EXPECT_TRUE(getaddrinfo("name.invalid", 80, AF::UNSPEC, SOCK{}, 0, AI{}, error).empty());
  EXPECT_EQ(error, std::error_code(EAI_SYSTEM, gai_category()));
  EXPECT_THROW(getaddrinfo("name.invalid", 80), gaierror);
  EXPECT_THROW(gethostbyname("name.invalid"), gaierror);
  EXPECT_THROW(std::ignore = create_connection({"name.invalid", 80}), gaierror);
  getnameinfo(Address::parse("127.0.0.1:80"), NI{}, error);
  EXPECT_EQ(error, std::error_code(EAI_SYSTEM, gai_category()));
  errno = EBADF;  // left over from an earlier call
  EXPECT_THROW(getaddrinfo("name.invalid", 80), gaierror);
  errno = EBADF;
  EXPECT_THROW(getnameinfo(Address::parse("127.0.0.1:80"), NI{}), gaierror);
}

TEST(SeveralInterruptions, DelayNoConnectionThatIsThere) {
  Socket listener = tcp_listener();
  listener.settimeout(20);
  Socket client(AF::INET);
  client.connect(listener.getsockname());
  interruptions = 4;
  std::error_code error;
  std::ignore = listener.accept(error);
  EXPECT_FALSE(error) << error.message();
  EXPECT_EQ(interruptions, 0);
}

TEST(SeveralInterruptions, DelayNoDataThatIsThere) {
  auto [reader, writer] = socketpair();
  reader.settimeout(20);
  reader.setsockopt(SOL::SOCKET, SO::RCVLOWAT, 2);
  writer.sendall("ab");
  interruptions = 4;
  std::error_code error;
  EXPECT_EQ(reader.recv(2, error), "ab");
  EXPECT_FALSE(error) << error.message();
  EXPECT_EQ(interruptions, 0);
}

TEST(UnixNames, AreReturnedInFullByGetnameinfo) {
  for (const std::size_t size : {std::size_t{31}, std::size_t{32}, std::size_t{107}}) {
    const std::string path = "/" + std::string(size - 1, 'p');
    EXPECT_EQ(getnameinfo(UnixAddress(path), NI::NUMERICHOST).second, path);
  }
  const std::string full = "/" + std::string(107, 'p');
  const Address address = Address::from_bytes(std::string("\1\0", 2) + full);
  EXPECT_EQ(getnameinfo(address, NI::NUMERICHOST).second, full);
}

TEST(UnixNames, OfAllThatThePathHasRoomForAreUsedAndReadBack) {
  const TemporaryDirectory directory;
  Socket sock(AF::UNIX, SOCK::DGRAM);
  sockaddr_un full{};
  full.sun_family = AF_UNIX;
  std::string path = directory.path() + "/";
  path.append(sizeof full.sun_path - path.size(), 'p');
  std::memcpy(full.sun_path, path.data(), path.size());
  ASSERT_EQ(::bind(sock.fileno(), reinterpret_cast<const sockaddr*>(&full), sizeof full), 0);
  const Address name = sock.getsockname();
  EXPECT_EQ(name.path(), path);
  EXPECT_EQ(Address::parse(name.text()), name);
  Socket peer(AF::UNIX, SOCK::DGRAM);
  peer.sendto("x", name);
  peer.connect(Address::parse(name.text()));
  peer.sendall("y");
  EXPECT_EQ(sock.recv(1), "x");
  EXPECT_EQ(sock.recv(1), "y");
}

TEST(CreateConnection, ConnectsToTheScopeAndTheFlowThatAreGiven) {
  Socket server;
  try {
    server = create_server({"::1", 0}, {.family = AF::INET6});
  } catch (const OSError& error) {
    GTEST_SKIP() << "no IPv6 here: " << error.what();
  }
  const int port = server.getsockname().port();
  for (const Timeout timeout : {Timeout(), Timeout(30), Timeout(0)}) {
    connected.clear();
    std::error_code error;
    std::ignore = create_connection({"::1", port, 0x12345, 1}, {.timeout = timeout}, error);
    ASSERT_FALSE(connected.empty());  // in a fiber, plug calls connect() again for the result
    EXPECT_EQ(ntohl(connected[0].sin6_flowinfo), 0x12345u);
    EXPECT_EQ(connected[0].sin6_scope_id, 1u);
  }
  connected.clear();
  std::ignore =
      create_connection({"::1", port, 0, 7}, ConnectOptions{.happy_eyeballs_delay = 0.25});
  ASSERT_FALSE(connected.empty());
  EXPECT_EQ(connected[0].sin6_scope_id, 7u);
}

}  // namespace
}  // namespace plug
