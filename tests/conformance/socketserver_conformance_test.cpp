// The scenarios of CPython's test_socketserver, under the same names. docs/conformance.md has the
// table.

#include <plug/fiber/server.hpp>
#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <deque>
#include <fstream>
#include <future>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/blocked_thread.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

const ServerAddress kAnyPort{"127.0.0.1", 0};
const std::string kHello = "hello world\n";

// --- all servers ---

template <class Base>
struct LineBack : Base {
  void handle() override { this->wfile.write(this->rfile.readline()); }
};

/// Lets an error of a request end the server.
template <class Base>
struct Raising : Base {
  using Base::Base;
  void handle_error(Request& request, const Address&) override {
    this->close_request(request);
    throw;
  }
};

/// A child process that the servers must not touch: at the end somebody must still be able to wait
/// for it.
class OtherChild {
 public:
  OtherChild() : pid_(fork()) {
    if (pid_ == 0) _exit(72);
  }
  OtherChild(const OtherChild&) = delete;
  OtherChild& operator=(const OtherChild&) = delete;
  ~OtherChild() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(WEXITSTATUS(status), 72);
  }

 private:
  pid_t pid_;
};

struct Idle : StreamRequestHandler {
  void handle() override {}
};

class SocketServerTest : public testing::Test {
 protected:
  template <class S>
  void run() {
    constexpr bool kDatagrams = std::is_base_of_v<UDPServer, S>;
    constexpr bool kUnix =
        std::is_base_of_v<UnixStreamServer, S> || std::is_base_of_v<UnixDatagramServer, S>;
    using Handler =
        LineBack<std::conditional_t<kDatagrams, DatagramRequestHandler, StreamRequestHandler>>;
    const TemporaryDirectory directory;
    const ServerAddress where = kUnix ? ServerAddress(UnixAddress{directory / "socket"}) : kAnyPort;

    Server<Raising<S>> server(where, handler<Handler>);
    EXPECT_EQ(server.server_address, server.socket.getsockname());
    {
      const Serving serving(server, 0.01);
      for (int i = 0; i < 3; ++i) {
        if constexpr (kDatagrams) {
          Socket client = datagram_client(server.address_family);
          client.sendto(kHello, server.server_address);
          EXPECT_EQ(client.recv(100), kHello);
        } else {
          Socket client = client_of(server.server_address);
          client.sendall(kHello);
          EXPECT_EQ(client.makefile("rb").readline(), kHello);
        }
      }
    }
    server.server_close();
    EXPECT_EQ(server.socket.fileno(), -1);
    if constexpr (requires { server.active_children; }) {
      EXPECT_TRUE(server.active_children.empty());
    }
  }
};

TEST_F(SocketServerTest, test_TCPServer) { run<TCPServer>(); }
TEST_F(SocketServerTest, test_ThreadingTCPServer) {
  run<ThreadingTCPServer>();
  run<FiberTCPServer>();
}
TEST_F(SocketServerTest, test_ForkingTCPServer) {
  const OtherChild child;
  run<ForkingTCPServer>();
}
TEST_F(SocketServerTest, test_UnixStreamServer) { run<UnixStreamServer>(); }
TEST_F(SocketServerTest, test_ThreadingUnixStreamServer) {
  run<ThreadingUnixStreamServer>();
  run<FiberUnixStreamServer>();
}
TEST_F(SocketServerTest, test_ForkingUnixStreamServer) {
  const OtherChild child;
  run<ForkingUnixStreamServer>();
}
TEST_F(SocketServerTest, test_UDPServer) { run<UDPServer>(); }
TEST_F(SocketServerTest, test_ThreadingUDPServer) {
  run<ThreadingUDPServer>();
  run<FiberUDPServer>();
}
TEST_F(SocketServerTest, test_ForkingUDPServer) {
  const OtherChild child;
  run<ForkingUDPServer>();
}
TEST_F(SocketServerTest, test_UnixDatagramServer) { run<UnixDatagramServer>(); }
TEST_F(SocketServerTest, test_ThreadingUnixDatagramServer) {
  run<ThreadingUnixDatagramServer>();
  run<FiberUnixDatagramServer>();
}
TEST_F(SocketServerTest, test_ForkingUnixDatagramServer) {
  const OtherChild child;
  run<ForkingUnixDatagramServer>();
}

TEST_F(SocketServerTest, test_shutdown) {
  std::deque<TCPServer> servers;
  std::vector<std::thread> threads;
  std::atomic<int> ended{0};
  for (int i = 0; i < 20; ++i) servers.emplace_back(kAnyPort, handler<Idle>);
  for (TCPServer& server : servers) {
    threads.emplace_back([&] {
      server.serve_forever(0.01);
      ++ended;
    });
    server.shutdown();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, 20);
}

TEST_F(SocketServerTest, test_close_immediately) {
  ThreadingTCPServer server(kAnyPort, [](auto&...) {});
  server.server_close();
  EXPECT_EQ(server.fileno(), -1);
}

TEST_F(SocketServerTest, test_tcpserver_bind_leak) {
  const TCPServer taken(kAnyPort, handler<Idle>);
  const int before = count_descriptors();
  for (int i = 0; i < 1024; ++i)
    EXPECT_THROW(TCPServer({"127.0.0.1", -1}, handler<Idle>), OverflowError);
  // The address above is refused before a socket exists; bind() refuses this one.
  for (int i = 0; i < 1024; ++i)
    EXPECT_THROW(TCPServer(taken.server_address, handler<Idle>), OSError);
  EXPECT_EQ(count_descriptors(), before);
}

TEST_F(SocketServerTest, test_context_manager) {
  std::optional<Address> address;
  const int before = count_descriptors();
  {
    const TCPServer server(kAnyPort, handler<Idle>);
    address = server.server_address;
  }
  EXPECT_EQ(count_descriptors(), before);
  EXPECT_THROW(client_of(*address), ConnectionRefusedError);
}

// --- errors of handlers ---

/// Counts what happened in memory that processes share. Python's tests write it to a file instead,
/// so that a child process can do so too.
struct Happened {
  std::atomic<int> handled_requests{0};
  std::atomic<int> handled_errors{0};
};

struct SystemExit : BaseException {};

class ErrorHandlerTest : public testing::Test {
 protected:
  ErrorHandlerTest()
      : memory_(mmap(nullptr, sizeof(Happened), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
    happened = new (memory_) Happened;
  }
  ~ErrorHandlerTest() override { munmap(memory_, sizeof(Happened)); }

  static inline Happened* happened = nullptr;

  template <class Base>
  struct ErrorTestServer : Base {
    using Base::Base;
    void handle_error(Request&, const Address&) override { ++happened->handled_errors; }
  };

  template <class Exception>
  struct BadHandler : BaseRequestHandler {
    void handle() override {
      ++happened->handled_requests;
      throw Exception();
    }
  };
  struct TestError : ValueError {
    TestError() : ValueError("Test error") {}
  };

  /// Makes a server of the class Base handle one client, and closes the server.
  template <class Base, class Exception>
  static void serve_one() {
    Server<ErrorTestServer<Base>> server(kAnyPort, handler<BadHandler<Exception>>);
    client_of(server.server_address);
    server.handle_request();
    server.server_close();
  }

  /// Checks the counts of the last server.
  static void check_result(bool handled) {
    EXPECT_EQ(happened->handled_requests.exchange(0), 1);
    EXPECT_EQ(happened->handled_errors.exchange(0), handled ? 1 : 0);
  }

 private:
  void* memory_;
};

TEST_F(ErrorHandlerTest, test_sync_handled) {
  serve_one<TCPServer, TestError>();
  check_result(true);
}

TEST_F(ErrorHandlerTest, test_sync_not_handled) {
  EXPECT_THROW((serve_one<TCPServer, SystemExit>()), SystemExit);
  check_result(false);
}

TEST_F(ErrorHandlerTest, test_threading_handled) {
  serve_one<ThreadingTCPServer, TestError>();
  check_result(true);
  serve_one<FiberTCPServer, TestError>();
  check_result(true);
}

TEST_F(ErrorHandlerTest, test_threading_not_handled) {
  serve_one<ThreadingTCPServer, SystemExit>();
  check_result(false);
  serve_one<FiberTCPServer, SystemExit>();
  check_result(false);
}

TEST_F(ErrorHandlerTest, test_forking_handled) {
  serve_one<ForkingTCPServer, TestError>();
  check_result(true);
}

TEST_F(ErrorHandlerTest, test_forking_not_handled) {
  serve_one<ForkingTCPServer, SystemExit>();
  check_result(false);
}

// --- the files of a stream's handler ---

TEST(SocketWriterTest, test_basics) {
  static int file_number, request_number;
  static bool writable;
  struct Handler : StreamRequestHandler {
    void handle() override {
      file_number = wfile.fileno();
      request_number = request->fileno();
      writable = wfile.writable();
    }
  };
  file_number = request_number = -1;
  TCPServer server(kAnyPort, handler<Handler>);
  client_of(server.server_address);
  server.handle_request();
  EXPECT_GE(file_number, 0);
  EXPECT_EQ(file_number, request_number);
  EXPECT_TRUE(writable);
}

#ifdef __SANITIZE_THREAD__
#define PLUG_HOLDS_SIGNALS_BACK true
#elif defined(__has_feature)
#define PLUG_HOLDS_SIGNALS_BACK __has_feature(thread_sanitizer)
#else
#define PLUG_HOLDS_SIGNALS_BACK false
#endif

TEST(SocketWriterTest, test_write) {
  if (PLUG_HOLDS_SIGNALS_BACK) GTEST_SKIP() << "no signal comes in the middle of a send()";
  constexpr std::size_t kBig = 16 * 1024 * 1024 + 1;  // as SOCK_MAX_SIZE in the original
  static volatile sig_atomic_t interrupted;
  static std::size_t sent1, sent2;
  static Bytes received;
  struct Handler : StreamRequestHandler {
    void handle() override {
      sent1 = wfile.write("write data\n");
      // Without a flush().
      received = rfile.readline();
      sent2 = wfile.write(Bytes(kBig, '\0'));
    }
  };
  interrupted = 0;
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { interrupted = 1; };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);

  TCPServer server(kAnyPort, handler<Handler>);
  std::promise<pthread_t> thread_of_server;
  BlockedThread serving([&] {
    thread_of_server.set_value(pthread_self());
    server.handle_request();
  });
  Socket client = client_of(server.server_address);
  File reader = client.makefile("rb");
  EXPECT_EQ(reader.readline(), "write data\n");
  client.sendall("client response\n");
  std::size_t received2 = reader.read(100).size();
  const pthread_t thread = thread_of_server.get_future().get();
  // The client does not read, so the handler blocks in the middle of write().
  ASSERT_TRUE(serving.wait_until_blocked());
  while (interrupted == 0) {
    ASSERT_EQ(pthread_kill(thread, SIGUSR1), 0);
    std::this_thread::yield();
  }
  received2 += reader.read().size();
  serving.join();
  ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
  EXPECT_EQ(sent1, 11u);
  EXPECT_EQ(received, "client response\n");
  EXPECT_EQ(sent2, kBig);
  EXPECT_EQ(received2, kBig);
}

// --- the rest ---

TEST(MiscTestCase, test_shutdown_request_called_if_verify_request_false) {
  struct Refusing : TCPServer {
    using TCPServer::TCPServer;
    bool verify_request(Request&, const Address&) override { return false; }
    void shutdown_request(Request& request) override {
      ++shutdown_called;
      TCPServer::shutdown_request(request);
    }
    int shutdown_called = 0;
  };
  Server<Refusing> server(kAnyPort, handler<Idle>);
  client_of(server.server_address);
  server.handle_request();
  EXPECT_EQ(server.shutdown_called, 1);
}

TEST(MiscTestCase, test_threads_reaped) {
  // A thread that has ended keeps its stack until it is joined.
  const auto maps = [] {
    std::size_t count = 0;
    std::ifstream file("/proc/self/maps");
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  };
  ThreadingTCPServer server(kAnyPort, handler<Idle>);
  const auto request = [&] {
    Socket client = client_of(server.server_address);
    client.shutdown(SHUT::WR);
    server.handle_request();
    EXPECT_EQ(client.recv(1), "") << "its thread has done its work";
  };
  // Memory is bounded for threads that end late on a busy machine, and for a sanitizer's data about
  // them. It is not bounded if nobody joins the threads.
  constexpr std::size_t kRequests = 2000;
  for (std::size_t n = 0; n < 10; ++n) request();
  const std::size_t before = maps();
  for (std::size_t n = 10; n < kRequests; ++n) request();
  EXPECT_LT(maps(), before + kRequests / 2);
}

}  // namespace
}  // namespace plug
