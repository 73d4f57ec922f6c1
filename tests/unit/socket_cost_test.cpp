// Tests the costs of a call that can be counted: its system calls and its allocations.

#include <plug/ancillary.hpp>
#include <plug/fiber.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <csignal>

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/allocations.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using Call = std::function<void()>;
using Numbers = std::vector<long>;

/// Returns the next system call that a stopped child begins; -1 when the child ends.
long next_call(pid_t child) {
  for (;;) {
    int status = 0;
    if (ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) != 0 || waitpid(child, &status, 0) < 0 ||
        !WIFSTOPPED(status))
      return -1;
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
    __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, child, reinterpret_cast<void*>(sizeof info), &info) <= 0)
      return -1;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) return static_cast<long>(info.entry.nr);
  }
}

constexpr long kMark = SYS_getppid;

void mark() { syscall(kMark); }

/// Returns the system calls that `body` makes between its two mark()s in a child process. If
/// tracing is forbidden, returns an empty list and sets `allowed` to false.
Numbers system_calls_between_marks(const Call& body, bool& allowed) {
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
    raise(SIGSTOP);
    body();
    _exit(0);
  }
  Numbers made;
  int status = 0;
  allowed = waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
            ptrace(PTRACE_SETOPTIONS, child, nullptr,
                   reinterpret_cast<void*>(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0;
  if (WIFEXITED(status)) return made;
  int marks = 0;
  for (long number = 0; marks < 2 && (number = next_call(child)) >= 0;) {
    if (number == kMark)
      ++marks;
    else if (marks == 1)
      made.push_back(number);
  }
  allowed = allowed && marks == 2;
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return made;
}

/// Returns the system calls that `call` makes when it is called for the second time.
Numbers system_calls(const Call& call, bool& allowed) {
  return system_calls_between_marks(
      [&] {
        call();
        mark();
        call();
        mark();
      },
      allowed);
}

/// A socket with messages of 64 bytes to receive, and a socket to answer on; datagrams or a stream.
struct Ends {
  explicit Ends(Timeout timeout, SOCK type = SOCK::STREAM)
      : Ends(timeout, type == SOCK::STREAM
                          ? socketpair()
                          : std::pair(Socket(AF::INET, type), Socket(AF::INET, type))) {}

  Ends(Timeout timeout, std::pair<Socket, Socket> ends)
      : sock(std::move(ends.first)), peer(std::move(ends.second)) {
    if (sock.type() == SOCK::DGRAM) {
      sock.bind({"127.0.0.1", 0});
      peer.bind({"127.0.0.1", 0});
      peer.connect(sock.getsockname());
      name = peer.getsockname();
    }
    sock.settimeout(timeout);
    for (int i = 0; i < 8; ++i) peer.sendall(message);
  }

  const std::string message = std::string(64, 'x');
  char buffer[64];
  Socket sock;
  Socket peer;
  Address name;
};

struct Row {
  const char* name;
  SOCK type;
  void (*call)(Ends&);
  long number;  ///< the one system call that it makes
  std::size_t most_allocations;
};

const Row kRows[] = {
    {"recv_into", SOCK::STREAM, [](Ends& ends) { ends.sock.recv_into(ends.buffer); }, SYS_recvfrom,
     0},
    {"recv", SOCK::STREAM, [](Ends& ends) { ends.sock.recv(64); }, SYS_recvfrom, 1},
    {"recv of much", SOCK::STREAM, [](Ends& ends) { ends.sock.recv(1 << 18); }, SYS_recvfrom, 1},
    {"send", SOCK::STREAM, [](Ends& ends) { std::ignore = ends.sock.send(ends.message); },
     SYS_sendto, 0},
    {"sendall", SOCK::STREAM, [](Ends& ends) { ends.sock.sendall(ends.message); }, SYS_sendto, 0},
    {"sendto", SOCK::DGRAM, [](Ends& ends) { ends.sock.sendto(ends.message, ends.name); },
     SYS_sendto, 0},
    {"recvfrom_into", SOCK::DGRAM, [](Ends& ends) { ends.sock.recvfrom_into(ends.buffer); },
     SYS_recvfrom, 0},
};

TEST(Cost, OfACallThatNeedNotWaitIsOneSystemCallWithATimeoutAndWithout) {
  for (const Timeout& timeout : {Timeout(std::nullopt), Timeout(5.0)}) {
    for (const Row& row : kRows) {
      SCOPED_TRACE(std::string(row.name) + ", timeout " + to_string(timeout));
      // Only one call of "recv of much" has something to receive.
      if (std::string_view(row.name) == "recv of much") continue;
      Ends ends(timeout, row.type);
      bool allowed = false;
      const Numbers made = system_calls([&] { row.call(ends); }, allowed);
      if (!allowed) GTEST_SKIP() << "processes may not be traced here";
      EXPECT_EQ(made, Numbers{row.number});
    }
  }
}

TEST(Cost, OfSendingALittleFileIsItsReadingAndItsSending) {
  const TemporaryDirectory directory;
  const OwnedFd file(::open((directory / "little").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const std::string content(1024, 'x');
  ASSERT_EQ(::write(file.fileno(), content.data(), content.size()), 1024);
  auto [sock, peer] = socketpair();
  const auto send = [&, &s = sock](std::optional<std::int64_t> count) {
    s.sendfile(file.fileno(), 0, count);
  };
  const auto in_fiber = [&](std::optional<std::int64_t> count) {
    return [&, count] {
      fiber::run(
          [&] {
            send(count);
            mark();
            send(count);
            mark();
          },
          {.engine = fiber::Engine::epoll});
    };
  };
  bool allowed = false;
  const Numbers made = system_calls([&] { send(std::nullopt); }, allowed);
  if (!allowed) GTEST_SKIP() << "processes may not be traced here";
  const Numbers to_the_end{SYS_lseek, SYS_preadv2, SYS_sendto, SYS_preadv2, SYS_lseek};
  EXPECT_EQ(made, to_the_end);
  EXPECT_EQ(system_calls_between_marks(in_fiber(std::nullopt), allowed), to_the_end);
  const Numbers counted{SYS_lseek, SYS_preadv2, SYS_sendto, SYS_lseek};
  EXPECT_EQ(system_calls([&] { send(1024); }, allowed), counted);
  EXPECT_EQ(system_calls_between_marks(in_fiber(1024), allowed), counted);
}

TEST(Cost, OfTheFirstReceiveFromADuplicateInAFiberIsNoQuestionForItsKind) {
  bool allowed = false;
  const Call call = [] {
    fiber::run(
        [] {
          Socket listener = create_server({"127.0.0.1", 0});
          Socket peer;
          peer.connect(listener.getsockname());
          const auto [sock, from] = listener.accept();
          Socket copy = sock.dup();
          peer.sendall("x");
          mark();
          std::ignore = copy.recv(64);
          mark();
        },
        {.engine = fiber::Engine::epoll});
  };
  const Numbers calls = system_calls_between_marks(call, allowed);
  if (!allowed) GTEST_SKIP() << "processes may not be traced here";
  EXPECT_EQ(std::count(calls.begin(), calls.end(), SYS_recvfrom), 1);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), SYS_getsockopt), 0);
}

TEST(Cost, IsNoMemoryButThatOfAResult) {
  for (const Timeout& timeout : {Timeout(std::nullopt), Timeout(5.0)}) {
    for (const Row& row : kRows) {
      SCOPED_TRACE(std::string(row.name) + ", timeout " + to_string(timeout));
      Ends ends(timeout, row.type);
      row.call(ends);
      if (row.type == SOCK::STREAM) ends.peer.sendall(ends.message);
      allocations = {};
      row.call(ends);
      EXPECT_LE(allocations.count, row.most_allocations);
      EXPECT_LE(allocations.bytes, row.most_allocations * 65);  // the size of the data
    }
  }
}

TEST(Cost, OfABufferedLineIsOneAllocation) {
  for (const char* const mode : {"rb", "r"}) {
    Ends ends{std::nullopt};
    std::string line(100, 'x');
    line.back() = '\n';
    for (int i = 0; i < 3; ++i) ends.peer.sendall(line);
    ends.sock.recv(8 * 64);
    File file = ends.sock.makefile(mode);
    EXPECT_EQ(file.readline(), line);
    allocations = {};
    EXPECT_EQ(file.readline().size(), line.size());
    EXPECT_EQ(allocations.count, 1u);
  }
}

}  // namespace
}  // namespace plug
