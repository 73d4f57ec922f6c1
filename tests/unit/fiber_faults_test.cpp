// Tests fibers whose operations fail, are interrupted, complete only a part, or end late: each kind
// of operation in the engines' contract, on each engine.

#include <plug/fiber.hpp>
#include <plug/plug.hpp>
#include <plug/socket/batch.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "fiber/engine/fault_injection.hpp"
#include "support/engines.hpp"
#include "support/errors.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using detail::fiber::Fault;
using detail::wait::Op;
using fiber::Engine;

/// Makes the next operation of a kind meet a fault, once armed.
class OneFault final : public detail::fiber::Faults {
 public:
  OneFault(Op::Kind kind, Fault fault) : kind_(kind), fault_(fault) {
    detail::fiber::faults = this;
  }
  OneFault(const OneFault&) = delete;
  OneFault& operator=(const OneFault&) = delete;
  ~OneFault() { detail::fiber::faults = nullptr; }

  Fault next(Op::Kind kind) noexcept override {
    return kind == kind_ && std::exchange(armed_, false) ? fault_ : Fault{};
  }
  long turn() noexcept override { return std::exchange(fail_turn, 0); }

  void arm() noexcept { armed_ = true; }
  bool happened() const noexcept { return !armed_; }

  long fail_turn = 0;

 private:
  const Op::Kind kind_;
  const Fault fault_;
  bool armed_ = false;
};

// --- operations ---

const std::string kData = "0123456789";

/// A call with everything that it needs.
class Call {
 public:
  virtual ~Call() = default;
  /// Makes the call, several times if each does only a part. Returns the data that has arrived.
  virtual std::string make(Timeout timeout) = 0;
};

class Receiving : public Call {
 public:
  Receiving() { ::send(other_.fileno(), kData.data(), kData.size(), 0); }
  std::string make(Timeout timeout) override {
    one_.settimeout(timeout);
    std::string all;
    while (all.size() < kData.size()) all += some(one_);
    return all;
  }

 private:
  virtual Bytes some(Socket& sock) = 0;
  std::pair<Socket, Socket> pair_ = tcp_pair();
  Socket &one_ = pair_.first, &other_ = pair_.second;
};

struct Recv final : Receiving {
  Bytes some(Socket& sock) override { return sock.recv(100); }
};
struct RecvFrom final : Receiving {
  Bytes some(Socket& sock) override { return sock.recvfrom(100).first; }
};
struct RecvMsg final : Receiving {
  Bytes some(Socket& sock) override { return sock.recvmsg(100).data; }
};

/// Receives datagrams; a call may return several.
struct ReceiveBatch final : Call {
  std::string make(Timeout timeout) override {
    auto [one, other] = socketpair(AF::UNIX, SOCK::DGRAM);
    for (const std::string& part : {kData.substr(0, 5), kData.substr(5)})
      ::send(other.fileno(), part.data(), part.size(), 0);
    one.settimeout(timeout);
    DatagramBatch batch({.count = 4, .size = 100});
    std::string all;
    while (all.size() < kData.size()) {
      recv_batch(one, batch);
      for (const Datagram& datagram : batch)
        all.append(datagram.data().data(), datagram.data().size());
    }
    return all;
  }
};
struct SendBatch final : Call {
  std::string make(Timeout timeout) override {
    auto [one, other] = socketpair(AF::UNIX, SOCK::DGRAM);
    one.settimeout(timeout);
    DatagramBatch batch({.count = 4, .size = 100});
    batch.add(kData.substr(0, 5));
    batch.add(kData.substr(5));
    EXPECT_EQ(send_batch(one, batch), 2u);
    const std::string first = other.recv(100, MSG::DONTWAIT);
    return first + other.recv(100, MSG::DONTWAIT);
  }
};

class Sending : public Call {
 public:
  std::string make(Timeout timeout) override {
    one_.settimeout(timeout);
    for (std::size_t sent = 0; sent < kData.size();) sent += some(one_, kData.substr(sent));
    std::string all(100, ' ');
    const ssize_t got = ::recv(other_.fileno(), all.data(), all.size(), 0);
    all.resize(static_cast<std::size_t>(got));
    return all;
  }

 private:
  virtual std::size_t some(Socket& sock, const std::string& data) = 0;
  std::pair<Socket, Socket> pair_ = tcp_pair();
  Socket &one_ = pair_.first, &other_ = pair_.second;
};

struct Send final : Sending {
  std::size_t some(Socket& sock, const std::string& data) override { return sock.send(data); }
};
struct SendMsg final : Sending {
  std::size_t some(Socket& sock, const std::string& data) override {
    return sock.sendmsg({data.substr(0, 1), data.substr(1)});
  }
};
struct SendFile final : Sending {
  std::size_t some(Socket& sock, const std::string& data) override {
    const TemporaryDirectory directory;
    std::ofstream(directory / "file") << data;
    const detail::sys::OwnFd file(::open((directory / "file").c_str(), O_RDONLY | O_CLOEXEC));
    return static_cast<std::size_t>(sock.sendfile(file.get()));
  }
};
/// The file is too large to be read and sent: the kernel copies it.
struct SendLargeFile final : Call {
  std::string make(Timeout timeout) override {
    std::string data;
    while (data.size() < 200'000) data += kData;
    const TemporaryDirectory directory;
    std::ofstream(directory / "file") << data;
    const detail::sys::OwnFd file(::open((directory / "file").c_str(), O_RDONLY | O_CLOEXEC));
    auto [one, other] = tcp_pair();
    one.settimeout(timeout);
    std::string all(data.size(), ' ');
    {
      const std::jthread reader(
          [&all, fd = other.fileno()] { ::recv(fd, all.data(), all.size(), MSG_WAITALL); });
      Socket sender = std::move(one);  // closed before the reader is joined
      sender.sendfile(file.get());
    }
    return all == data ? kData : "other bytes";
  }
};
/// The pipe is filled once somebody waits for it, unless `at_once`.
struct SendPipe : Sending {
  explicit SendPipe(bool at_once = true) : at_once_(at_once) {}
  std::size_t some(Socket& sock, const std::string& data) override {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return 0;
    const detail::sys::OwnFd reader(ends[0]);
    detail::sys::OwnFd writer(ends[1]);
    const auto fill = [&] {
      EXPECT_EQ(::write(writer.get(), data.data(), data.size()), ssize_t(data.size()));
      writer = detail::sys::OwnFd();
    };
    if (at_once_) fill();
    auto filling = fiber::spawn([&] {
      if (!at_once_) fill();
    });
    try {
      const auto sent = static_cast<std::size_t>(sock.sendfile(reader.get()));
      filling.join();
      return sent;
    } catch (...) {
      filling.join();
      throw;
    }
  }
  const bool at_once_;
};
struct WaitForPipe final : SendPipe {
  WaitForPipe() : SendPipe(false) {}
};

struct SendTo final : Call {
  std::string make(Timeout timeout) override {
    Socket sender(AF::INET, SOCK::DGRAM), receiver(AF::INET, SOCK::DGRAM);
    receiver.bind({"127.0.0.1", 0});
    sender.settimeout(timeout);
    sender.sendto(kData, receiver.getsockname());
    std::string all(100, ' ');
    const ssize_t got = ::recv(receiver.fileno(), all.data(), all.size(), 0);
    return all.substr(0, static_cast<std::size_t>(got));
  }
};

struct Accept final : Call {
  std::string make(Timeout timeout) override {
    Socket listener = tcp_listener();
    const Socket client(AF::INET, SOCK::STREAM);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(listener.getsockname().port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::connect(client.fileno(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    listener.settimeout(timeout);
    return listener.accept().second == client.getsockname() ? kData : "another";
  }
};

struct Connect final : Call {
  std::string make(Timeout timeout) override {
    const Socket listener = tcp_listener();
    Socket client(AF::INET, SOCK::STREAM);
    client.settimeout(timeout);
    client.connect(listener.getsockname());
    return client.getpeername() == listener.getsockname() ? kData : "another";
  }
};

struct Select final : Call {
  std::string make(Timeout timeout) override {
    auto [one, other] = socketpair();
    ::send(other.fileno(), "x", 1, 0);
    const Selected ready = timeout.is_none() ? select({one}, {}, {}) : select({one}, {}, {}, 10);
    return ready.readable.size() == 1 ? kData : "not ready";
  }
};

template <class T>
std::unique_ptr<Call> make() {
  return std::make_unique<T>();
}

struct Operation {
  const char* name;
  Op::Kind kind;
  std::unique_ptr<Call> (*prepare)();
  bool in_parts;      // continues after a part has been done
  bool may_not_wait;  // can be asked not to wait, and need not wait
  bool is_submitted;  // to io_uring, if there is no timeout
};

void PrintTo(const Operation& operation, std::ostream* out) { *out << operation.name; }

constexpr Operation kOperations[] = {
    {"recv", Op::Kind::receive, make<Recv>, true, true, true},
    {"recvfrom", Op::Kind::receive_from, make<RecvFrom>, true, true, true},
    {"recvmsg", Op::Kind::receive_message, make<RecvMsg>, true, true, true},
    {"send", Op::Kind::send, make<Send>, true, true, true},
    {"sendto", Op::Kind::send_to, make<SendTo>, false, true, true},
    {"sendmsg", Op::Kind::send_message, make<SendMsg>, true, true, true},
    {"recv_batch", Op::Kind::receive_batch, make<ReceiveBatch>, true, true, false},
    {"send_batch", Op::Kind::send_batch, make<SendBatch>, true, true, false},
    // A small file, which plug reads and sends.
    {"sendfile", Op::Kind::send, make<SendFile>, true, false, false},
    {"sendfile_large", Op::Kind::send_file, make<SendLargeFile>, true, false, false},
    {"splice", Op::Kind::send_pipe, make<SendPipe>, true, false, false},
    {"accept", Op::Kind::accept, make<Accept>, false, true, true},
    {"connect", Op::Kind::connect, make<Connect>, false, true, true},
    // Submitted; but a call that ends without having noticed the readiness does not lose it.
    {"ready", Op::Kind::ready, make<WaitForPipe>, false, false, false},
    {"select", Op::Kind::ready, make<Select>, false, false, false},
};

class EachOperation : public testing::TestWithParam<std::tuple<Engine, Operation>> {
 protected:
  Engine engine() const { return std::get<0>(GetParam()); }
  const Operation& operation() const { return std::get<1>(GetParam()); }
  void SetUp() override {
    if (engine() == Engine::uring && !has_uring()) GTEST_SKIP() << "no io_uring here";
  }
};
class EachOperationAtOnce : public EachOperation {};
class EachOperationInParts : public EachOperation {};
class EachOperationOfIoUring : public EachOperation {};

auto operations(bool (*which)(const Operation&)) {
  std::vector<Operation> all;
  std::copy_if(std::begin(kOperations), std::end(kOperations), std::back_inserter(all), which);
  return testing::ValuesIn(all);
}

std::string name_of_test(const testing::TestParamInfo<std::tuple<Engine, Operation>>& tested) {
  return name_of(std::get<0>(tested.param)) + "_" + std::get<1>(tested.param).name;
}

const auto kBoth = testing::Values(Engine::epoll, Engine::uring);
INSTANTIATE_TEST_SUITE_P(On, EachOperation,
                         testing::Combine(kBoth, operations([](const Operation&) { return true; })),
                         name_of_test);
INSTANTIATE_TEST_SUITE_P(On, EachOperationAtOnce,
                         testing::Combine(kBoth, operations([](const Operation& operation) {
                                            return operation.may_not_wait;
                                          })),
                         name_of_test);
INSTANTIATE_TEST_SUITE_P(On, EachOperationInParts,
                         testing::Combine(kBoth, operations([](const Operation& operation) {
                                            return operation.in_parts;
                                          })),
                         name_of_test);
INSTANTIATE_TEST_SUITE_P(On, EachOperationOfIoUring,
                         testing::Combine(testing::Values(Engine::uring),
                                          operations([](const Operation& operation) {
                                            return operation.is_submitted;
                                          })),
                         name_of_test);

/// Calls test(call) in a fiber, while another fiber waits for something else.
template <class F>
void beside_another(Engine engine, const Operation& operation, F test) {
  run_cleanly(engine, [&] {
    auto [one, peer] = socketpair();
    auto other = fiber::spawn([&s = one] { return s.recv(1); });
    const std::unique_ptr<Call> call = operation.prepare();
    fiber::yield();
    test(*call);
    ::send(peer.fileno(), "!", 1, 0);
    EXPECT_EQ(other.join(10), "!");
  });
}

TEST_P(EachOperation, ThatFailsTellsWhoAskedAndNobodyElse) {
  for (const int error : {ECONNRESET, ENOBUFS, EIO, ECANCELED, ENOMEM}) {
    for (const Timeout timeout : {Timeout(std::nullopt), Timeout(10)}) {
      SCOPED_TRACE(testing::Message() << "error " << error);
      OneFault fault(operation().kind, {Fault::Kind::result, -error});
      beside_another(engine(), operation(), [&](Call& call) {
        fault.arm();
        const auto body = [&] { call.make(timeout); };
        if (error == ECONNRESET)
          EXPECT_EQ(number_of_error<ConnectionResetError>(body), error);
        else
          EXPECT_EQ(number_of_error(body), error);
        EXPECT_TRUE(fault.happened());
      });
    }
  }
}

TEST_P(EachOperationAtOnce, ThatFailsTellsWhoAsked) {
  for (const int error : {EIO, EAGAIN}) {
    OneFault fault(operation().kind, {Fault::Kind::result, -error});
    beside_another(engine(), operation(), [&](Call& call) {
      fault.arm();
      const auto body = [&] { call.make(0); };
      if (error == EAGAIN)
        EXPECT_EQ(number_of_error<BlockingIOError>(body), error);
      else
        EXPECT_EQ(number_of_error(body), error);
      EXPECT_TRUE(fault.happened());
    });
  }
}

TEST_P(EachOperation, ThatIsInterruptedOrNotReadyAfterAllGoesOn) {
  for (const int error : {EINTR, EAGAIN}) {
    if (error == EAGAIN && operation().kind == Op::Kind::ready) continue;  // it never reports that
    for (const Timeout timeout : {Timeout(std::nullopt), Timeout(10)}) {
      SCOPED_TRACE(testing::Message() << "error " << error);
      OneFault fault(operation().kind, {Fault::Kind::result, -error});
      beside_another(engine(), operation(), [&](Call& call) {
        fault.arm();
        EXPECT_EQ(call.make(timeout), kData);
        EXPECT_TRUE(fault.happened());
      });
    }
  }
}

TEST_P(EachOperationInParts, GoesOnWithTheRest) {
  for (const long most : {1, 9}) {
    for (const Timeout timeout : {Timeout(std::nullopt), Timeout(10)}) {
      OneFault fault(operation().kind, {Fault::Kind::at_most, most});
      beside_another(engine(), operation(), [&](Call& call) {
        fault.arm();
        EXPECT_EQ(call.make(timeout), kData);
        EXPECT_TRUE(fault.happened());
      });
    }
  }
}

TEST_P(EachOperationOfIoUring, ThatEndsAfterItWasAskedToEndEarlyLosesNothing) {
  OneFault fault(operation().kind, {Fault::Kind::late, 0});
  beside_another(engine(), operation(), [&](Call& call) {
    fault.arm();
    auto caller = fiber::spawn([&] {
      const std::string result = call.make(std::nullopt);
      EXPECT_THROW(fiber::sleep(10), CancelledError);
      return result;
    });
    while (!fault.happened()) fiber::yield();
    fiber::sleep(0.01);
    EXPECT_FALSE(caller.done());
    caller.cancel();
    EXPECT_EQ(caller.join(10), kData);
  });
}

TEST_P(EachOperationOfIoUring, ThatEndsAtItsTimeoutLosesNothing) {
  // With a timeout, connecting is a plain system call.
  if (operation().kind == Op::Kind::connect) return;
  OneFault fault(operation().kind, {Fault::Kind::late, 0});
  beside_another(engine(), operation(), [&](Call& call) {
    fault.arm();
    EXPECT_EQ(call.make(0.05), kData);
    EXPECT_TRUE(fault.happened());
  });
}

// --- calls that consist of several operations ---

PLUG_ON_EACH_ENGINE(OnEngine);

TEST_P(OnEngine, AllIsReceivedAndSentInSpiteOfInterruptionsAndParts) {
  for (const Fault fault : {Fault{Fault::Kind::result, -EINTR}, Fault{Fault::Kind::result, -EAGAIN},
                            Fault{Fault::Kind::at_most, 1}}) {
    for (const Op::Kind kind : {Op::Kind::receive, Op::Kind::send, Op::Kind::ready}) {
      if (kind == Op::Kind::ready && fault.value != -EINTR) continue;
      OneFault one_fault(kind, fault);
      run([&] {
        auto [one, other] = tcp_pair();
        one_fault.arm();
        auto reader = fiber::spawn([&s = one] { return s.recv(8, MSG::WAITALL); });
        other.sendall("1234");
        fiber::sleep(0.002);
        other.sendall("5678");
        EXPECT_EQ(reader.join(10), "12345678");
      });
      EXPECT_TRUE(one_fault.happened());
    }
  }
}

TEST_P(OnEngine, AWaitThatIsInterruptedAsksTheHookAndGoesOn) {
  OneFault fault(Op::Kind::ready, {});
  static int asked;
  asked = 0;
  const InterruptHook before = set_interrupt_hook([] {
    ++asked;
    return std::errc{};
  });
  run([&] {
    auto [one, other] = socketpair();
    auto sender = fiber::spawn([&s = other] {
      fiber::sleep(0.005);
      s.sendall("x");
    });
    fault.fail_turn = -EINTR;
    EXPECT_EQ(one.recv(1), "x");
    sender.join();
  });
  set_interrupt_hook(before);
  // The kernel also interrupts a thread when it destroys the rings of earlier runs.
  EXPECT_GE(asked, 1);
}

// --- rings ---

class SmallRings final : public detail::fiber::Faults {
 public:
  SmallRings() { detail::fiber::faults = this; }
  SmallRings(const SmallRings&) = delete;
  SmallRings& operator=(const SmallRings&) = delete;
  ~SmallRings() { detail::fiber::faults = nullptr; }

  Fault next(Op::Kind /*kind*/) noexcept override { return {}; }
  unsigned submissions() const noexcept override { return 4; }
  unsigned completions() const noexcept override { return 8; }
  void overflowed() noexcept override { ++overflows; }

  int overflows = 0;
};

TEST(RingsThatOverflow, LoseNothing) {
  if (!has_uring()) GTEST_SKIP() << "no io_uring here";
  constexpr std::size_t kMany = 200;
  SmallRings rings;
  run_cleanly(Engine::uring, [] {
    std::vector<std::pair<Socket, Socket>> pairs;
    std::vector<fiber::Task<Bytes>> readers;
    for (std::size_t i = 0; i < kMany; ++i) pairs.push_back(socketpair());
    for (int round = 0; round < 3; ++round) {
      readers.clear();
      for (auto& [one, other] : pairs)
        readers.push_back(fiber::spawn([&s = one] { return s.recv(1); }));
      fiber::sleep(0.001);
      for (auto& [one, other] : pairs) ::send(other.fileno(), "x", 1, 0);
      for (auto& reader : readers) EXPECT_EQ(reader.join(20), "x");
    }
    // Cancelled operations complete too.
    readers.clear();
    for (auto& [one, other] : pairs)
      readers.push_back(fiber::spawn([&s = one] { return s.recv(1); }));
    fiber::sleep(0.001);
    for (auto& reader : readers) reader.cancel();
    for (auto& reader : readers) EXPECT_THROW(reader.join(20), CancelledError);
  });
  EXPECT_GT(rings.overflows, 0);
}

}  // namespace
}  // namespace plug
