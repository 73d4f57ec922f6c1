#pragma once

// Helpers that the example programs share, so that each program shows only its lesson: arguments,
// ending on a signal, output in lines, and input in lines.

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

/// Ends a program on SIGINT or SIGTERM without a race. Both signals are blocked in every thread,
/// and one thread waits for them. The first signal sets stopped() and calls the functions that are
/// being watched. Closing a socket makes calls that wait on it throw OSError (EBADF).
///
/// Create the Stop before any other thread. A child process inherits the blocked signals: call
/// unblock_signals() in the child, between fork and exec. Safe to use from any thread.
class Stop {
 public:
  Stop();
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  /// Keeps a function registered. After the destructor the function is neither running nor called
  /// again.
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

  /// Closes `sock` when a signal arrives, or at once if one has arrived already. `sock` must not be
  /// moved or destroyed before the Watch.
  [[nodiscard]] Watch watch(plug::Socket& sock);

  /// Calls `function` once: from the thread that waits for signals, or at once from the caller's
  /// thread if a signal has arrived already. `function` must not throw or use this Stop.
  [[nodiscard]] Watch watch(std::function<void()> function);

  bool stopped() const;

  /// Waits for a signal for at most `time`. Returns true if one has arrived.
  bool wait_for(std::chrono::nanoseconds time) const;

  /// Unblocks both signals for the calling thread. Async-signal-safe.
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

/// Prints the reason of an exception on standard error, in one line, and returns 1. Each main()
/// calls it for the exceptions that it catches.
int fail(const std::exception& error);

/// Runs the body of a program. Returns 0, or fail() if the body throws.
///
/// The body of a server takes a Stop&. After SIGINT or SIGTERM run() returns 0, even if the body
/// throws. The body of a client takes no argument, and either signal ends the process with status 0
/// at once.
int run(const std::function<void(Stop&)>& body);
int run(const std::function<void()>& body);

/// Returns error.what(), or "out of memory" for std::bad_alloc.
std::string reason(const std::exception& error);

/// Prints one line on standard error, after the program's name.
void complain(std::string_view what);

// --- arguments ---

/// How a server program serves its clients: with a loop around accept() (plain), or with one of
/// plug's server classes. Those handle one client at a time (tcp), or each client in a thread
/// (threading), a process (forking) or a fiber (fiber), or all clients in a limited number of
/// threads (pool). See support/serve.hpp.
enum class ServerType { plain, tcp, threading, forking, pool, fiber };

/// The arguments of a program. The host is a name or an address of either family. A server's host
/// may be empty: then it listens on every interface.
struct Endpoint {
  std::string host = "127.0.0.1";
  int port = 0;
  bool once = false;                      ///< servers: end after one client
  ServerType server = ServerType::plain;  ///< servers that have --server
  double drain = 0;                       ///< seconds that their clients may go on after a signal

  plug::HostPort address() const { return {host, port}; }
};

/// Parses HOST PORT (0 to 65535) and, for a server, --once. Ends the process after --help, and with
/// status 1 and a line that names the value if an argument is wrong.
Endpoint server_arguments(int argc, char** argv, const std::string& description);
Endpoint client_arguments(int argc, char** argv, const std::string& description);

/// The same in parts, for programs with further arguments. Such programs include <CLI/CLI.hpp>.
void add_endpoint(CLI::App& app, Endpoint& endpoint);
void add_once(CLI::App& app, Endpoint& endpoint);
void parse(CLI::App& app, int argc, char** argv);

// --- sockets ---

/// Looks up the address of the host. Returns an IPv4 address if the host has one, because a plain
/// IPv4 peer tries only that. Throws gaierror with the host.
plug::AddrInfo look_up(const Endpoint& endpoint, plug::SOCK type);

/// Returns a TCP socket that listens at the endpoint. Throws OSError with the address.
plug::Socket listen_at(const Endpoint& endpoint);
plug::Socket listen_at(const plug::AddrInfo& address);

/// Prints "listening on ('127.0.0.1', 40123)". The port is the real one, also if the program was
/// given port 0.
void announce(const plug::Socket& sock);

/// Runs the conversation with one client, and closes the connection. Prints a line when the client
/// connects, and a line when it leaves or when `conversation` throws. The exception ends only this
/// conversation, not the server. A signal closes the connection as well.
void attend(Stop& stop, plug::Socket& conn, const plug::Address& peer,
            const std::function<void()>& conversation);

/// The same without a Stop, for callers that handle signals themselves.
void attend(plug::Socket& conn, const plug::Address& peer,
            const std::function<void()>& conversation);

/// Runs a client's conversation with `peer`. Throws its exceptions on with the address in front.
void talk(const plug::AddressLike& peer, const std::function<void()>& conversation);

// --- lines ---

/// Prints one line on standard output and flushes it. Control characters are escaped, so the output
/// stays one line even if a peer sends newlines. The second form puts the peer's address in front.
void print_line(std::string_view text);
void print_line(const plug::Address& peer, std::string_view text);

enum class EmptyLine {
  ends,       ///< ends the input
  asks_again  ///< prints a hint and reads the next line
};

/// Calls `body` with each line of standard input, without its newline, until the input ends or
/// `body` returns false. Prints a prompt if the input is a terminal.
void for_each_line(EmptyLine policy, const std::function<bool(const std::string&)>& body);

}  // namespace lesson
