// Tests calls whose wait is told too early that it is over. Regardless of poll(2)'s reports,
// each call ends when its timeout expires, neither earlier nor much later, and sleeps until then.
// Covers every call, with every wrong report about its socket, on a plain thread and on each
// engine.
//
// With PLUG_LONG_WAITS in the environment the waits are longer, so the count of system calls is
// more exact.

#include <plug/fiber.hpp>
#include <plug/framing.hpp>
#include <plug/plug.hpp>
#include <plug/socket/batch.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "support/engines.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"
#include "support/traced.hpp"

namespace plug {
namespace {

/// The socket that waits, and all objects that it needs.
struct Scene {
  Scene(Socket first, Socket second) : sock(std::move(first)), peer(std::move(second)) {}

  Socket sock;
  Socket peer;
  std::vector<Socket> others{};
  Address to{};
  TemporaryDirectory directory{};
};
using Setting = std::unique_ptr<Scene>;

Setting setting(std::pair<Socket, Socket> pair) {
  return std::make_unique<Scene>(std::move(pair.first), std::move(pair.second));
}

void set_option(Socket& sock, int level, int name, int value) {
  if (::setsockopt(sock.fileno(), level, name, &value, sizeof value) != 0)
    throw std::runtime_error("setsockopt");
}

short poll_of(const Socket& sock, short events) {
  pollfd entry{sock.fileno(), events, 0};
  return ::poll(&entry, 1, 1'000) == 1 ? entry.revents : short{0};
}

/// Puts an entry into a socket's error queue: the time at which a byte was sent.
void fill_error_queue(Socket& sock) {
  set_option(
      sock, SOL_SOCKET, SO_TIMESTAMPING,
      SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY);
  sock.sendall("x");
  if ((poll_of(sock, 0) & POLLERR) == 0) throw std::runtime_error("nothing in the error queue");
  set_option(sock, SOL_SOCKET, SO_TIMESTAMPING, 0);
}

bool is_long() { return std::getenv("PLUG_LONG_WAITS") != nullptr; }

/// Sends until the peer has no room left, not even a while later.
void fill(const Socket& sock) {
  const std::string block(65'536, 'x');
  for (int quiet = 0; quiet < (is_long() ? 150 : 10); ++quiet) {
    for (std::size_t size = block.size(); size > 0; size /= 2)
      while (::send(sock.fileno(), block.data(), size, MSG_DONTWAIT) > 0) quiet = 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// --- reports about the socket ---

Setting silent_tcp() { return setting(tcp_pair()); }
Setting silent_unix() { return setting(socketpair()); }
Setting silent_datagrams() { return setting(socketpair(AF::UNIX, SOCK::DGRAM)); }

Setting tcp_with_errors() {
  Setting made = setting(tcp_pair());
  fill_error_queue(made->sock);
  return made;
}

/// A datagram socket whose peer refuses: its error queue has an entry.
Setting udp_with_errors() {
  Socket closed(AF::INET, SOCK::DGRAM);
  closed.bind({"127.0.0.1", 0});
  Setting made = setting({Socket(AF::INET, SOCK::DGRAM), Socket(AF::INET, SOCK::DGRAM)});
  set_option(made->sock, IPPROTO_IP, IP_RECVERR, 1);
  made->sock.connect(closed.getsockname());
  closed.close();
  made->sock.sendall("x");
  if ((poll_of(made->sock, 0) & POLLERR) == 0) throw std::runtime_error("not refused");
  made->sock.getsockopt(SOL::SOCKET, SO::ERROR_);
  return made;
}

Setting below_low_water() {
  Setting made = setting(tcp_pair());
  made->sock.setsockopt(SOL::SOCKET, SO::RCVLOWAT, 10);
  made->peer.sendall("abc");
  return made;
}

Setting with_data() {
  Setting made = setting(tcp_pair());
  made->peer.sendall("abc");
  poll_of(made->sock, POLLIN);
  return made;
}

Setting with_data_and_errors() {
  Setting made = tcp_with_errors();
  made->peer.sendall("abc");
  poll_of(made->sock, POLLIN);
  return made;
}

Setting with_urgent_data() {
  Setting made = setting(tcp_pair());
  made->peer.sendall("!", MSG::OOB);
  poll_of(made->sock, POLLPRI);
  return made;
}

/// A socket whose data has all been peeked at.
Setting peeked_at() {
  Setting made = setting(socketpair());
  set_option(made->sock, SOL_SOCKET, SO_PEEK_OFF, 3);
  made->peer.sendall("abc");
  return made;
}

/// A pair with buffers that do not grow while they are full.
Setting narrow_tcp() {
  Setting made = setting(tcp_pair());
  made->sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 200'000);
  made->peer.setsockopt(SOL::SOCKET, SO::RCVBUF, 200'000);
  return made;
}
Setting full_tcp() {
  Setting made = narrow_tcp();
  fill(made->sock);
  return made;
}
Setting full_tcp_with_errors() {
  Setting made = narrow_tcp();
  fill_error_queue(made->sock);
  fill(made->sock);
  return made;
}
Setting full_unix() {
  Setting made = setting(socketpair());
  fill(made->sock);
  return made;
}

/// An unconnected socket, and a receiver of datagrams whose queue is full.
Setting full_receiver() {
  Setting made = setting({Socket(AF::UNIX, SOCK::DGRAM), Socket(AF::UNIX, SOCK::DGRAM)});
  made->peer.bind(UnixAddress(made->directory / "to"));
  made->to = made->peer.getsockname();
  for (std::error_code error; !error;) made->sock.sendto("x", made->to, error, MSG::DONTWAIT);
  return made;
}
/// The same, but other sockets have filled the queue, and the socket is connected to the receiver.
Setting full_peer() {
  Setting made = full_receiver();
  made->others.push_back(std::exchange(made->sock, Socket(AF::UNIX, SOCK::DGRAM)));
  made->sock.connect(made->to);
  return made;
}
Setting full_of_others() {
  Setting made = full_receiver();
  made->others.push_back(std::exchange(made->sock, Socket(AF::UNIX, SOCK::DGRAM)));
  return made;
}

Setting listener() { return setting({tcp_listener(), Socket(AF::INET, SOCK::DGRAM)}); }

Setting full_unix_listener() {
  Setting made = setting({Socket(AF::UNIX), Socket(AF::UNIX)});
  made->peer.bind(UnixAddress(made->directory / "to"));
  made->peer.listen(0);
  made->to = made->peer.getsockname();
  for (std::error_code error; !error;) {
    made->others.emplace_back(AF::UNIX);
    made->others.back().setblocking(false);
    made->others.back().connect(made->to, error);
  }
  return made;
}
Setting full_tcp_listener() {
  static std::vector<std::unique_ptr<FullListener>> full;
  full.push_back(std::make_unique<FullListener>());
  Setting made = setting({Socket(), Socket(AF::INET, SOCK::DGRAM)});
  made->to = full.back()->address();
  return made;
}

// --- calls ---

using Call = std::function<void(Scene&)>;
struct NamedCall {
  const char* name;
  Call call;
};

const std::string kMuch(100'000, 'y');

void receive_batch(Scene& scene) {
  DatagramBatch batch({.count = 4, .size = 100});
  recv_batch(scene.sock, batch);
}

void send_batch_to(Scene& scene, const Address& to) {
  DatagramBatch batch({.count = 2, .size = 100});
  batch.add("x", to);
  batch.add("y", to);
  send_batch(scene.sock, batch);
}

void send_file(Scene& scene) {
  const auto path = scene.directory / "file";
  std::ofstream(path) << kMuch;
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  scene.sock.sendfile(file.fileno());
}

void send_pipe(Scene& scene) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "abc", 3), 3);
  scene.sock.sendfile(ends[0]);
}

void send_empty_pipe(Scene& scene) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  scene.sock.sendfile(ends[0]);
}

void send_counter(Scene& scene) { scene.sock.sendfile(::eventfd(1, 0)); }
void send_empty_counter(Scene& scene) { scene.sock.sendfile(::eventfd(0, 0)); }

std::vector<NamedCall> receives() {
  return {{"recv", [](Scene& s) { s.sock.recv(100); }},
          {"recv_much", [](Scene& s) { s.sock.recv(100'000); }},
          {"recv_into",
           [](Scene& s) {
             char room[100];
             s.sock.recv_into(room);
           }},
          {"recvfrom", [](Scene& s) { s.sock.recvfrom(100); }},
          {"recvmsg", [](Scene& s) { s.sock.recvmsg(100, 100); }},
          {"peek", [](Scene& s) { s.sock.recv(100, MSG::PEEK); }}};
}
std::vector<NamedCall> stream_receives() {
  std::vector<NamedCall> calls = receives();
  calls.push_back({"readline", [](Scene& s) { (void)s.sock.makefile("rb").readline(); }});
  calls.push_back({"framer", [](Scene& s) { (void)Framer(s.sock, LengthPrefix{4}).recv(); }});
  return calls;
}
std::vector<NamedCall> datagram_receives() {
  std::vector<NamedCall> calls = receives();
  calls.push_back({"recv_batch", receive_batch});
  return calls;
}
std::vector<NamedCall> parts() {
  return {{"readline", [](Scene& s) { (void)s.sock.makefile("rb").readline(); }},
          {"read", [](Scene& s) { (void)s.sock.makefile("rb").read(10); }},
          {"framer", [](Scene& s) { (void)Framer(s.sock, LengthPrefix{4}).recv(); }},
          {"error_queue", [](Scene& s) { s.sock.recvmsg(100, 100, MSG::ERRQUEUE); }},
          {"urgent", [](Scene& s) { s.sock.recv(1, MSG::OOB); }}};
}
std::vector<NamedCall> sends() {
  return {{"send", [](Scene& s) { std::ignore = s.sock.send("x"); }},
          {"sendall", [](Scene& s) { s.sock.sendall(kMuch); }},
          {"sendmsg", [](Scene& s) {
             s.sock.sendmsg({"x", "y"});
           }}};
}
std::vector<NamedCall> stream_sends() {
  std::vector<NamedCall> calls = sends();
  calls.push_back({"write", [](Scene& s) {
                     File file = s.sock.makefile("wb", {.buffering = 0});
                     file.write(kMuch);
                   }});
  calls.push_back({"sendfile", send_file});
  calls.push_back({"sendfile_pipe", send_pipe});
  calls.push_back({"sendfile_counter", send_counter});
  return calls;
}
std::vector<NamedCall> sends_to() {
  return {{"sendto", [](Scene& s) { s.sock.sendto("x", s.to); }},
          {"sendmsg", [](Scene& s) { s.sock.sendmsg({"x"}, {}, s.to); }},
          {"send_batch", [](Scene& s) { send_batch_to(s, s.to); }}};
}
std::vector<NamedCall> connected_sends() {
  std::vector<NamedCall> calls = sends();
  calls.push_back({"send_batch", [](Scene& s) { send_batch_to(s, Address()); }});
  return calls;
}

std::vector<NamedCall> only(const char* name, Call call) { return {{name, std::move(call)}}; }

struct Situation {
  const char* name;
  Setting (*make)();
  std::vector<NamedCall> calls;
};

std::vector<Situation> situations() {
  return {
      {"silent_tcp", silent_tcp, stream_receives()},
      {"silent_tcp", silent_tcp, only("urgent", [](Scene& s) { s.sock.recv(1, MSG::OOB); })},
      {"silent_tcp", silent_tcp,
       only("error_queue", [](Scene& s) { s.sock.recv(1, MSG::ERRQUEUE); })},
      {"silent_tcp", silent_tcp, only("sendfile_empty_pipe", send_empty_pipe)},
      {"silent_tcp", silent_tcp, only("sendfile_empty_counter", send_empty_counter)},
      {"silent_unix", silent_unix, stream_receives()},
      {"silent_datagrams", silent_datagrams, datagram_receives()},
      {"tcp_with_errors", tcp_with_errors, stream_receives()},
      {"udp_with_errors", udp_with_errors, datagram_receives()},
      {"below_low_water", below_low_water, receives()},
      {"with_data", with_data, parts()},
      {"with_data_and_errors",
       with_data_and_errors,
       {parts().begin()[0], parts().begin()[1], parts().begin()[2]}},
      {"with_urgent_data", with_urgent_data, receives()},
      {"peeked_at", peeked_at, only("peek", [](Scene& s) { s.sock.recv(10, MSG::PEEK); })},
      {"full_tcp", full_tcp, stream_sends()},
      {"full_tcp_with_errors", full_tcp_with_errors, stream_sends()},
      {"full_unix", full_unix, stream_sends()},
      {"full_receiver", full_receiver, sends_to()},
      {"full_of_others", full_of_others, sends_to()},
      {"full_peer", full_peer, connected_sends()},
      {"listener", listener, only("accept", [](Scene& s) { std::ignore = s.sock.accept(); })},
      {"full_unix_listener", full_unix_listener,
       only("connect", [](Scene& s) { s.sock.connect(s.to); })},
      {"full_tcp_listener", full_tcp_listener,
       only("connect", [](Scene& s) { s.sock.connect(s.to); })},
  };
}

// --- measuring ---

enum class Mode { thread, epoll, uring };

void in_mode(Mode mode, const std::function<void()>& body) {
  if (mode == Mode::thread) return body();
  fiber::run(body, {.engine = mode == Mode::epoll ? fiber::Engine::epoll : fiber::Engine::uring});
}

struct Wait {
  std::string name;
  MeasuredBody body;
};

std::vector<Wait> all_waits(Mode mode, double seconds) {
  std::vector<Wait> waits;
  for (const Situation& situation : situations()) {
    for (const NamedCall& named : situation.calls) {
      waits.push_back(
          {std::string(named.name) + " of " + situation.name, [=](const Measure& measure) {
             in_mode(mode, [&] {
               const Setting scene = situation.make();
               scene->sock.settimeout(seconds);
               measure([&]() -> std::string {
                 try {
                   named.call(*scene);
                 } catch (const TimeoutError&) {
                   return "TimeoutError";
                 }
                 return "returns";
               });
             });
           }});
    }
  }
  return waits;
}

/// Returns the fault of a single wait; empty if there is none.
std::string fault_of(const WaitCost& cost, double seconds) {
  constexpr std::int64_t kLate = 50'000'000;  // nanoseconds
  const auto length = static_cast<std::int64_t>(seconds * 1e9);
  if (cost.outcome != "TimeoutError") return cost.outcome;
  if (cost.nanoseconds < length) return "early: " + std::to_string(cost.nanoseconds);
  // While system calls are counted, a wait may end late.
  if (cost.calls < 0 && cost.nanoseconds > std::max(cost.sleep, length) + kLate)
    return "late: " + std::to_string(cost.nanoseconds) + ", a sleep takes " +
           std::to_string(cost.sleep);
  return {};
}

/// The lengths of two equal waits, in seconds. The difference of their costs is the cost of
/// waiting.
struct Lengths {
  double shorter;
  double longer;
};

std::string fault_of_both(const WaitCost& shorter, const WaitCost& longer, Lengths lengths) {
  constexpr double kCallsPerSecond = 20;
  // For the beginning and the end of a call, a file that it opens, and the short first pauses
  // between attempts.
#ifdef PLUG_SANITIZED  // a sanitizer makes system calls of its own
  constexpr double kAround = 190;
#else
  constexpr double kAround = 35;
#endif
  for (const auto& fault : {fault_of(shorter, lengths.shorter), fault_of(longer, lengths.longer)})
    if (!fault.empty()) return fault;
  const double waiting = lengths.longer - lengths.shorter;
  // An attempt makes two system calls, and one of the waits may have one attempt more.
  if (longer.calls >= 0 &&
      static_cast<double>(longer.calls - shorter.calls) > kCallsPerSecond * waiting + 2)
    return std::to_string(longer.calls - shorter.calls) + " system calls in " +
           std::to_string(waiting) + " s";
  if (static_cast<double>(shorter.calls) > kCallsPerSecond * lengths.shorter + kAround)
    return std::to_string(shorter.calls) + " system calls";
  return {};
}

/// Returns the faults of all waits, each with the name of the wait.
std::vector<std::string> faults_of(Mode mode, Lengths lengths, bool count_calls) {
  constexpr std::size_t kTogether = 20;
  const std::vector<Wait> shorter = all_waits(mode, lengths.shorter);
  const std::vector<Wait> longer = all_waits(mode, lengths.longer);
  std::vector<std::size_t> left(shorter.size());
  std::iota(left.begin(), left.end(), 0);
  std::vector<std::string> faults;
  // A busy machine delays a wait now and then, but not in every round.
  for (int round = 0; round < 6 && !left.empty(); ++round) {
    std::vector<std::size_t> failed;
    faults.clear();
    for (std::size_t at = 0; at < left.size(); at += kTogether) {
      const std::size_t end = std::min(left.size(), at + kTogether);
      std::vector<MeasuredWait> measured;
      for (std::size_t i = at; i < end; ++i) {
        measured.push_back({shorter[left[i]].body, lengths.shorter});
        measured.push_back({longer[left[i]].body, lengths.longer});
      }
      const std::vector<WaitCost> costs = measure_waits(measured, count_calls);
      for (std::size_t i = at; i < end; ++i) {
        const std::size_t first = 2 * (i - at);
        const std::string fault = fault_of_both(costs[first], costs[first + 1], lengths);
        if (fault.empty()) continue;
        failed.push_back(left[i]);
        faults.push_back(shorter[left[i]].name + ": " + fault);
      }
    }
    left = std::move(failed);
  }
  return faults;
}

class Readiness : public testing::TestWithParam<Mode> {};

TEST_P(Readiness, EndsNoWaitEarlyOrLateAndLetsNoneSpin) {
  if (fiber::inside()) GTEST_SKIP() << "in a process of its own for each wait";
  if (GetParam() == Mode::uring && !has_uring()) GTEST_SKIP() << "no io_uring here";
  const Lengths lengths = is_long() ? Lengths{2, 6} : Lengths{0.5, 1.5};
  for (const bool count_calls : {true, false})
    EXPECT_THAT(faults_of(GetParam(), lengths, count_calls), testing::IsEmpty());
}

std::string name_of_mode(const testing::TestParamInfo<Mode>& info) {
  constexpr const char* kNames[] = {"thread", "epoll", "uring"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Modes, Readiness, testing::Values(Mode::thread, Mode::epoll, Mode::uring),
                         name_of_mode);

}  // namespace
}  // namespace plug
