// Compares the hooks of servers and handlers: the same calls in the same order as Python's.

#include <plug/plug.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/parity.hpp"
#include "support/temporary_directory.hpp"

namespace plug::parity {
namespace {

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

/// Records the calls of hooks, in any thread or process, and tells hooks to fail.
class Trace {
 public:
  explicit Trace(const std::string& failing = "", std::string error = "")
      : fd_(open((directory_ / "trace").c_str(), O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600)),
        failing_(words(failing)),
        error_(std::move(error)) {}
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  ~Trace() { ::close(fd_); }

  /// Appends a line. Throws if the hook is to fail.
  void add(const std::string& text) {
    const bool here = getpid() == process_ && std::this_thread::get_id() == thread_;
    const std::string line = (here ? "L " : "R ") + text + "\n";
    EXPECT_EQ(write(fd_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    if (!fails(text.substr(0, text.find(' ')))) return;
    if (error_ == "ValueError") throw ValueError("as told");
    if (error_ == "OSError") throw_if(std::error_code(104, std::system_category()), "as told");
    if (error_ == "BaseException") throw BaseException();
  }

  bool fails(const std::string& hook) const {
    if (raised_) return false;
    for (const std::string& failing : failing_)
      if (hook == failing) return true;
    return false;
  }

  std::string text() const {
    std::string loop;
    std::string requests;
    std::ifstream file(directory_ / "trace");
    for (std::string line; std::getline(file, line);) {
      std::string& part = line[0] == 'L' ? loop : requests;
      part += (part.empty() ? "" : " ") + line.substr(2);
    }
    return loop + " | " + requests;
  }

  void run(const std::function<void()>& call) {
    std::string raised;
    try {
      call();
      return;
    } catch (...) {
      raised = name_of_current();
    }
    raised_ = true;  // later hooks do not fail
    add("raised " + raised);
  }

  static std::string name_of_current() {
    try {
      throw;
    } catch (const OSError& error) {
      return "OSError " + std::to_string(error.number());
    } catch (const ValueError&) {
      return "ValueError";
    } catch (const BaseException&) {
      return "BaseException";
    }
  }

 private:
  const TemporaryDirectory directory_;
  const int fd_;
  const pid_t process_ = getpid();
  const std::thread::id thread_ = std::this_thread::get_id();
  const std::vector<std::string> failing_;
  const std::string error_;
  std::atomic<bool> raised_{false};
};

/// Records the hooks of Base.
template <class Base>
class Traced : public Base {
 public:
  Traced(ServerAddress address, HandlerFactory factory, bool open, Trace& trace)
      : Base(std::move(address), std::move(factory), open), trace_(trace) {}

  void server_bind() override {
    trace_.add("server_bind");
    Base::server_bind();
  }
  void server_activate() override {
    trace_.add("server_activate");
    Base::server_activate();
  }
  void server_close() override {
    trace_.add("server_close");
    Base::server_close();
  }
  std::optional<std::pair<Request, Address>> try_get_request() override {
    trace_.add("get_request");
    return Base::try_get_request();
  }
  bool verify_request(Request& request, const Address& from) override {
    trace_.add("verify_request");
    return !trace_.fails("refused") && Base::verify_request(request, from);
  }
  void process_request(Request& request, const Address& from) override {
    trace_.add("process_request");
    Base::process_request(request, from);
  }
  void finish_request(Request& request, const Address& from) override {
    trace_.add("finish_request");
    Base::finish_request(request, from);
  }
  void shutdown_request(Request& request) override {
    trace_.add("shutdown_request");
    Base::shutdown_request(request);
  }
  void close_request(Request& request) override {
    trace_.add("close_request");
    Base::close_request(request);
  }
  void handle_timeout() override {
    trace_.add("handle_timeout");
    Base::handle_timeout();
  }
  void handle_error(Request&, const Address&) override {
    trace_.add("handle_error " + Trace::name_of_current());
  }
  void service_actions() override {
    trace_.add("service_actions");
    Base::service_actions();
    this->stop_serving();
  }

 private:
  Trace& trace_;
};

template <class Base>
class TracedHandler : public Base {
 public:
  explicit TracedHandler(Trace& trace) : trace_(trace) {}
  void setup() override {
    trace_.add("setup");
    Base::setup();
  }
  void handle() override {
    trace_.add("handle");
    Bytes line = this->rfile.readline();
    for (char& c : line)
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    this->wfile.write(line);
  }
  void finish() override {
    trace_.add("finish");
    Base::finish();
  }

 private:
  Trace& trace_;
};

/// A server class for the operations, found by its name.
struct Kind {
  std::function<std::unique_ptr<BaseServer>(const ServerAddress&, bool, Trace&)> make;
  std::function<std::string()> attributes;
};

template <class Base>
std::string attributes_of() {
  const Base server(
      std::is_base_of_v<UnixStreamServer, Base> || std::is_base_of_v<UnixDatagramServer, Base>
          ? ServerAddress(UnixAddress{""})
          : ServerAddress("127.0.0.1", 0),
      [](Request&, const Address&, BaseServer&) {}, false);
  std::string text;
  const auto add = [&](const std::string& name, auto value) {
    text += (text.empty() ? "" : " ") + name + "=" + std::to_string(static_cast<int>(value));
  };
  if (server.timeout.is_none())
    text = "timeout=None";
  else
    add("timeout", *server.timeout.seconds());
  add("address_family", server.address_family);
  add("socket_type", server.socket_type);
  add("allow_reuse_port", server.allow_reuse_port);
  if constexpr (requires { server.max_packet_size; })
    add("max_packet_size", server.max_packet_size);
  if constexpr (requires { server.daemon_threads; }) add("daemon_threads", server.daemon_threads);
  if constexpr (requires { server.block_on_close; }) add("block_on_close", server.block_on_close);
  if constexpr (requires { server.max_children; }) add("max_children", server.max_children);
  return text;
}

template <class Base>
Kind kind() {
  using Handler = std::conditional_t<std::is_base_of_v<UDPServer, Base>, DatagramRequestHandler,
                                     StreamRequestHandler>;
  return {[](const ServerAddress& address, bool open, Trace& trace) -> std::unique_ptr<BaseServer> {
            const auto factory = [&trace](auto&... request) {
              TracedHandler<Handler>(trace).run(request...);
            };
            return std::make_unique<Server<Traced<Base>>>(address, factory, open, trace);
          },
          &attributes_of<Base>};
}

const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> all{
      {"TCPServer", kind<TCPServer>()},
      {"UDPServer", kind<UDPServer>()},
      {"UnixStreamServer", kind<UnixStreamServer>()},
      {"UnixDatagramServer", kind<UnixDatagramServer>()},
      {"ThreadingTCPServer", kind<ThreadingTCPServer>()},
      {"ThreadingUDPServer", kind<ThreadingUDPServer>()},
      {"ThreadingUnixStreamServer", kind<ThreadingUnixStreamServer>()},
      {"ThreadingUnixDatagramServer", kind<ThreadingUnixDatagramServer>()},
      {"ForkingTCPServer", kind<ForkingTCPServer>()},
      {"ForkingUDPServer", kind<ForkingUDPServer>()},
      {"ForkingUnixStreamServer", kind<ForkingUnixStreamServer>()},
      {"ForkingUnixDatagramServer", kind<ForkingUnixDatagramServer>()},
  };
  return all;
}

ServerAddress address_for(const std::string& name, const TemporaryDirectory& directory) {
  if (name.find("Unix") != std::string::npos) return UnixAddress{directory / "server"};
  return {"127.0.0.1", 0};
}

Socket client_for(const BaseServer& server) {
  Socket client(server.address_family, server.socket_type);
  client.settimeout(20);
  if (server.socket_type == SOCK::DGRAM) {
    if (server.address_family == AF::UNIX)
      client.bind(UnixAddress{""});
    else
      client.bind({"127.0.0.1", 0});
  }
  client.connect(server.server_address);
  client.sendall("line\nrest");
  return client;
}

std::ptrdiff_t count_threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

/// Counted before any test, because a sanitizer may start a thread once there has been another.
const std::ptrdiff_t threads_at_first = [] {
  pid_t other = 0;
  std::thread([&] { other = gettid(); }).join();
  while (std::filesystem::exists("/proc/self/task/" + std::to_string(other)))
    std::this_thread::yield();
  return count_threads();
}();

/// Waits until the request's thread or process has ended.
void settle() {
  while (count_threads() > threads_at_first) std::this_thread::yield();
  siginfo_t ended{};
  waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT);
}

std::string request(const Case& c) {
  Trace trace(c[3], c[4]);
  const TemporaryDirectory directory;
  std::unique_ptr<BaseServer> server;
  trace.run([&] { server = kinds().at(c[1]).make(address_for(c[1], directory), true, trace); });
  if (!server) return trace.text();
  {
    Socket client = client_for(*server);
    trace.run([&] {
      if (c[2] == "handle_request")
        server->handle_request();
      else
        server->serve_forever();
    });
    if (c[3].empty()) trace.add(client.recv(4));
    settle();
  }
  trace.run([&] { server->server_close(); });
  return trace.text();
}

/// Returns the trace of a server before it is destroyed: its destruction is not recorded.
std::string ended(std::unique_ptr<BaseServer> server, const Trace& trace) {
  server->server_close();
  return trace.text();
}

Timeout timeout_of(const std::string& text) {
  return text == "None" ? Timeout() : Timeout(std::stod(text));
}

std::string timeout(const Case& c) {
  Trace trace;
  const TemporaryDirectory directory;
  auto server = kinds().at(c[1]).make(address_for(c[1], directory), true, trace);
  server->timeout = timeout_of(c[2]);
  server->socket.settimeout(timeout_of(c[3]));
  trace.run([&] { server->handle_request(); });
  return ended(std::move(server), trace);
}

std::string shutdown(const Case& c) {
  Trace trace;
  const TemporaryDirectory directory;
  auto server = kinds().at(c[1]).make(address_for(c[1], directory), true, trace);
  const Socket client = client_for(*server);
  if (c[2] == "before") {
    server->shutdown();
    server->serve_forever();
  } else if (c[2] == "after") {
    server->serve_forever();
    server->shutdown();
    server->serve_forever();
  }
  trace.add("next");
  server->socket.setblocking(false);
  server->serve_forever(0);
  settle();
  return ended(std::move(server), trace);
}

std::string opening(const Case& c) {
  Trace trace;
  const TemporaryDirectory directory;
  const auto& make = kinds().at(c[1]).make;
  auto server = make(address_for(c[1], directory), false, trace);
  for (std::size_t i = 2; i < c.size(); ++i) {
    trace.run([&] {
      if (c[i] == "server_bind")
        server->server_bind();
      else if (c[i] == "server_activate")
        server->server_activate();
      else if (c[i] == "server_close")
        server->server_close();
      else if (c[i] == "handle_request")
        server->handle_request();
      else if (c[i] == "serve_forever")
        server->serve_forever();
      else
        make(server->server_address, true, trace);
    });
  }
  std::string options = "False";
  if (server->fileno() >= 0) {
    options = "[";
    for (const SO option : {SO::REUSEPORT, SO::ACCEPTCONN})
      options += (option == SO::REUSEPORT ? "" : ", ") +
                 std::to_string(server->socket.getsockopt(SOL::SOCKET, option));
    options += "]";
  }
  return ended(std::move(server), trace) + " " + options;
}

const Operations& operations() {
  static const Operations all{
      {"request", request},
      {"timeout", timeout},
      {"shutdown", shutdown},
      {"opening", opening},
      {"attributes", [](const Case& c) { return kinds().at(c[1]).attributes(); }},
  };
  return all;
}

void expect_same(const std::vector<Case>& cases, std::size_t least) {
  expect_parity(operations(), "parity_server.py", cases, least);
}

TEST(PythonParity, HoldsForTheAttributesOfServers) {
  std::vector<Case> cases;
  for (const auto& [name, kind] : kinds()) cases.push_back({"attributes", name});
  expect_same(cases, 12);
}

TEST(PythonParity, HoldsForTheHooksOfARequest) {
  std::vector<Case> cases;
  for (const auto& [name, kind] : kinds())
    for (const std::string how : {"handle_request", "serve_forever"})
      for (const std::string failing : {"", "refused"})
        cases.push_back({"request", name, how, failing, ""});
  expect_same(cases, 48);
}

TEST(PythonParity, HoldsForExceptionsOfHooks) {
  std::vector<Case> cases;
  for (const auto& [name, kind] : kinds())
    for (const std::string failing :
         {"server_bind", "server_activate", "get_request", "verify_request", "process_request",
          "finish_request", "setup", "handle", "finish", "handle finish", "handle handle_error",
          "shutdown_request", "close_request", "service_actions", "server_bind server_close"})
      for (const std::string error : {"ValueError", "OSError", "BaseException"}) {
        // The parent might shut the connection down before or after the child answers.
        if (failing == "close_request" && name.rfind("Forking", 0) == 0) continue;
        cases.push_back({"request", name, "serve_forever", failing, error});
      }
  expect_same(cases, (12 * 15 - 4) * 3);
}

TEST(PythonParity, HoldsForTheTimeoutsOfServers) {
  std::vector<Case> cases;
  for (const auto& [name, kind] : kinds())
    for (const std::string servers : {"None", "0", "0.002"})
      for (const std::string sockets : {"None", "0.0", "0.002"})
        if (servers != sockets || servers != "None")
          cases.push_back({"timeout", name, servers, sockets});
  expect_same(cases, 96);
}

TEST(PythonParity, HoldsForShutdown) {
  std::vector<Case> cases;
  for (const auto& [name, kind] : kinds())
    for (const std::string when : {"never", "before", "after"})
      cases.push_back({"shutdown", name, when});
  expect_same(cases, 36);
}

TEST(PythonParity, HoldsForOpeningByHandAndForClosingTwice) {
  std::vector<Case> cases;
  for (const auto& [name, kind] : kinds()) {
    cases.push_back({"opening", name});
    cases.push_back({"opening", name, "server_bind"});
    cases.push_back({"opening", name, "server_bind", "server_activate"});
    cases.push_back({"opening", name, "server_bind", "server_activate", "taken"});
    cases.push_back({"opening", name, "server_bind", "server_bind"});
    cases.push_back({"opening", name, "server_close", "server_close"});
    cases.push_back({"opening", name, "server_close", "handle_request", "serve_forever"});
  }
  expect_same(cases, 84);
}

}  // namespace
}  // namespace plug::parity
