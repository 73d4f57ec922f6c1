#pragma once

// What the example programs share, so that each of them shows only its lesson: arguments, ending on
// a signal, saying what happens in one line, and asking for lines of input.

#include <plug/plug.hpp>

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace CLI {
class App;
}

namespace lesson {

// --- ending on a signal ---

/// SIGINT and SIGTERM, taken without a race: both are blocked in every thread, and one thread waits
/// for them. The first one to come sets stopped() and calls what is being watched; what closes the
/// socket that a thread waits on wakes that thread with OSError EBADF.
///
/// Make it before any other thread. A child process inherits the blocked signals: call
/// unblock_signals() in it between fork and exec. Safe from any thread.
class Stop {
 public:
  Stop();
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  /// Watches for as long as it lives. Once it is destroyed its function is neither running nor ever
  /// called.
  class Watch {
   public:
    Watch(Stop& stop, std::function<void()> function);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Stop& stop_;
    std::list<std::function<void()>>::iterator place_;
  };

  /// Closes `sock` when a signal comes; at once when one has come already. The object must neither
  /// move nor end before the Watch does.
  [[nodiscard]] Watch watch(plug::Socket& sock);

  /// Calls `function`, once, from the thread that waits for signals (or at once, from this one). It
  /// must not throw, nor use this Stop.
  [[nodiscard]] Watch watch(std::function<void()> function);

  bool stopped() const;

  /// Waits for a signal for that long; true when one has come.
  bool wait_for(std::chrono::nanoseconds time) const;

  /// Undoes the blocking of both signals for the calling thread. Async-signal-safe.
  static void unblock_signals() noexcept;

 private:
  void stop();

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::list<std::function<void()>> watched_;
  bool stopped_ = false;
  bool ending_ = false;
  std::thread thread_;
};

// --- running ---

/// What a main() does with what is thrown: prints one line with the reason on standard error and
/// returns 1.
int fail(const std::exception& error);

/// Runs a program: fails as fail() does when it throws, and returns 0 otherwise.
///
/// A body that takes a Stop& is a server's: it also ends with status 0, whatever it throws, when
/// SIGINT or SIGTERM has stopped it. A body without is a client's: both signals end the process
/// with status 0 at once.
int run(const std::function<void(Stop&)>& body);
int run(const std::function<void()>& body);

/// error.what(), said so that anybody knows what it means.
std::string reason(const std::exception& error);

/// One line on standard error, after the program's name.
void complain(std::string_view what);

// --- arguments ---

/// What a server program serves with: accept() in a loop of its own (plain), or a server class of
/// plug's, which takes its clients one at a time (tcp), each in a thread (threading) or a process
/// (forking) of its own, in one of a bounded number of threads (pool), or each in a fiber of the
/// thread that serves (fiber). See support/serve.hpp.
enum class ServerType { plain, tcp, threading, forking, pool, fiber };

/// What every program is told. A host is an address of either family, a name, or, for a server,
/// nothing: every interface.
struct Endpoint {
  std::string host = "127.0.0.1";
  int port = 0;
  bool once = false;                      ///< servers: one client, then the end
  ServerType server = ServerType::plain;  ///< servers that have the choice
  double drain = 0;                       ///< and how long their clients may go on after a signal

  plug::HostPort address() const { return {host, port}; }
};

/// Reads HOST PORT (0..65535), and for a server --once. Ends the process when they are wrong, with
/// a line that names the value and status 1, and after --help.
Endpoint server_arguments(int argc, char** argv, const std::string& description);
Endpoint client_arguments(int argc, char** argv, const std::string& description);

/// The same in parts, for programs that take more (those include <CLI/CLI.hpp>).
void add_endpoint(CLI::App& app, Endpoint& endpoint);
void add_once(CLI::App& app, Endpoint& endpoint);
void parse(CLI::App& app, int argc, char** argv);

// --- sockets ---

/// The address that the host stands for, of whichever family that is; the IPv4 one of a host that
/// has both, since that is where a plain IPv4 peer looks for it. Throws gaierror naming the host.
plug::AddrInfo look_up(const Endpoint& endpoint, plug::SOCK type);

/// A listening TCP socket at the endpoint. Throws OSError naming the address.
plug::Socket listen_at(const Endpoint& endpoint);
plug::Socket listen_at(const plug::AddrInfo& address);

/// Prints "listening on ('127.0.0.1', 40123)": with port 0, the port that the system chose.
void announce(const plug::Socket& sock);

/// Holds a conversation with one client and closes it: says that it came and that it left, or how
/// it ended when `conversation` throws, since a client that misbehaves ends its own conversation
/// and not the server. A signal closes it too.
void attend(Stop& stop, plug::Socket& conn, const plug::Address& peer,
            const std::function<void()>& conversation);

/// The same without a Stop, where a signal is somebody else's.
void attend(plug::Socket& conn, const plug::Address& peer,
            const std::function<void()>& conversation);

/// Holds a client's conversation with `peer`, whose address it puts before what `conversation`
/// throws.
void talk(const plug::AddressLike& peer, const std::function<void()>& conversation);

// --- lines ---

/// One line on standard output, at once: control characters are escaped, so that one event stays
/// one line whatever a peer sends. The second form names the peer first.
void print_line(std::string_view text);
void print_line(const plug::Address& peer, std::string_view text);

enum class EmptyLine {
  ends,       ///< the input, as its end does
  asks_again  ///< after saying that an empty message reaches nobody
};

/// Gives `body` each line of standard input, without its newline, until the input ends or `body`
/// returns false. Prompts when the input is a terminal.
void for_each_line(EmptyLine policy, const std::function<bool(const std::string&)>& body);

}  // namespace lesson
