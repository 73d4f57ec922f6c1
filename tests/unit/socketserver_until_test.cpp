// Tests servers that serve until a signal arrives, and then let their requests end.

#include <plug/fiber/server.hpp>
#include <plug/socketserver.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <future>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using namespace std::chrono_literals;

const ServerAddress kAnyPort{"127.0.0.1", 0};

/// Runs serve_until_signal() in a thread.
std::future<int> serve(BaseServer& server, UntilSignalOptions options = {}) {
  return std::async(std::launch::async,
                    [&server, its = std::move(options)] { return server.serve_until_signal(its); });
}

/// Returns a client that a handler serves.
Socket served_client(const BaseServer& server) {
  Socket client = client_of(server.server_address);
  EXPECT_EQ(client.recv(1), "!");
  return client;
}

/// Returns once the server has closed its listener.
void wait_until_refused(const Address& address) {
  for (;;) {
    Socket client(AF::INET);
    std::error_code error;
    client.connect(address, error);
    if (error == std::errc::connection_refused) return;
    // A child of the server may have this descriptor too, so closing it would not end the
    // connection.
    client.shutdown(SHUT::RDWR, error);
  }
}

struct sigaction action_of(int signal) {
  struct sigaction action {};
  sigaction(signal, nullptr, &action);
  return action;
}

void wait_until_taken(int signal) {
  while (action_of(signal).sa_handler == SIG_DFL) std::this_thread::yield();
}

template <class Server>
class UntilASignal : public testing::Test {};
using Servers = testing::Types<TCPServer, ThreadingTCPServer, ForkingTCPServer, ThreadPoolTCPServer,
                               FiberTCPServer>;
TYPED_TEST_SUITE(UntilASignal, Servers);

TYPED_TEST(UntilASignal, ServesAndThenTellsWhichItWas) {
  const int before = settled_descriptors();
  for (const int signal : {SIGINT, SIGTERM}) {
    TypeParam server(kAnyPort, &echo);
    auto ended = serve(server);
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
    std::raise(signal);
    EXPECT_EQ(ended.get(), signal);
    EXPECT_THROW(client_of(server.server_address), ConnectionRefusedError);
  }
  EXPECT_EQ(count_descriptors(), before);
}

TYPED_TEST(UntilASignal, LetsRequestsEndThatAreBeingHandled) {
  TypeParam server(kAnyPort, &echo);
  server.socket.listen(1000);  // for the clients that test whether connections are refused
  auto ended = serve(server, {.drain = std::nullopt});
  Socket client = served_client(server);
  std::raise(SIGTERM);
  if (!std::is_same_v<TypeParam, TCPServer>) wait_until_refused(server.server_address);
  EXPECT_EQ(ended.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  client.sendall("still there");
  EXPECT_EQ(client.recv(100), "still there");
  client.shutdown(SHUT::WR);
  EXPECT_EQ(client.recv(1), "");
  EXPECT_EQ(ended.get(), SIGTERM);
}

TYPED_TEST(UntilASignal, EndsConnectionsWhenTheTimeIsOver) {
  for (const Timeout& drain_timeout : {Timeout(0), Timeout(0.05)}) {
    TypeParam server(kAnyPort, &echo);
    auto ended = serve(server, {.drain = drain_timeout});
    Socket client = served_client(server);
    std::raise(SIGTERM);
    EXPECT_EQ(client.recv(1), "");
    EXPECT_EQ(ended.get(), SIGTERM);
  }
}

TYPED_TEST(UntilASignal, EndsConnectionsAtASecondOne) {
  TypeParam server(kAnyPort, &echo);
  auto ended = serve(server, {.drain = std::nullopt});
  Socket client = served_client(server);
  std::raise(SIGINT);
  std::raise(SIGTERM);
  EXPECT_EQ(client.recv(1), "");
  EXPECT_EQ(ended.get(), SIGINT);
}

TYPED_TEST(UntilASignal, EndsWithoutOneAtStopServingAndShutdown) {
  for (const bool wait : {true, false}) {
    TypeParam server(kAnyPort, &echo);
    auto ended = serve(server, {.drain = 10ms, .poll_interval = std::nullopt});
    Socket client = served_client(server);
    if (wait)
      server.shutdown();
    else
      server.stop_serving();
    EXPECT_EQ(client.recv(1), "");
    EXPECT_EQ(ended.get(), 0);
  }
}

// --- kinds of servers ---

/// A pool with one worker and three requests, of which it handles the first.
class ABusyPool : public testing::Test {
 protected:
  ABusyPool() {
    server_.max_workers = 1;
    for (int i = 0; i < 3; ++i) {
      clients_.push_back(client_of(server_.server_address));
      server_.handle_request();
    }
    EXPECT_EQ(clients_[0].recv(1), "!");
  }

  std::atomic<int> handled_{0};
  std::vector<Socket> clients_;
  ThreadPoolTCPServer server_{kAnyPort,
                              [this](Request& request, const Address& from, BaseServer& by) {
                                ++handled_;
                                echo(request, from, by);
                              }};
};

TEST_F(ABusyPool, HandlesItsQueueWhileThereIsTime) {
  auto ended = serve(server_, {.drain = std::nullopt});
  wait_until_taken(SIGTERM);
  std::raise(SIGTERM);
  clients_[0].shutdown(SHUT::WR);
  for (const std::size_t i : {1U, 2U}) {
    EXPECT_EQ(clients_[i].recv(1), "!");
    clients_[i].shutdown(SHUT::WR);
  }
  EXPECT_EQ(ended.get(), SIGTERM);
  EXPECT_EQ(handled_, 3);
}

TEST_F(ABusyPool, ClosesItsQueueUnhandledWhenTheTimeIsOver) {
  auto ended = serve(server_);
  wait_until_taken(SIGTERM);
  std::raise(SIGTERM);
  EXPECT_EQ(ended.get(), SIGTERM);
  server_.server_close();
  EXPECT_EQ(handled_, 1);
  for (Socket& client : clients_) EXPECT_EQ(client.recv(1), "");
}

template <class Server>
class UntilASignalDatagrams : public testing::Test {};
using DatagramServers =
    testing::Types<ThreadingUDPServer, ThreadPoolUDPServer, ForkingUDPServer, FiberUDPServer>;
TYPED_TEST_SUITE(UntilASignalDatagrams, DatagramServers);

TYPED_TEST(UntilASignalDatagrams, AreAnsweredInTheTimeForIt) {
  // The handler waits for a message before it answers. A forked handler has this socket pair too.
  auto [teller, told] = socketpair();
  TypeParam server(kAnyPort, [&tell = told](Request& request, const Address& from, BaseServer&) {
    request->sendto("begun", from);
    request->sendto(tell.recv(100), from);
  });
  auto ended = serve(server, {.drain = std::nullopt});
  Socket client = datagram_client(AF::INET);
  client.sendto("x", server.server_address);
  EXPECT_EQ(client.recv(100), "begun");
  std::raise(SIGTERM);
  EXPECT_EQ(ended.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  teller.sendall("answer");
  EXPECT_EQ(client.recv(100), "answer");
  EXPECT_EQ(ended.get(), SIGTERM);
}

TEST(UntilASignalUDPServer, EndsWhenItWaits) {
  UDPServer server(kAnyPort, [](Request& request, const Address& from, BaseServer&) {
    request->sendto(request.data(), from);
  });
  auto ended = serve(server, {.drain = std::nullopt});
  Socket client = datagram_client(AF::INET);
  client.sendto("x", server.server_address);
  EXPECT_EQ(client.recv(100), "x");
  std::raise(SIGINT);
  EXPECT_EQ(ended.get(), SIGINT);
}

// --- children ---

/// Sends the number of the process that handles the request, then sends back the data.
void tell_process(Request& request, const Address& from, BaseServer& by) {
  request->sendall(std::to_string(getpid()) + "\n");
  echo(request, from, by);
}

/// Returns a client of tell_process(), and the number of the process.
std::pair<Socket, pid_t> client_of_child(const BaseServer& server) {
  Socket client = client_of(server.server_address);
  std::string text;
  while (text.find('\n') == std::string::npos) text += client.recv(1);
  EXPECT_EQ(client.recv(1), "!");
  return {std::move(client), std::stoi(text)};
}

TEST(AChildOfAServer, IsEndedBySIGTERMWhenTheTimeIsOver) {
  ForkingTCPServer server(kAnyPort, &tell_process);
  auto ended = serve(server);
  auto [client, child] = client_of_child(server);
  // When a second client has been served, the server knows of the first child and has closed its
  // own copy of the first connection.
  auto another = client_of_child(server);
  std::raise(SIGINT);
  EXPECT_EQ(ended.get(), SIGINT);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  EXPECT_EQ(client.recv(1), "");
}

TEST(AChildOfAServer, TakesNoNoticeOfTheOtherSignals) {
  ForkingTCPServer server(kAnyPort, &tell_process);
  auto ended = serve(server, {.drain = std::nullopt});
  auto [client, child] = client_of_child(server);
  kill(child, SIGINT);
  client.sendall("x");
  EXPECT_EQ(client.recv(1), "x");
  EXPECT_EQ(ended.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  std::raise(SIGTERM);
  client.shutdown(SHUT::WR);
  EXPECT_EQ(ended.get(), SIGTERM);
}

#ifndef __SANITIZE_THREAD__  // it forbids signal handlers and new threads in a forked child

TEST(AForkedChild, ThatIsNotAServersTakesSignalsAsBefore) {
  TCPServer server(kAnyPort, &echo);
  auto ended = serve(server);
  EXPECT_EQ(ask(server.server_address, "x"), "!x");
  const auto raised = [](int signal) {
    return run_in_child([signal] {
      std::raise(signal);
      return 7;
    });
  };
  EXPECT_EQ(raised(SIGTERM), 1000 + SIGTERM);
  EXPECT_EQ(raised(SIGINT), 1000 + SIGINT);
  EXPECT_EQ(ended.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  std::raise(SIGTERM);
  EXPECT_EQ(ended.get(), SIGTERM);
}

template <class Server>
class InAForkedChild : public testing::Test {};
TYPED_TEST_SUITE(InAForkedChild, Servers);

TYPED_TEST(InAForkedChild, TheServerOfItsParentMayServe) {
  TypeParam server(kAnyPort, &echo);
  {
    const Serving serving(server);
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
  }
  const int status = run_in_child([&] {
    auto in_child = serve(server, {.drain = std::nullopt});
    if (ask(server.server_address, "x") != "!x") return 1;
    std::raise(SIGTERM);
    if (in_child.get() != SIGTERM) return 2;
    server.server_close();
    return 0;
  });
  EXPECT_EQ(status, 0);
  const Serving serving(server);
  EXPECT_EQ(ask(server.server_address, "y"), "!y");
}

#endif

// --- signals before and after ---

std::atomic<int> raised_before{0};
void count_signal(int) { ++raised_before; }

TEST(TheSignals, AreGivenBackAsTheyWere) {
  const auto before = std::signal(SIGUSR1, &count_signal);
  const auto ignored = std::signal(SIGUSR2, SIG_IGN);
  raised_before = 0;
  {
    TCPServer server(kAnyPort, &echo);
    auto ended = serve(server, {.signals = {SIGUSR2, SIGUSR1, SIGUSR1}});
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
    std::raise(SIGUSR1);
    EXPECT_EQ(ended.get(), SIGUSR1);
  }
  {
    TCPServer server(kAnyPort, &echo);
    auto ended = serve(server, {.signals = {SIGUSR2}});
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
    std::raise(SIGUSR2);
    EXPECT_EQ(ended.get(), SIGUSR2);
  }
  EXPECT_EQ(raised_before, 0);
  std::raise(SIGUSR1);
  EXPECT_EQ(raised_before, 1);
  EXPECT_EQ(action_of(SIGUSR2).sa_handler, SIG_IGN);
  std::signal(SIGUSR1, before);
  std::signal(SIGUSR2, ignored);
}

TEST(TheSignals, AreNotGivenBackOverWhatAnotherPartOfTheProgramHasSet) {
  const auto before = std::signal(SIGUSR1, SIG_DFL);
  TCPServer server(kAnyPort, &echo);
  auto ended = serve(server, {.signals = {SIGUSR1, SIGUSR2}});
  EXPECT_EQ(ask(server.server_address, "x"), "!x");
  std::signal(SIGUSR1, &count_signal);
  std::raise(SIGUSR2);
  EXPECT_EQ(ended.get(), SIGUSR2);
  EXPECT_EQ(action_of(SIGUSR1).sa_handler, &count_signal);
  std::signal(SIGUSR1, before);
}

TEST(TheSignals, EndEveryServerThatWaitsForThem) {
  const auto before = action_of(SIGTERM).sa_handler;
  TCPServer first(kAnyPort, &echo);
  ThreadingTCPServer second(kAnyPort, &echo);
  TCPServer third(kAnyPort, &echo);
  auto first_ended = serve(first);
  auto second_ended = serve(second);
  auto third_ended = serve(third, {.signals = {SIGINT}});
  for (const BaseServer* server :
       {static_cast<BaseServer*>(&first), static_cast<BaseServer*>(&second),
        static_cast<BaseServer*>(&third)})
    EXPECT_EQ(ask(server->server_address, "x"), "!x");
  first.stop_serving();
  EXPECT_EQ(first_ended.get(), 0);
  std::raise(SIGTERM);
  EXPECT_EQ(second_ended.get(), SIGTERM);
  EXPECT_EQ(action_of(SIGTERM).sa_handler, before);
  EXPECT_EQ(ask(third.server_address, "x"), "!x");
  std::raise(SIGINT);
  EXPECT_EQ(third_ended.get(), SIGINT);
}

#ifndef __SANITIZE_THREAD__  // it delays a signal until its thread makes certain calls
TEST(TheSignals, MayComeToAnyThread) {
  for (const bool to_the_serving_one : {true, false}) {
    TCPServer server(kAnyPort, &echo);
    std::promise<int> ended;
    std::thread serving([&] { ended.set_value(server.serve_until_signal()); });
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
    auto ends = socketpair();
    std::thread other([&] { ends.second.recv(1); });
    pthread_kill((to_the_serving_one ? serving : other).native_handle(), SIGTERM);
    EXPECT_EQ(ended.get_future().get(), SIGTERM);
    ends.first.close();
    serving.join();
    other.join();
  }
}
#endif

TEST(TheSignals, ThatAreBlockedAndHaveComeBeforeEndTheServer) {
  const int status = run_in_child([] {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    kill(getpid(), SIGTERM);
    TCPServer server(kAnyPort, &echo);
    if (server.serve_until_signal() != SIGTERM) return 1;
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, SIGTERM) == 1 ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
}

#ifndef __SANITIZE_THREAD__  // it delays signals in a forked child
TEST(TheSignals, EndTheProgramAfterTheTimeForAHandlerThatNeverReturns) {
  const int status = run_in_child([] {
    std::promise<void> begun;
    TCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
      begun.set_value();
      while (!request->recv(1).empty()) {
      }
      std::raise(SIGTERM);  // the connection has been shut down; now act as an impatient user
      for (;;) pause();
    });
    auto ended = serve(server, {.drain = std::nullopt});
    Socket client = client_of(server.server_address);
    begun.get_future().wait();
    std::raise(SIGTERM);
    std::raise(SIGTERM);
    return ended.get();
  });
  EXPECT_EQ(status, 1000 + SIGTERM);
}
#endif

TEST(TheSignals, ThatCannotBeTakenAreRefused) {
  const auto before = action_of(SIGUSR1).sa_handler;
  TCPServer server(kAnyPort, &echo);
  for (const int bad : {0, -1, 65, SIGKILL}) {
    const std::vector<int> signals{SIGUSR1, bad};
    EXPECT_EQ(
        text_of_error<OSError>([&] { server.serve_until_signal({.signals = signals}); }),
        "[Errno 22] Invalid argument: the signals that end a server: 10 " + std::to_string(bad));
    EXPECT_EQ(action_of(SIGUSR1).sa_handler, before);
  }
  const Serving serving(server);
  EXPECT_EQ(ask(server.server_address, "x"), "!x");
}

TEST(TheSignals, AreGivenBackWhenServingThrows) {
  const auto before = action_of(SIGTERM).sa_handler;
  TCPServer closed(kAnyPort, &echo, false);
  closed.server_close();
  EXPECT_THROW(closed.serve_until_signal(), ValueError);
  EXPECT_EQ(action_of(SIGTERM).sa_handler, before);
}

}  // namespace
}  // namespace plug
