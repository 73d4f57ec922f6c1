// Tests the common behaviour of all servers: opening, serving, hooks, errors.

#include <plug/fiber/server.hpp>
#include <plug/socketserver.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pthread.h>

#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <csignal>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const ServerAddress kAnyPort{"127.0.0.1", 0};

struct Echo : StreamRequestHandler {
  void handle() override {
    for (Bytes& line : rfile) wfile.write(line);
  }
};

struct Upper : DatagramRequestHandler {
  void handle() override {
    for (Bytes line : rfile) {
      for (char& c : line) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      wfile.write(line);
    }
  }
};

/// Collects lines from several threads, in order.
class Log {
 public:
  void add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

Log hooks;

/// Logs each hook, then calls the hook of Base.
template <class Base>
struct Logging : Base {
  using Base::Base;
  void server_bind() override { note("server_bind"), Base::server_bind(); }
  void server_activate() override { note("server_activate"), Base::server_activate(); }
  void server_close() override { note("server_close"), Base::server_close(); }
  std::optional<std::pair<Request, Address>> try_get_request() override {
    note("try_get_request");
    return Base::try_get_request();
  }
  bool verify_request(Request& request, const Address& from) override {
    note("verify_request");
    return Base::verify_request(request, from);
  }
  void process_request(Request& request, const Address& from) override {
    note("process_request"), Base::process_request(request, from);
  }
  void finish_request(Request& request, const Address& from) override {
    note("finish_request"), Base::finish_request(request, from);
  }
  void shutdown_request(Request& request) override {
    note("shutdown_request"), Base::shutdown_request(request);
  }
  void close_request(Request& request) override {
    note("close_request"), Base::close_request(request);
  }
  void handle_error(Request&, const Address&) override { note("handle_error"); }
  void handle_timeout() override { note("handle_timeout"), Base::handle_timeout(); }

  static void note(const char* hook) { hooks.add(hook); }
};

/// An address for a server: any port, or a path in a new directory.
template <class Server>
struct Place {
  static constexpr bool kIsPath =
      std::derived_from<Server, UnixStreamServer> || std::derived_from<Server, UnixDatagramServer>;
  const TemporaryDirectory directory;
  const ServerAddress address =
      kIsPath ? ServerAddress(UnixAddress{directory / "socket"}) : kAnyPort;
};

template <class Server>
class EachStreamServer : public testing::Test {};
using StreamServers =
    testing::Types<TCPServer, ThreadingTCPServer, ForkingTCPServer, UnixStreamServer,
                   ThreadingUnixStreamServer, ForkingUnixStreamServer, FiberTCPServer,
                   FiberUnixStreamServer>;
TYPED_TEST_SUITE(EachStreamServer, StreamServers);

TYPED_TEST(EachStreamServer, AnswersEachClient) {
  const Place<TypeParam> place;
  TypeParam server(place.address, handler<Echo>);
  if (place.kIsPath) {
    EXPECT_EQ(server.server_address.path(), place.directory / "socket");
  }
  const Serving serving(server);
  for (const std::string text : {"one\n", "two\nlines\n", "no newline", ""})
    EXPECT_EQ(ask(server.server_address, text), text);
}

TYPED_TEST(EachStreamServer, GoesOnAfterAClientThatIsGoneBeforeItIsAccepted) {
  const Place<TypeParam> place;
  TypeParam server(place.address, handler<Echo>);
  {
    Socket client = client_of(server.server_address);
    const int on[] = {1, 0};  // TCP sends a reset
    client.setsockopt(SOL::SOCKET, SO::LINGER, BytesView(static_cast<const void*>(on), sizeof on));
  }
  testing::internal::CaptureStderr();
  {
    const Serving serving(server);
    EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
  }
  server.server_close();
  const std::string reported = testing::internal::GetCapturedStderr();
  EXPECT_EQ(reported.find("ConnectionResetError") != std::string::npos, !place.kIsPath) << reported;
}

template <class Server>
class EachDatagramServer : public testing::Test {};
using DatagramServers =
    testing::Types<UDPServer, ThreadingUDPServer, ForkingUDPServer, UnixDatagramServer,
                   ThreadingUnixDatagramServer, ForkingUnixDatagramServer, FiberUDPServer,
                   FiberUnixDatagramServer>;
TYPED_TEST_SUITE(EachDatagramServer, DatagramServers);

TYPED_TEST(EachDatagramServer, AnswersEachDatagramWithOne) {
  const Place<TypeParam> place;
  TypeParam server(place.address, handler<Upper>);
  const Serving serving(server);
  Socket client = datagram_client(server.address_family);
  for (const auto& [text, upper] :
       {std::pair("one", "ONE"), {"two\nlines", "TWO\nLINES"}, {"", ""}}) {
    client.sendto(BytesView(std::string_view(text)), server.server_address);
    EXPECT_EQ(client.recv(100), upper);
  }
}

// --- opening ---

TEST(Opening, BindsAndListensAndReadsTheAddressBack) {
  TCPServer server(kAnyPort, handler<Echo>);
  EXPECT_EQ(server.server_address, server.socket.getsockname());
  EXPECT_GT(server.server_address.port(), 0);
  EXPECT_EQ(server.fileno(), server.socket.fileno());
  client_of(server.server_address);
}

TEST(Opening, IsLeftToTheCallerOnRequest) {
  TCPServer server(kAnyPort, handler<Echo>, false);
  EXPECT_FALSE(server.server_address);
  EXPECT_GE(server.fileno(), 0);
  server.allow_reuse_address = true;
  server.allow_reuse_port = true;
  server.server_bind();
  EXPECT_EQ(server.socket.getsockopt(SOL::SOCKET, SO::REUSEADDR), 1);
  EXPECT_EQ(server.socket.getsockopt(SOL::SOCKET, SO::REUSEPORT), 1);
  EXPECT_THROW(client_of(server.server_address), ConnectionRefusedError);
  server.server_activate();
  const Serving serving(server);
  EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
}

TEST(Opening, TakesTheFamilyThatIsSetBefore) {
  TCPServer server({"::1", 0}, handler<Echo>, false);
  server.address_family = AF::INET6;
  server.server_bind();
  server.server_activate();
  const Serving serving(server);
  EXPECT_EQ(server.server_address.host(), "::1");
  EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
}

TEST(Opening, ReusesNoPortsUnlessAskedAndNoAddressesWhenTold) {
  TCPServer server(kAnyPort, handler<Echo>, false);
  server.allow_reuse_address = false;
  server.server_bind();
  EXPECT_EQ(server.socket.getsockopt(SOL::SOCKET, SO::REUSEADDR), 0);
  EXPECT_EQ(server.socket.getsockopt(SOL::SOCKET, SO::REUSEPORT), 0);
}

TEST(Opening, FailsOnATakenPortNamingItAndLeavesNothing) {
  const Socket taken = tcp_listener();
  const Address address = taken.getsockname();
  const int before = settled_descriptors();
  EXPECT_THAT(text_of_error<OSError>([&] { TCPServer(address, handler<Echo>); }),
              StartsWith("[Errno 98] Address already in use: ('127.0.0.1', "));
  EXPECT_THROW(ThreadingTCPServer(address, handler<Echo>), OSError);
  EXPECT_EQ(count_descriptors(), before);
}

TEST(Opening, RefusesAServerWithoutAHandler) {
  EXPECT_THAT(text_of_error<ValueError>([] { TCPServer(kAnyPort, nullptr); }),
              "a server needs a handler");
}

TEST(Opening, LooksANameUp) {
  TCPServer server({"localhost", 0}, handler<Echo>);
  EXPECT_EQ(server.server_address.host(), "127.0.0.1");
}

// --- a subclass ---

TEST(ASubclass, HasItsHooksCalledInOpeningAndClosing) {
  hooks.take();
  { const Server<Logging<TCPServer>> server(kAnyPort, handler<Echo>); }
  EXPECT_THAT(hooks.take(), ElementsAre("server_bind", "server_activate", "server_close"));
  { const Server<Logging<ThreadingTCPServer>> server(kAnyPort, handler<Echo>, false); }
  EXPECT_THAT(hooks.take(), ElementsAre("server_close"));
}

TEST(ASubclass, ThatIsNotWrappedIsToldHow) {
  struct Mine : ThreadingTCPServer {
    using ThreadingTCPServer::ThreadingTCPServer;
  };
  Mine opened(kAnyPort, handler<Echo>);
  EXPECT_THAT(text_of_error<RuntimeError>([&] { opened.serve_forever(); }),
              testing::MatchesRegex("serve_forever: .*Mine is derived from a server and has to be "
                                    "made as plug::Server<.*Mine>.*"));
  Mine unopened(kAnyPort, handler<Echo>, false);
  EXPECT_THROW(unopened.handle_request(), RuntimeError);
}

TEST(ASubclass, ThatOpensItselfTooEarlyIsTold) {
  struct Early : TCPServer {
    Early(const ServerAddress& address, HandlerFactory factory)
        : TCPServer(address, std::move(factory)) {}
  };
  EXPECT_THAT(text_of_error<RuntimeError>([] { Server<Early>(kAnyPort, handler<Echo>); }),
              HasSubstr("has opened the server before it was complete"));
}

TEST(ASubclass, MayHaveAConstructorOfItsOwn) {
  struct Greeting : TCPServer {
    Greeting(ServerAddress address, HandlerFactory factory, bool open, std::string text)
        : TCPServer(std::move(address), std::move(factory), open), greeting(std::move(text)) {}
    std::string greeting;
  };
  struct Closed : TCPServer {
    explicit Closed(int queue) : TCPServer(kAnyPort, handler<Echo>, false) {
      request_queue_size = queue;
    }
  };
  struct Told : TCPServer {
    Told(ServerAddress address, HandlerFactory factory, int queue)
        : TCPServer(std::move(address), std::move(factory), false) {
      request_queue_size = queue;
    }
  };
  const Server<Greeting> greeting(kAnyPort, handler<Echo>, true, "hello");
  EXPECT_EQ(greeting.greeting, "hello");
  EXPECT_TRUE(greeting.server_address);
  const Server<Closed> closed(7);
  EXPECT_EQ(closed.request_queue_size, 7);
  EXPECT_TRUE(closed.server_address);
  const Server<Told> told(kAnyPort, handler<Echo>, 3);
  EXPECT_EQ(told.request_queue_size, 3);
  EXPECT_TRUE(told.server_address);
}

TEST(ASubclass, ClosesWhenOpeningFails) {
  const Socket taken = tcp_listener();
  hooks.take();
  EXPECT_THROW((Server<Logging<TCPServer>>(taken.getsockname(), handler<Echo>)), OSError);
  EXPECT_THAT(hooks.take(), ElementsAre("server_bind", "server_close"));
}

// --- one request ---

TEST(ARequest, PassesThroughTheHooksInOrder) {
  Server<Logging<TCPServer>> server(kAnyPort, handler<Echo>);
  hooks.take();
  Socket client = client_of(server.server_address);
  client.shutdown(SHUT::WR);
  server.handle_request();
  EXPECT_THAT(hooks.take(), ElementsAre("try_get_request", "verify_request", "process_request",
                                        "finish_request", "shutdown_request", "close_request"));
  EXPECT_EQ(client.recv(1), "");
}

TEST(ARequest, ThatIsNotVerifiedIsClosed) {
  struct Refusing : Logging<TCPServer> {
    using Logging::Logging;
    bool verify_request(Request&, const Address&) override { return false; }
  };
  Server<Refusing> server(kAnyPort, handler<Echo>);
  hooks.take();
  Socket client = client_of(server.server_address);
  server.handle_request();
  EXPECT_THAT(hooks.take(), ElementsAre("try_get_request", "shutdown_request", "close_request"));
  EXPECT_EQ(client.recv(1), "");
}

struct Failing : BaseRequestHandler {
  void setup() override {
    hooks.add("setup");
    if (request->recv(1) == "s") throw std::runtime_error("in setup");
  }
  void handle() override {
    hooks.add("handle");
    const Bytes what = request->recv(1);
    if (what == "h") throw std::runtime_error("in handle");
    if (what == "i") throw 42;
    if (what == "b") throw BaseException();
  }
  void finish() override {
    hooks.add("finish");
    if (request->recv(1) == "f") throw std::runtime_error("in finish");
  }
};

TEST(ARequest, IsFinishedWhenHandleThrowsAndNotWhenSetupDoes) {
  Server<Logging<TCPServer>> server(kAnyPort, handler<Failing>);
  const auto serve = [&](BytesView what) {
    hooks.take();
    Socket client = client_of(server.server_address);
    client.sendall(what);
    client.shutdown(SHUT::WR);
    server.handle_request();
    auto all = hooks.take();
    all.erase(all.begin(), all.begin() + 4);
    return all;
  };
  EXPECT_THAT(serve("---"),
              ElementsAre("setup", "handle", "finish", "shutdown_request", "close_request"));
  EXPECT_THAT(serve("s--"),
              ElementsAre("setup", "handle_error", "shutdown_request", "close_request"));
  EXPECT_THAT(serve("-h-"), ElementsAre("setup", "handle", "finish", "handle_error",
                                        "shutdown_request", "close_request"));
  EXPECT_THAT(serve("-i-"), ElementsAre("setup", "handle", "finish", "handle_error",
                                        "shutdown_request", "close_request"));
  EXPECT_THAT(serve("--f"), ElementsAre("setup", "handle", "finish", "handle_error",
                                        "shutdown_request", "close_request"));
}

TEST(ARequest, LetsABaseExceptionThrough) {
  Server<Logging<TCPServer>> server(kAnyPort, handler<Failing>);
  hooks.take();
  Socket client = client_of(server.server_address);
  client.sendall("-b-");
  EXPECT_THROW(server.serve_forever(), BaseException);
  EXPECT_THAT(hooks.take(),
              ElementsAre("try_get_request", "verify_request", "process_request", "finish_request",
                          "setup", "handle", "finish", "shutdown_request", "close_request"));
}

TEST(ARequest, ThatFailsIsReportedOnStandardErrorAndTheServerGoesOn) {
  struct Throwing : BaseRequestHandler {
    void handle() override {
      const Bytes what = request->recv(1);
      if (what == "o") throw_if(std::error_code(ENOENT, std::system_category()), "a file");
      if (what == "i") throw 42;
      request->sendall("fine");
    }
  };
  TCPServer server(kAnyPort, handler<Throwing>);
  Socket first = client_of(server.server_address);
  Socket second = client_of(server.server_address);
  first.sendall("o");
  second.sendall("i");
  testing::internal::CaptureStderr();
  server.handle_request();
  server.handle_request();
  const std::string line(40, '-');
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            line + "\nException occurred during processing of request from " +
                to_string(first.getsockname()) +
                "\nplug::FileNotFoundError: [Errno 2] No such file or directory: a file\n" + line +
                "\n" + line + "\nException occurred during processing of request from " +
                to_string(second.getsockname()) + "\nint\n" + line + "\n");
  const Serving serving(server);
  EXPECT_EQ(ask(server.server_address, "-"), "fine");
}

/// Counts the calls of try_get_request() by their outcome.
template <class Base>
struct CountingTries : Base {
  using Base::Base;
  std::optional<std::pair<Request, Address>> try_get_request() override {
    try {
      auto got = Base::try_get_request();
      ++(got ? taken : none);
      return got;
    } catch (...) {
      ++failed;
      throw;
    }
  }
  std::atomic<int> taken{0}, none{0}, failed{0};
};

template <class Server>
class AnOverrideOfTryGetRequest : public testing::Test {};
using ServersOfConnections = testing::Types<TCPServer, ThreadingTCPServer, FiberTCPServer>;
TYPED_TEST_SUITE(AnOverrideOfTryGetRequest, ServersOfConnections);

TYPED_TEST(AnOverrideOfTryGetRequest, GetsEachConnection) {
  constexpr int kClients = 10;
  Server<CountingTries<TypeParam>> server(kAnyPort, handler<Echo>);
  {
    std::vector<Socket> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.push_back(client_of(server.server_address));
      clients.back().sendall("x\n");
      clients.back().shutdown(SHUT::WR);
    }
    const Serving serving(server);
    for (Socket& client : clients) EXPECT_EQ(client.recv(2), "x\n");
  }
  EXPECT_EQ(server.taken, kClients);
}

TYPED_TEST(AnOverrideOfTryGetRequest, SeesNoExceptionWhenNoConnectionWaits) {
  struct Stolen : CountingTries<TypeParam> {
    using CountingTries<TypeParam>::CountingTries;
    std::optional<std::pair<Request, Address>> try_get_request() override {
      // Closed after the call: the next client comes when this one has seen the end.
      Socket stolen = Socket::closed();
      if (!std::exchange(stole, true)) stolen = this->socket.accept().first;
      return CountingTries<TypeParam>::try_get_request();
    }
    bool stole = false;
  };
  Server<Stolen> server(kAnyPort, handler<Echo>);
  {
    const Serving serving(server);
    Socket stolen = client_of(server.server_address);
    EXPECT_EQ(stolen.recv(1), "");
    EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
  }
  EXPECT_EQ(server.taken, 1);
  EXPECT_GE(server.none, 1);
  EXPECT_EQ(server.failed, 0);
}

TEST(GetRequest, ThrowsWhenNoRequestWaits) {
  TCPServer stream(kAnyPort, handler<Echo>);
  stream.socket.setblocking(false);
  UDPServer datagrams(kAnyPort, handler<Upper>);
  for (BaseServer* const server : std::vector<BaseServer*>{&stream, &datagrams}) {
    EXPECT_FALSE(server->try_get_request());
    EXPECT_EQ(number_of_error<BlockingIOError>([&] { server->get_request(); }), EAGAIN);
  }
  const Socket client = client_of(stream.server_address);
  EXPECT_EQ(stream.get_request().second, client.getsockname());
}

template <class Server>
class AStoppedServer : public testing::Test {};
TYPED_TEST_SUITE(AStoppedServer, ServersOfConnections);

TYPED_TEST(AStoppedServer, LeavesTheConnectionInTheQueueToTheNextServerOfItsSocket) {
  struct Stopping : TypeParam {
    using TypeParam::TypeParam;
    void service_actions() override { this->stop_serving(); }
  };
  const auto saying = [](BytesView text) -> HandlerFactory {
    return [text](Request& request, const Address&, BaseServer&) { request->sendall(text); };
  };
  Server<Stopping> first(kAnyPort, saying("1"));
  Socket listener = first.socket.dup();
  std::vector<Socket> clients;
  for (int i = 0; i < 2; ++i) clients.push_back(client_of(first.server_address));
  std::thread([&] { first.serve_forever(); }).join();
  first.server_close();
  EXPECT_EQ(clients[0].recv(1), "1");
  TypeParam second(std::move(listener), saying("2"));
  const Serving serving(second);
  EXPECT_EQ(clients[1].recv(1), "2");
}

TEST(ARequest, ThatIsGoneBeforeItIsAcceptedIsPassedOver) {
  struct Gone : TCPServer {
    using TCPServer::TCPServer;
    std::optional<std::pair<Request, Address>> try_get_request() override {
      if (steal) std::ignore = socket.accept();
      steal = false;
      return TCPServer::try_get_request();
    }
    bool steal = true;
  };
  Server<Gone> server(kAnyPort, handler<Echo>);
  const Serving serving(server);
  Socket stolen = client_of(server.server_address);
  EXPECT_EQ(stolen.recv(1), "");
  EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
}

TEST(ARequest, ThatIsReceivedByAnotherIsPassedOver) {
  struct Gone : UDPServer {
    using UDPServer::UDPServer;
    std::optional<std::pair<Request, Address>> try_get_request() override {
      if (std::exchange(steal, false)) socket.recv(100);
      return UDPServer::try_get_request();
    }
    bool steal = true;
  };
  Server<Gone> server(kAnyPort, handler<Upper>);
  const Serving serving(server);
  Socket client = datagram_client(AF::INET);
  client.sendto("stolen", server.server_address);
  client.sendto("x", server.server_address);
  EXPECT_EQ(client.recv(10), "X");
}

TEST(ARequest, OfADatagramServerIsCutAtTheGreatestSize) {
  UDPServer server(kAnyPort, handler<Upper>);
  Socket client = datagram_client(AF::INET);
  client.sendto(std::string(9000, 'x'), server.server_address);
  server.handle_request();
  EXPECT_EQ(client.recv(10000).size(), 8192U);
  server.max_packet_size = 3;
  client.sendto("abcdef", server.server_address);
  server.handle_request();
  EXPECT_EQ(client.recv(100), "ABC");
}

TEST(ARequest, OfADatagramServerIsAPair) {
  struct Pair : BaseRequestHandler {
    void handle() override {
      auto& [data, sock] = request;
      static_assert(std::is_same_v<decltype(data), Bytes>);
      static_assert(std::is_same_v<decltype(sock), Socket>);
      sock.sendto(data + "!", client_address);
    }
  };
  UDPServer server(kAnyPort, handler<Pair>);
  Socket client = datagram_client(AF::INET);
  client.sendto("pair", server.server_address);
  server.handle_request();
  EXPECT_EQ(client.recv(100), "pair!");
}

TEST(ARequest, IsHandledByAnyCallable) {
  TCPServer server(kAnyPort, [](Request& request, const Address& from, BaseServer& by) {
    request->sendall(to_string(from) + to_string(by.server_address));
  });
  Socket client = client_of(server.server_address);
  server.handle_request();
  EXPECT_EQ(client.makefile("rb").read(),
            to_string(client.getsockname()) + to_string(server.server_address));
}

// --- handle_request() ---

TEST(HandleRequest, CallsHandleTimeoutWhenItsTimeIsOver) {
  for (const Timeout& mine : {Timeout(), Timeout(0.02), Timeout(0)}) {
    for (const Timeout& sockets : {Timeout(), Timeout(0.02), Timeout(0)}) {
      if (mine.is_none() && sockets.is_none()) continue;
      Server<Logging<TCPServer>> server(kAnyPort, handler<Echo>);
      server.timeout = mine;
      server.socket.settimeout(sockets);
      hooks.take();
      server.handle_request();
      EXPECT_THAT(hooks.take(), ElementsAre("handle_timeout")) << mine << " " << sockets;
    }
  }
}

TEST(HandleRequest, ServesWithATimeoutOnTheSocket) {
  TCPServer server(kAnyPort, handler<Echo>);
  server.socket.settimeout(20);
  Socket client = client_of(server.server_address);
  client.sendall("x\n");
  client.shutdown(SHUT::WR);
  server.handle_request();
  EXPECT_EQ(client.recv(10), "x\n");
}

TEST(HandleRequest, RefusesAClosedServer) {
  TCPServer server(kAnyPort, handler<Echo>);
  server.server_close();
  server.server_close();
  EXPECT_EQ(server.fileno(), -1);
  EXPECT_THAT(text_of_error<ValueError>([&] { server.handle_request(); }),
              "Invalid file descriptor: -1");
  EXPECT_THAT(text_of_error<ValueError>([&] { server.serve_forever(); }),
              "Invalid file descriptor: -1");
}

// --- ending ---

TEST(Shutdown, EndsAServerThatWaitsWithoutALimit) {
  TCPServer server(kAnyPort, handler<Echo>);
  for (int round = 0; round < 50; ++round) {
    auto ended = std::async(std::launch::async, [&] { server.serve_forever(std::nullopt); });
    EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
    server.shutdown();
    EXPECT_EQ(ended.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
}

TEST(Shutdown, BeforeServingReturnsAtOnceAndEndsTheNextServing) {
  Server<Logging<TCPServer>> server(kAnyPort, handler<Echo>);
  hooks.take();
  Socket client = client_of(server.server_address);
  server.shutdown();
  server.serve_forever();
  EXPECT_THAT(hooks.take(), ElementsAre());
  std::thread serving([&] { server.serve_forever(); });
  client.sendall("x\n");
  EXPECT_EQ(client.recv(10), "x\n");
  client.close();
  server.shutdown();
  serving.join();
}

TEST(Shutdown, FromTheServingThreadIsAnErrorAndStopServingIsNot) {
  struct Stopping : BaseRequestHandler {
    void handle() override {
      try {
        server().shutdown();
      } catch (const RuntimeError& error) {
        request->sendall(std::string(error.what()));
        server().stop_serving();
      }
    }
  };
  TCPServer server(kAnyPort, handler<Stopping>);
  Socket client = client_of(server.server_address);
  server.serve_forever();
  EXPECT_THAT(client.makefile("rb").read(), HasSubstr("would wait for itself"));
}

TEST(Shutdown, FromAHandlersThreadEndsTheServer) {
  struct Stopping : BaseRequestHandler {
    void handle() override {
      server().shutdown();
      request->sendall("has ended");
    }
  };
  ThreadingTCPServer server(kAnyPort, handler<Stopping>);
  Socket client = client_of(server.server_address);
  server.serve_forever(std::nullopt);
  EXPECT_EQ(client.makefile("rb").read(), "has ended");
}

BaseServer* stopped_by_signal = nullptr;
std::atomic<int> stops{0};

TEST(StopServing, MayBeCalledByASignalHandler) {
  TCPServer server(kAnyPort, handler<Echo>);
  stopped_by_signal = &server;
  const auto before = std::signal(SIGUSR1, [](int) {
    stopped_by_signal->stop_serving();
    ++stops;
  });
  for (int round = 1; round <= 20; ++round) {
    std::thread killer([&, thread = pthread_self()] {
      EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
      pthread_kill(thread, SIGUSR1);
    });
    server.serve_forever(std::nullopt);
    EXPECT_EQ(stops, round);
    killer.join();
  }
  std::signal(SIGUSR1, before);
}

TEST(ServeForever, CallsServiceActionsOnEachTurn) {
  struct Counting : TCPServer {
    using TCPServer::TCPServer;
    void service_actions() override {
      if (++turns == 5) stop_serving();
    }
    int turns = 0;
  };
  Server<Counting> server(kAnyPort, handler<Echo>);
  server.serve_forever(0.001);
  EXPECT_EQ(server.turns, 5);
  Server<Counting> asked(kAnyPort, handler<Echo>);
  std::vector<Socket> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(client_of(asked.server_address));
    clients.back().shutdown(SHUT::WR);
  }
  asked.serve_forever(std::nullopt);
  EXPECT_EQ(asked.turns, 5);
}

TEST(ServeForever, EndsWithAnErrorWhenTheServerIsClosedMeanwhile) {
  struct Closing : TCPServer {
    using TCPServer::TCPServer;
    void service_actions() override { server_close(); }
  };
  Server<Closing> server(kAnyPort, handler<Echo>);
  EXPECT_EQ(number_of_error([&] { server.serve_forever(0.001); }), EBADF);
  TCPServer waiting(kAnyPort, handler<Echo>);
  std::thread closer([&] {
    Socket client = client_of(waiting.server_address);
    client.shutdown(SHUT::WR);
    client.recv(1);  // the server is serving
    waiting.server_close();
  });
  EXPECT_EQ(number_of_error([&] { waiting.serve_forever(std::nullopt); }), EBADF);
  closer.join();
}

TEST(ServeForever, LetsThroughWhatTheHooksOfALoopThrow) {
  struct Bad : TCPServer {
    using TCPServer::TCPServer;
    bool verify_request(Request&, const Address&) override { throw std::runtime_error("verify"); }
  };
  Server<Bad> server(kAnyPort, handler<Echo>);
  Socket client = client_of(server.server_address);
  EXPECT_THROW(server.serve_forever(), std::runtime_error);
  EXPECT_EQ(client.recv(1), "");
  server.shutdown();
}

}  // namespace
}  // namespace plug
