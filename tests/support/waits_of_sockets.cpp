// Waits of Socket, of the classes built on it, and of select() and similar functions.

#include <plug/select.hpp>
#include <plug/selectors.hpp>
#include <plug/socket/batch.hpp>

#include <fcntl.h>

#include <cstdlib>
#include <tuple>
#include <type_traits>

#include "support/sockets.hpp"
#include "support/waits.hpp"

namespace waits {

using plug::AF;
using plug::Bytes;
using plug::MSG;
using plug::SOCK;
using plug::Socket;
using plug::Timeout;

namespace {

const std::string kPlenty(64, 'x');
const std::string kMuch(std::size_t{4} << 20, 'x');

/// `receive` waits for the data after `before`, which has already arrived.
template <class F>
Wait receiving(Timeout timeout, F receive, std::string_view before = {}, SOCK type = SOCK::STREAM) {
  auto pair = make_pair(timeout, type);
  if (!before.empty()) pair->peer.sendall(before);
  return {.call = [pair, receive] { receive(pair->sock); },
          .let_go = [pair] { pair->peer.sendall(kPlenty); },
          .close = [pair] { pair->sock.close(); }};
}

/// Waits for more data than it can peek at yet. By TCP: a Unix socket does not wait for that.
Wait peeking(Timeout timeout) {
  auto ends = tcp_pair();
  auto pair = std::make_shared<Pair>(Pair{std::move(ends.first), std::move(ends.second)});
  pair->sock.settimeout(timeout);
  pair->peer.sendall("part");
  return {.call =
              [pair] {
                while (pair->sock.recv(20, MSG::WAITALL | MSG::PEEK).size() < 20) continue;
              },
          .let_go = [pair] { pair->peer.sendall(kPlenty); },
          .close = [pair] { pair->sock.close(); }};
}

/// Sends until there is no more room on the way to the peer.
void fill(Socket& sock) {
  std::error_code error;
  while (!error) sock.sendall(kMuch, error, MSG::DONTWAIT);
}

struct Sending : Pair {
  Drain drain;
};

template <class F>
Wait sending(Timeout timeout, F send, bool full) {
  auto ends = plug::socketpair();
  std::shared_ptr<Sending> pair(new Sending{{std::move(ends.first), std::move(ends.second)}, {}});
  if (full) fill(pair->sock);
  pair->sock.settimeout(timeout);
  return {.call = [pair, send] { send(pair->sock); },
          .let_go = [pair] { pair->drain.begin(pair->peer.fileno()); },
          .close = [pair] { pair->sock.close(); }};
}

/// Sends to a Unix datagram socket whose queue is full.
template <class F>
Wait sending_datagrams(Timeout timeout, F send) {
  std::shared_ptr<Sending> pair(
      new Sending{{Socket(AF::UNIX, SOCK::DGRAM), Socket(AF::UNIX, SOCK::DGRAM)}, {}});
  pair->peer.bind(plug::UnixAddress(""));
  std::error_code error;
  while (!error) pair->sock.sendto("x", pair->peer.getsockname(), error, MSG::DONTWAIT);
  pair->sock.settimeout(timeout);
  return {.call = [pair, send] { send(pair->sock, pair->peer.getsockname()); },
          .let_go = [pair] { pair->drain.begin(pair->peer.fileno()); },
          .close = [pair] { pair->sock.close(); }};
}

/// `wait` waits until a descriptor is readable.
template <class F>
Wait selecting(Timeout timeout, F wait) {
  auto pair = make_pair(std::nullopt);
  return {.call =
              [pair, wait, timeout] {
                const std::optional<double> seconds = timeout.seconds();
                expect_in_time(wait(pair->sock, seconds));
              },
          .let_go = [pair] { pair->peer.sendall(kPlenty); }};
}

template <class Selector>
Scenario of_selector(std::string_view name, std::string_view where) {
  constexpr bool kEpoll = std::is_same_v<Selector, plug::EpollSelector>;
  constexpr std::string_view kFile =
      kEpoll ? "select/epoll_selector.cpp" : "select/polling_selectors.cpp";
  return {name, where, kFile, kTimed, [](Timeout timeout) {
            return selecting(timeout, [](Socket& sock, std::optional<double> seconds) {
              Selector selector;
              selector.register_(sock, plug::EVENT::READ);
              return !(seconds ? selector.select(*seconds) : selector.select()).empty();
            });
          }};
}

Wait accepting(Timeout timeout) {
  auto listener = std::make_shared<Socket>(tcp_listener());
  auto clients = std::make_shared<std::vector<Socket>>();
  listener->settimeout(timeout);
  return {.call = [listener] { std::ignore = listener->accept(); },
          .let_go =
              [listener, clients] {
                clients->push_back(
                    plug::create_connection({"127.0.0.1", listener->getsockname().port()}));
              },
          .close = [listener] { listener->close(); }};
}

/// Connects to an address where nobody answers.
Wait connecting(Timeout timeout) {
  static FullListener full;
  auto sock = std::make_shared<Socket>();
  sock->settimeout(timeout);
  return {.call = [sock] { sock->connect(full.address()); }, .close = [sock] { sock->close(); }};
}

/// Connects to a Unix listener whose queue is full.
Wait connecting_to_unix(Timeout timeout) {
  struct Things {
    Socket listener{AF::UNIX};
    Socket queued{AF::UNIX};
    Socket sock{AF::UNIX};
  };
  auto things = std::make_shared<Things>();
  things->listener.bind(plug::UnixAddress(""));
  things->listener.listen(0);
  things->queued.connect(things->listener.getsockname());
  things->sock.settimeout(timeout);
  return {.call = [things] { things->sock.connect(things->listener.getsockname()); },
          .let_go = [things] { std::ignore = things->listener.accept(); },
          .close = [things] { things->sock.close(); }};
}

/// The source of sendfile(): a file, or a pipe with or without data in it.
enum class From { file, pipe, empty_pipe };

Wait sending_file(Timeout timeout, From from) {
  struct Things : Sending {
    int fds[2] = {-1, -1};
    ~Things() {
      for (const int fd : fds)
        if (fd >= 0) ::close(fd);
    }
  };
  auto ends = plug::socketpair();
  auto things = std::make_shared<Things>();
  static_cast<Pair&>(*things) = Pair{std::move(ends.first), std::move(ends.second)};
  if (from == From::file) {
    char path[] = "/tmp/every_wait_XXXXXX";
    things->fds[0] = ::mkstemp(path);
    ::unlink(path);
    if (::ftruncate(things->fds[0], std::int64_t{4} << 20) != 0) std::abort();
  } else if (::pipe2(things->fds, O_CLOEXEC) != 0) {
    std::abort();
  }
  if (from == From::pipe) {
    fill(things->sock);
    if (::write(things->fds[1], "x", 1) != 1) std::abort();
  }
  things->sock.settimeout(timeout);
  Things* const it = things.get();
  return {.call = [things] { things->sock.sendfile(things->fds[0], 0, 1 << 20); },
          .let_go =
              [it, things, from] {
                things->drain.begin(things->peer.fileno());
                // Closing the writer ends the file.
                if (from != From::file && it->fds[1] >= 0) ::close(std::exchange(it->fds[1], -1));
              },
          .close = [things] { things->sock.close(); }};
}

}  // namespace

std::vector<Scenario> of_sockets() {
  const auto recv = [](Socket& sock) { sock.recv(8); };
  return {
      {"recv", "recv", "socket/transfer.cpp", kTimed,
       [=](Timeout t) { return receiving(t, recv); }},
      {"recv of much", "recv", "socket/transfer.cpp", kTimed,
       [](Timeout t) { return receiving(t, [](Socket& sock) { sock.recv(100'000); }); }},
      {"recv of a datagram", "recv", "socket/transfer.cpp", kTimed,
       [=](Timeout t) { return receiving(t, recv, {}, SOCK::DGRAM); }},
      {"recv(WAITALL) after a part", "recv", "fiber/engine/engine_base.cpp", 0,
       [](Timeout t) {
         return receiving(
             t,
             [](Socket& sock) {
               // A call that is to end early returns the part that has arrived; the next call then
               // throws.
               char room[20];
               for (std::size_t got = 0; got < sizeof room;)
                 got += sock.recv_into(plug::MutableBytes(room + got, sizeof room - got),
                                       MSG::WAITALL);
             },
             "part");
       }},
      {"recv(WAITALL|PEEK) after a part", "recv", "fiber/engine/engine_base.cpp", kInFibersOnly,
       peeking},
      {"recv_into", "recv", "socket/transfer.cpp", kTimed,
       [](Timeout t) {
         return receiving(t, [](Socket& sock) {
           char room[8];
           sock.recv_into(room);
         });
       }},
      {"recvfrom", "recvfrom", "socket/transfer.cpp", kTimed,
       [](Timeout t) { return receiving(t, [](Socket& sock) { sock.recvfrom(8); }); }},
      {"recvmsg", "recvmsg", "socket/messages.cpp", kTimed,
       [](Timeout t) { return receiving(t, [](Socket& sock) { sock.recvmsg(8, 64); }); }},
      {"recv_batch", "recv_batch", "socket/batch.cpp", kTimed | kNotWokenByClose,
       [](Timeout t) {
         return receiving(
             t,
             [](Socket& sock) {
               plug::DatagramBatch batch({.count = 4, .size = 100});
               plug::recv_batch(sock, batch);
             },
             {}, SOCK::DGRAM);
       }},
      {"accept", "accept", "socket/socket.cpp", kTimed, accepting},
      {"connect", "connect", "socket/socket.cpp", kTimed, connecting},
      {"connect to a full Unix listener", "connect", "fiber/engine/engine_base.cpp",
       kNotWokenByClose, connecting_to_unix},
      {"send", "send", "socket/transfer.cpp", kTimed,
       [](Timeout t) {
         return sending(
             t, [](Socket& sock) { std::ignore = sock.send("x"); }, true);
       }},
      {"sendall", "send", "socket/state.hpp", kTimed,
       [](Timeout t) {
         return sending(
             t, [](Socket& sock) { sock.sendall(kMuch); }, true);
       }},
      {"sendall after a part", "send", "socket/state.hpp", kTimed,
       [](Timeout t) {
         return sending(
             t, [](Socket& sock) { sock.sendall(kMuch); }, false);
       }},
      {"sendmsg", "sendmsg", "socket/messages.cpp", kTimed,
       [](Timeout t) {
         return sending(
             t, [](Socket& sock) { sock.sendmsg({"x"}); }, true);
       }},
      {"sendto", "sendto", "socket/transfer.cpp", kTimed | kNotWokenByClose,
       [](Timeout t) {
         return sending_datagrams(
             t, [](Socket& sock, const plug::Address& to) { sock.sendto("x", to); });
       }},
      {"send_batch", "send_batch", "socket/batch.cpp", kTimed | kNotWokenByClose,
       [](Timeout t) {
         return sending_datagrams(t, [](Socket& sock, const plug::Address& to) {
           plug::DatagramBatch batch({.count = 4, .size = 100});
           for (int i = 0; i < 4; ++i) batch.add("x", to);
           plug::send_batch(sock, batch);
         });
       }},
      {"sendfile of a file", "sendfile", "socket/sendfile.cpp", kTimed,
       [](Timeout t) { return sending_file(t, From::file); }},
      {"sendfile of a pipe", "sendfile", "socket/sendfile.cpp", kTimed,
       [](Timeout t) { return sending_file(t, From::pipe); }},
      {"sendfile of an empty pipe", "ready", "socket/sendfile.cpp", kTimed,
       [](Timeout t) { return sending_file(t, From::empty_pipe); }},
      {"select", "select", "select/select.cpp", kTimed,
       [](Timeout t) {
         return selecting(t, [](Socket& sock, std::optional<double> seconds) {
           return !plug::select({sock}, {}, {}, seconds).readable.empty();
         });
       }},
      {"Poll::poll", "select", "select/select.cpp", kTimed,
       [](Timeout t) {
         return selecting(t, [](Socket& sock, std::optional<double> seconds) {
           plug::Poll poll;
           poll.register_(sock, plug::POLL::IN);
           return !(seconds ? poll.poll(*seconds * 1000) : poll.poll()).empty();
         });
       }},
      {"Epoll::poll", "ready", "select/wait.cpp", kTimed,
       [](Timeout t) {
         return selecting(t, [](Socket& sock, std::optional<double> seconds) {
           plug::Epoll epoll;
           epoll.register_(sock, plug::EPOLL::IN);
           return !(seconds ? epoll.poll(*seconds) : epoll.poll()).empty();
         });
       }},
      of_selector<plug::SelectSelector>("SelectSelector::select", "select"),
      of_selector<plug::PollSelector>("PollSelector::select", "select"),
      of_selector<plug::EpollSelector>("EpollSelector::select", "ready"),
  };
}

}  // namespace waits
