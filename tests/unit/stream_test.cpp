#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/connected_pair.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "wait/io_driver.hpp"

namespace plug {
namespace {

using testing::ElementsAre;

using Pair = ConnectedPair;

template <class Error>
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no such error";
}

std::string numbered_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + '\n';
  return text;
}

/// Returns the data that has arrived, without waiting.
std::string arrived(Socket& sock) {
  const Timeout before = sock.gettimeout();
  sock.settimeout(0);
  std::error_code nothing;
  std::string bytes = sock.recv(1 << 20, nothing);
  sock.settimeout(before);
  return bytes;
}

// --- making ---

TEST(Makefile, RefusesWhatPythonRefusesAndSaysWhat) {
  Pair pair;
  const auto refusal = [&](std::string_view mode, const FileOptions& options) {
    return message_of<ValueError>([&] { pair.sock.makefile(mode, options); });
  };
  EXPECT_EQ(refusal("a", {}), "invalid mode 'a' (only r, w, b allowed)");
  EXPECT_EQ(refusal("rt", {}), "invalid mode 'rt' (only r, w, b allowed)");
  EXPECT_EQ(refusal("r+", {}), "invalid mode 'r+' (only r, w, b allowed)");
  EXPECT_EQ(refusal("r", {.buffering = 0}), "unbuffered streams must be binary");
  EXPECT_EQ(refusal("r", {.newline_ = "x"}), "illegal newline value: x");
  EXPECT_EQ(refusal("r", {.newline_ = "\n\n"}), "illegal newline value: \n\n");
  EXPECT_EQ(refusal("r", {.errors = "loud"}), "unknown error handler name 'loud'");
  for (const std::string encoding : {"klingon", "", "gbk//IGNORE", "utf-8,x"})
    EXPECT_EQ(refusal("r", {.encoding = encoding}), "unknown encoding: " + encoding);
}

TEST(Makefile, ThatFailsLeavesTheSocketAsItWas) {
  const int before = settled_descriptors();
  {
    Pair pair;
    EXPECT_THROW(pair.sock.makefile("a"), ValueError);
    EXPECT_THROW(pair.sock.makefile("r", {.encoding = "klingon"}), ValueError);
    pair.sock.close();
    EXPECT_EQ(pair.peer.recv(1), "");
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(Makefile, OfAClosedSocketGivesAFileThatFailsWhenItNeedsTheDescriptor) {
  const int before = settled_descriptors();
  {
    Pair pair;
    const Socket taken = std::move(pair.peer);
    pair.sock.close();
    for (Socket* const sock : {&pair.sock, &pair.peer}) {
      File reader = sock->makefile("r");
      EXPECT_EQ(reader.fileno(), -1);
      EXPECT_EQ(number_of_error([&] { (void)reader.read(1); }), EBADF);
      EXPECT_EQ(number_of_error([&] { (void)reader.readline(); }), EBADF);
      reader.close();
      File writer = sock->makefile("w");
      EXPECT_EQ(writer.write("x"), 1u);
      EXPECT_EQ(number_of_error([&] { writer.flush(); }), EBADF);
      EXPECT_EQ(number_of_error([&] { writer.close(); }), EBADF);
      EXPECT_TRUE(writer.closed());
    }
    EXPECT_EQ(pair.sock.fileno(), -1);
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(File, TellsItsModeAndWhatItCanDo) {
  struct Row {
    std::string asked, told;
    bool reads, writes;
  };
  const Row rows[] = {{"", "", true, false},      {"r", "r", true, false},
                      {"w", "w", false, true},    {"rw", "rw", true, true},
                      {"wr", "wr", true, true},   {"b", "rb", true, false},
                      {"br", "rb", true, false},  {"bw", "wb", false, true},
                      {"wbr", "rwb", true, true}, {"rrwwb", "rwb", true, true}};
  Pair pair;
  for (const Row& row : rows) {
    const File file = pair.sock.makefile(row.asked);
    EXPECT_EQ(file.mode(), row.told) << row.asked;
    EXPECT_EQ(file.readable(), row.reads) << row.asked;
    EXPECT_EQ(file.writable(), row.writes) << row.asked;
    EXPECT_FALSE(file.seekable());
    EXPECT_EQ(file.fileno(), pair.sock.fileno());
    EXPECT_EQ(file.encoding(), row.told.find('b') == std::string::npos ? "utf-8" : "");
  }
  EXPECT_EQ(pair.sock.makefile("r", {.encoding = "UTF8"}).encoding(), "UTF8");
}

TEST(File, ReadsOnlyWithRAndWritesOnlyWithW) {
  Pair pair;
  for (const std::string binary : {"", "b"}) {
    File writer = pair.sock.makefile("w" + binary);
    const auto read = [&] { (void)writer.read(1); };
    EXPECT_EQ(message_of<OSError>(read), "not readable");
    EXPECT_THROW((void)writer.readline(), OSError);
    EXPECT_THROW((void)writer.readlines(), OSError);
    File reader = pair.sock.makefile("r" + binary);
    const auto write = [&] { reader.write("x"); };
    EXPECT_EQ(message_of<OSError>(write), "not writable");
    std::error_code error;
    EXPECT_EQ(reader.write("x", error), 0u);
    EXPECT_EQ(error, Errc::not_writable);
    reader.flush();  // has nothing to do, and is no error, as in Python
  }
}

TEST(File, OfTextRefusesTheCallsForBytes) {
  Pair pair;
  File file = pair.sock.makefile("r");
  char buffer[4];
  std::error_code error;
  (void)file.read1(1, error);
  EXPECT_EQ(error, std::errc::operation_not_supported);
  EXPECT_THROW((void)file.readinto(buffer), OSError);
}

// --- closing ---

TEST(ClosingAFile, LeavesASocketThatIsOpenOpen) {
  Pair pair;
  pair.sock.makefile("rw").close();
  pair.sock.sendall("still");
  EXPECT_EQ(receive_exactly(pair.peer, 5), "still");
}

TEST(ClosingASocket, LeavesItsFilesWorkingUntilTheLastOfThemCloses) {
  const int before = settled_descriptors();
  Pair pair;
  File reader = pair.sock.makefile("r");
  File writer = pair.sock.makefile("w");
  const int number = reader.fileno();
  pair.sock.close();
  EXPECT_EQ(reader.fileno(), number);
  EXPECT_EQ(count_descriptors(), before + 2);

  pair.peer.sendall("hello\n");
  EXPECT_EQ(reader.readline(), "hello\n");
  reader.close();
  EXPECT_EQ(count_descriptors(), before + 2);
  writer.write("goodbye\n");
  writer.close();
  EXPECT_EQ(count_descriptors(), before + 1);
  EXPECT_EQ(pair.peer.makefile().read(), "goodbye\n");
}

TEST(File, OutlivesItsSocket) {
  Pair pair;
  std::optional<Socket> sock = std::move(pair.sock);
  File file = sock->makefile("rw");
  sock.reset();
  file.write("a\n");
  file.flush();
  pair.finish("b\n");
  EXPECT_EQ(file.read(), "b\n");
  EXPECT_EQ(pair.peer.recv(10), "a\n");
}

TEST(DestroyingAFile, FlushesAndCloses) {
  const int before = settled_descriptors();
  Pair pair;
  {
    File file = pair.sock.makefile("w");
    pair.sock.close();
    file.write("last words");
  }
  EXPECT_EQ(count_descriptors(), before + 1);
  EXPECT_EQ(pair.peer.makefile().read(), "last words");
}

TEST(ClosingAFile, ThatCannotFlushClosesAndReportsIt) {
  const int before = settled_descriptors();
  Pair pair;
  File file = pair.sock.makefile("w");
  pair.sock.close();
  file.write("nobody listens");
  pair.peer.close();
  EXPECT_THROW(file.close(), BrokenPipeError);
  EXPECT_TRUE(file.closed());
  EXPECT_EQ(count_descriptors(), before);
  file.close();
}

TEST(DestroyingAFile, ThatCannotFlushIsQuiet) {
  const int before = settled_descriptors();
  {
    Pair pair;
    File file = pair.sock.makefile("wb");
    file.write("nobody listens");
    pair.peer.close();
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(AClosedFile, ThrowsValueErrorFromEveryCallButCloseAndClosed) {
  Pair pair;
  char buffer[4];
  for (const std::string mode : {"rw", "rwb"}) {
    File file = pair.sock.makefile(mode);
    file.close();
    EXPECT_TRUE(file.closed());
    file.close();
    const auto read = [&] { (void)file.read(); };
    EXPECT_EQ(message_of<ValueError>(read), "I/O operation on closed file.");
    EXPECT_THROW((void)file.readline(), ValueError);
    EXPECT_THROW((void)file.readlines(), ValueError);
    EXPECT_THROW(file.begin(), ValueError);
    EXPECT_THROW((void)file.read1(), ValueError);
    EXPECT_THROW((void)file.readinto(buffer), ValueError);
    EXPECT_THROW(file.write("x"), ValueError);
    EXPECT_THROW(file.flush(), ValueError);
    EXPECT_THROW(file.fileno(), ValueError);
    EXPECT_THROW((void)file.readable(), ValueError);
    EXPECT_THROW((void)file.writable(), ValueError);
    EXPECT_THROW((void)file.seekable(), ValueError);
    std::error_code error;
    (void)file.read(1, error);
    EXPECT_EQ(error, Errc::closed_file);
  }
}

TEST(AMovedFromFile, IsClosedAndItsDestructorDoesNothing) {
  Pair pair;
  File file = pair.sock.makefile("rw");
  file.write("kept");
  {
    File gone = std::move(file);
    File last = std::move(gone);
    file = std::move(last);
    EXPECT_TRUE(gone.closed());
    EXPECT_THROW((void)gone.readline(), ValueError);
    EXPECT_THROW(gone.write("x"), ValueError);
    EXPECT_EQ(gone.mode(), "");
    EXPECT_EQ(gone.encoding(), "");
    gone.close();
  }
  EXPECT_EQ(arrived(pair.peer), "");
  file.flush();
  EXPECT_EQ(arrived(pair.peer), "kept");
}

TEST(AssigningAFile, ClosesTheOneThatWasThere) {
  const int before = settled_descriptors();
  Pair first, second;
  File file = first.sock.makefile("w");
  first.sock.close();
  file.write("flushed");
  file = second.sock.makefile("w");
  EXPECT_EQ(count_descriptors(), before + 3);
  EXPECT_EQ(first.peer.makefile().read(), "flushed");
}

TEST(AFileOfADetachedSocket, GetsEbadf) {
  Pair pair;
  File file = pair.sock.makefile("r");
  const Socket again(Fileno{pair.sock.detach()});
  EXPECT_EQ(file.fileno(), -1);
  std::error_code error;
  (void)file.read(1, error);
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
}

// --- reading ---

TEST(Reading, ByLinesGoesOverTcpUntilTheEnd) {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    Pair pair(tcp_pair(host));
    const std::string text = numbered_lines(20000);
    std::thread sender([&] { pair.finish(text); });
    std::string read;
    File file = pair.sock.makefile("r");
    for (std::string& line : file) {
      EXPECT_EQ(line.find('\n'), line.size() - 1);
      read += line;
    }
    sender.join();
    EXPECT_EQ(read, text);
    EXPECT_EQ(file.readline(), "");
  }
}

TEST(Reading, ToTheEndTakesMegabytesAsTheyAre) {
  const std::string text = numbered_lines(400000);
  for (const std::string mode : {"r", "rb"}) {
    for (const int buffering : {-1, 100, 1 << 20}) {
      Pair pair;
      std::thread sender([&] { pair.finish(text); });
      EXPECT_EQ(pair.sock.makefile(mode, {.buffering = buffering}).read(), text);
      sender.join();
    }
  }
}

TEST(Reading, FillsLargeBuffersAcrossReceives) {
  const std::string text = numbered_lines(100000);
  Pair pair;
  std::thread sender([&] { pair.finish(text); });
  File file = pair.sock.makefile("rb");
  std::string first(10, '?'), second(500000, '?'), rest(text.size(), '?');
  EXPECT_EQ(file.readinto(first), 10u);
  EXPECT_EQ(file.readinto(second), second.size());
  rest.resize(file.readinto(rest));
  sender.join();
  EXPECT_EQ(first + second + rest, text);
}

TEST(Reading, OneTakesWhatIsThereWithoutWaitingForMore) {
  Pair pair;
  File file = pair.sock.makefile("rb");
  pair.peer.sendall("abcdef");
  EXPECT_EQ(file.read1(2), "ab");
  EXPECT_EQ(file.read1(), "cdef");
}

TEST(Reading, UnbufferedIsOneReceiveAndLeavesTheRestToTheSocket) {
  Pair pair;
  File file = pair.sock.makefile("rb", {.buffering = 0});
  pair.peer.sendall("one\ntwo\nthree");
  EXPECT_EQ(file.readline(), "one\n");
  EXPECT_EQ(pair.sock.recv(2), "tw");
  EXPECT_EQ(file.read(100), "o\nthree");
  char buffer[100];
  pair.finish("four");
  EXPECT_EQ(file.readinto(buffer), 4u);
  EXPECT_EQ(file.read(), "");
}

TEST(Reading, LimitsALineThatNeverEnds) {
  Pair pair;
  File file = pair.sock.makefile("r");
  const std::string endless(20000, 'x');
  pair.peer.sendall(endless);
  EXPECT_EQ(file.readline(15000), endless.substr(0, 15000));
  EXPECT_EQ(file.readline(10), endless.substr(0, 10));
}

TEST(Reading, FailsWithoutTakingAnythingWhenItWouldBlock) {
  using Call = std::function<void(File&)>;
  char buffer[100];
  std::string large(100000, '?');
  const std::pair<std::string, Call> calls[] = {
      {"r", [](File& file) { (void)file.read(100); }},
      {"r", [](File& file) { (void)file.read(); }},
      {"r", [](File& file) { (void)file.readlines(); }},
      {"rb", [](File& file) { (void)file.read(100); }},
      {"rb", [](File& file) { (void)file.read(100000); }},
      {"rb", [](File& file) { (void)file.read(); }},
      {"rb", [&](File& file) { (void)file.readinto(buffer); }},
      {"rb", [&](File& file) { (void)file.readinto(large); }},
      {"rb", [](File& file) { (void)file.readlines(); }},
  };
  for (const auto& [mode, call] : calls) {
    Pair pair;
    File file = pair.sock.makefile(mode);
    pair.sock.settimeout(0);
    EXPECT_THROW(call(file), BlockingIOError);
    pair.peer.sendall("one\ntwo\nthr");
    EXPECT_THROW(call(file), BlockingIOError);
    EXPECT_EQ(file.readline(), "one\n");
    EXPECT_THROW(call(file), BlockingIOError);
    EXPECT_EQ(file.readline(), "two\n");
    EXPECT_THROW((void)file.readline(), BlockingIOError);
    EXPECT_THROW(call(file), BlockingIOError);
    pair.finish("ee\n");
    EXPECT_THAT(file.readlines(), ElementsAre("three\n"));
  }
}

/// Makes each call, and throws if the call would have to wait, as an interrupt hook may.
class Impatient final : public detail::wait::IoDriver {
 public:
  Impatient() { detail::wait::set_current_driver(this); }
  ~Impatient() { detail::wait::set_current_driver(nullptr); }

  long perform(detail::wait::Descriptor& descriptor, detail::wait::Op& op, Deadline) override {
    const detail::wait::Descriptor::InFlight in_flight(descriptor, false);
    op.flags |= detail::sys::kDontWait;
    const long result = detail::wait::attempt(in_flight.fd(), op);
    if (result == -EAGAIN) throw std::runtime_error("interrupted");
    return result;
  }
  long wait_any(std::span<detail::sys::PollEntry>, Deadline) override { return -ENOSYS; }
};

TEST(Reading, LosesNothingToAnExceptionOfTheInterruptHook) {
  char buffer[100];
  std::string large(100000, '?');
  for (const std::string mode : {"r", "rb"}) {
    Pair pair;
    File file = pair.sock.makefile(mode);
    pair.peer.sendall("one\ntwo\nthr");
    {
      const Impatient impatient;
      EXPECT_THROW((void)file.read(), std::runtime_error);
      EXPECT_THROW((void)file.read(100), std::runtime_error);
      EXPECT_THROW((void)file.readlines(), std::runtime_error);
      if (mode == "rb") {
        EXPECT_THROW((void)file.readinto(buffer), std::runtime_error);
        EXPECT_THROW((void)file.readinto(large), std::runtime_error);
      }
      EXPECT_EQ(file.readline(), "one\n");
      EXPECT_EQ(file.readline(), "two\n");
      EXPECT_THROW((void)file.readline(), std::runtime_error);
    }
    pair.finish("ee\n");
    EXPECT_THAT(file.readlines(), ElementsAre("three\n"));
  }
}

TEST(Reading, ReportsAResetAndKeepsWhatHadCome) {
  Pair pair(tcp_pair());
  File file = pair.sock.makefile("rb");
  pair.peer.sendall("whole\nhalf a li");
  EXPECT_EQ(file.readline(), "whole\n");
  // Closing a connection with unread data resets it.
  pair.sock.sendall("unread");
  char unread[1];
  pair.peer.recv_into(unread, MSG::PEEK);
  pair.peer.close();
  EXPECT_THROW((void)file.readline(), ConnectionResetError);
  EXPECT_EQ(file.readline(), "half a li");
}

TEST(Readlines, StopsOnceTheHintIsExceeded) {
  Pair pair;
  File file = pair.sock.makefile("r");
  pair.finish("äb\ncd\nef\ngh\n");
  EXPECT_THAT(file.readlines(3), ElementsAre("äb\n", "cd\n"));
  EXPECT_THAT(file.readlines(), ElementsAre("ef\n", "gh\n"));
  EXPECT_THAT(file.readlines(), ElementsAre());
}

// --- writing ---

TEST(Writing, PutsNothingOnTheWireBeforeAFlushOrAFullBuffer) {
  for (const std::string mode : {"w", "wb"}) {
    Pair pair;
    File file = pair.sock.makefile(mode, {.buffering = 100});
    const std::string fifty(50, 'x');
    EXPECT_EQ(file.write(fifty), 50u);
    EXPECT_EQ(file.write(fifty), 50u);
    EXPECT_EQ(arrived(pair.peer), "");
    EXPECT_EQ(file.write("y"), 1u);
    EXPECT_EQ(arrived(pair.peer), fifty + fifty);
    file.flush();
    EXPECT_EQ(arrived(pair.peer), "y");
    const std::string large(1000, 'z');
    EXPECT_EQ(file.write("first "), 6u);
    EXPECT_EQ(file.write(large), 1000u);
    EXPECT_EQ(arrived(pair.peer), "first " + large);
    file.writelines(std::vector<std::string>{"a\n", "b\n"});
    file.flush();
    EXPECT_EQ(arrived(pair.peer), "a\nb\n");
  }
}

TEST(Writing, CountsBytesOrCharacters) {
  Pair pair;
  EXPECT_EQ(pair.sock.makefile("wb").write("größe"), 7u);
  EXPECT_EQ(pair.sock.makefile("w").write("größe 😀"), 7u);
}

TEST(Writing, UnbufferedIsOneSendWhichMayBePartial) {
  Pair pair;
  File file = pair.sock.makefile("wb", {.buffering = 0});
  EXPECT_EQ(file.write("at once"), 7u);
  EXPECT_EQ(arrived(pair.peer), "at once");
  pair.sock.settimeout(0);
  const std::string large(16 << 20, 'x');
  const std::size_t sent = file.write(large);
  EXPECT_GT(sent, 0u);
  EXPECT_LT(sent, large.size());
  EXPECT_THROW(for (;;) file.write(large), BlockingIOError);
}

TEST(Writing, ToAPeerThatHasGoneIsABrokenPipe) {
  Pair pair;
  File file = pair.sock.makefile("w");
  pair.peer.close();
  file.write("x");
  EXPECT_THROW(file.flush(), BrokenPipeError);
}

/// Writes numbered lines until one fails. Returns how many have been accepted.
int fill(File& file, std::error_code& error) {
  for (int i = 0;; ++i) {
    const std::string line = "line " + std::to_string(i) + '\n';
    const std::size_t count = file.write(line, error);
    if (error) {
      EXPECT_EQ(count, 0u);
      return i;
    }
    EXPECT_EQ(count, line.size());
  }
}

/// Receives until the end of the stream, in another thread.
std::future<std::string> read_all(Socket& peer) {
  return std::async(std::launch::async, [&peer] { return peer.makefile("rb").read(); });
}

TEST(Writing, ThatFailsLosesNothingAndRepeatsNothing) {
  for (const std::string mode : {"w", "wb"}) {
    // A part of the larger buffer is sent.
    for (const int buffering : {-1, 1 << 20}) {
      for (const Timeout timeout : {Timeout(0), Timeout(0.05)}) {
        Pair pair;
        pair.sock.settimeout(timeout);
        File file = pair.sock.makefile(mode, {.buffering = buffering});
        std::error_code error;
        const int taken = fill(file, error);
        EXPECT_EQ(error, timeout.is_zero() ? std::error_code(EAGAIN, std::system_category())
                                           : timed_out());
        EXPECT_GT(taken, 1000);
        file.flush(error);
        EXPECT_TRUE(error);
        EXPECT_THROW(file.flush(), OSError);

        std::future<std::string> read = read_all(pair.peer);
        pair.sock.settimeout(30);
        file.close();
        pair.sock.close();
        EXPECT_TRUE(read.get() == numbered_lines(taken));
      }
    }
  }
}

TEST(Writing, OfMoreThanTheBufferKeepsTheRestWhenItWasSentInPart) {
  const std::string large = numbered_lines(2000000);
  for (const std::string mode : {"w", "wb"}) {
    Pair pair;
    pair.sock.settimeout(0.05);
    File file = pair.sock.makefile(mode);
    std::error_code error;
    EXPECT_EQ(file.write("head\n", error), 5u);
    EXPECT_EQ(file.write(large, error), large.size());
    EXPECT_EQ(error, timed_out());
    EXPECT_EQ(file.write("tail\n", error), 0u);
    EXPECT_EQ(error, timed_out());

    std::future<std::string> read = read_all(pair.peer);
    pair.sock.settimeout(30);
    file.write("tail\n");
    file.close();
    pair.sock.close();
    EXPECT_TRUE(read.get() == "head\n" + large + "tail\n");
  }
}

TEST(Writing, LosesNothingToAnExceptionOfTheInterruptHook) {
  const std::string large = numbered_lines(2000000);
  Pair pair;
  File file = pair.sock.makefile("wb");
  file.write("head\n");
  {
    const Impatient impatient;
    EXPECT_THROW(file.write(large), std::runtime_error);
    EXPECT_THROW(file.flush(), std::runtime_error);
  }
  std::future<std::string> read = read_all(pair.peer);
  file.close();
  pair.sock.close();
  EXPECT_TRUE(read.get() == "head\n" + large);
}

TEST(ErrorsOfAFile, NameTheCallAndThePeer) {
  auto [peer, sock] = tcp_pair();
  sock.settimeout(0);
  const std::string address = to_string(sock.getpeername());
  const std::string blocked = "[Errno 11] Resource temporarily unavailable: ";
  for (const std::string mode : {"rw", "rwb"}) {
    File file = sock.makefile(mode);
    const auto text_of = [&](const std::function<void()>& call) {
      return text_of_error<BlockingIOError>(call);
    };
    char room[5];
    EXPECT_EQ(text_of([&] { (void)file.read(); }), blocked + "read from " + address);
    EXPECT_EQ(text_of([&] { (void)file.readline(); }), blocked + "readline from " + address);
    EXPECT_EQ(text_of([&] { file.begin(); }), blocked + "readline from " + address);
    EXPECT_EQ(text_of([&] { (void)file.readlines(); }), blocked + "readlines from " + address);
    if (mode != "rwb") continue;
    EXPECT_EQ(text_of([&] { (void)file.read1(); }), blocked + "read1 from " + address);
    EXPECT_EQ(text_of([&] { (void)file.readinto(room); }), blocked + "readinto from " + address);
  }

  sock.shutdown(SHUT::WR);
  const std::string broken = "[Errno 32] Broken pipe: ";
  File file = sock.makefile("w");
  EXPECT_EQ(text_of_error<BrokenPipeError>([&] { file.write(std::string(10000, 'x')); }),
            broken + "write to " + address);
  file.write("x");
  EXPECT_EQ(text_of_error<BrokenPipeError>([&] { file.flush(); }), broken + "flush to " + address);
  EXPECT_EQ(text_of_error<BrokenPipeError>([&] { file.close(); }),
            broken + "close of the file to " + address);
}

TEST(ErrorsOfAFile, NameTheCallAloneWithoutAnAddressOfThePeer) {
  Pair pair;
  pair.sock.settimeout(0);
  EXPECT_EQ(text_of_error<BlockingIOError>([&] { (void)pair.sock.makefile("r").readline(); }),
            "[Errno 11] Resource temporarily unavailable: readline");
}

TEST(ErrorsOfAFile, ArePythonsTextWhereTheProgramIsWrong) {
  auto [peer, sock] = tcp_pair();
  File reader = sock.makefile("r");
  EXPECT_EQ(text_of_error<OSError>([&] { reader.write("x"); }), "not writable");
  reader.close();
  EXPECT_EQ(text_of_error<ValueError>([&] { (void)reader.readline(); }),
            "I/O operation on closed file.");
  File writer = sock.makefile("w");
  EXPECT_EQ(text_of_error<OSError>([&] { (void)writer.read(); }), "not readable");
}

TEST(ReadingWithAnErrorCodeAlone, IsTheCallWithItsDefaultSize) {
  Pair pair;
  std::thread sender([&] { pair.finish("one\ntwo\nthree\nfour\nfive\nsix\n"); });
  File file = pair.sock.makefile("rb");
  std::error_code error = Errc::not_readable;
  EXPECT_EQ(file.readline(error), "one\n");
  EXPECT_FALSE(error);
  sender.join();
  EXPECT_THAT(file.readlines(error), ElementsAre("two\n", "three\n", "four\n", "five\n", "six\n"));
  EXPECT_EQ(file.read(error), "");
  EXPECT_EQ(file.read1(error), "");
  EXPECT_FALSE(error);
  file.close();
  EXPECT_EQ(file.read(error), "");
  EXPECT_EQ(error, Errc::closed_file);
}

TEST(OneThread, MayReadAFileWhileAnotherWritesIt) {
  const std::string text = numbered_lines(50000);
  for (const std::string mode : {"rw", "rwb"}) {
    Pair pair;
    std::thread echo([&] {
      for (std::string data; !(data = pair.peer.recv(65536)).empty();) pair.peer.sendall(data);
      pair.peer.shutdown(SHUT::WR);
    });
    File file = pair.sock.makefile(mode);
    std::thread writer([&] {
      for (int i = 0; i < 50000; ++i) file.write("line " + std::to_string(i) + '\n');
      file.flush();
      pair.sock.shutdown(SHUT::WR);
    });
    std::string read;
    for (std::string& line : file) read += line;
    writer.join();
    echo.join();
    EXPECT_TRUE(read == text);
  }
}

}  // namespace
}  // namespace plug
