// Passes open files from one process to another over a Unix socket.
//
// The lesson: an open file descriptor is a permission, and a Unix socket can transfer it. The
// receiver can read a file that it may not open itself. The kernel also tells each side reliably
// which process and user is at the other end.

#include <fcntl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

constexpr std::ptrdiff_t kMostFiles = 16;

plug::OwnedFd open_file(const std::string& name) {
  plug::OwnedFd file(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) plug::throw_if({errno, std::system_category()}, name);
  return file;
}

/// Returns the first line of a file, or the first 64 bytes of a longer line.
std::string beginning(const plug::OwnedFd& file) {
  char data[64];
  const ssize_t count = ::pread(file.fileno(), data, sizeof data, 0);
  if (count < 0) plug::throw_if({errno, std::system_category()}, "a file that was received");
  const std::string text(data, static_cast<std::size_t>(count));
  return text.substr(0, text.find('\n'));
}

void receive(const std::string& path) {
  // bind() would fail if the file of an old socket were still there.
  ::unlink(path.c_str());
  plug::Socket server(plug::AF::UNIX, plug::SOCK::SEQPACKET);
  server.bind(plug::UnixAddress(path));
  server.listen();
  lesson::announce(server);
  auto [conn, peer] = server.accept();
  const plug::Credentials sender = plug::peer_credentials(conn);
  const plug::ReceivedFds received = plug::recv_fds(conn, 1024, kMostFiles);
  ::unlink(path.c_str());
  lesson::print_line(std::to_string(received.fds.size()) + " files from process " +
                     std::to_string(sender.pid) + " of user " + std::to_string(sender.uid) + ": " +
                     received.data);
  for (const plug::OwnedFd& file : received.fds)
    lesson::print_line("descriptor " + std::to_string(file.fileno()) + ": " + beginning(file));
  conn.sendall("received");
}

void send(const std::string& path, const std::vector<std::string>& names) {
  std::vector<plug::OwnedFd> files;
  std::vector<int> numbers;
  std::string label;
  for (const std::string& name : names) {
    files.push_back(open_file(name));
    numbers.push_back(files.back().fileno());
    label += (label.empty() ? "" : ", ") + name;
  }
  plug::Socket sock(plug::AF::UNIX, plug::SOCK::SEQPACKET);
  sock.connect(plug::UnixAddress(path));
  plug::send_fds(sock, {label}, numbers);
  lesson::print_line(sock.recv(100));
}

}  // namespace

int main(int argc, char** argv) try {
  std::string role;
  std::string path;
  std::vector<std::string> files;
  CLI::App app("Hands open files to another process.");
  app.add_option("ROLE", role, "receive, or send")
      ->required()
      ->check(CLI::IsMember({"receive", "send"}));
  app.add_option("PATH", path, "of the Unix socket between them")->required();
  app.add_option("FILE", files, "what to send")->expected(0, static_cast<int>(kMostFiles));
  lesson::parse(app, argc, argv);
  return lesson::run([&] { role == "send" ? send(path, files) : receive(path); });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
