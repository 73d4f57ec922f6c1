#include "support/dns.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <stdexcept>

DnsServer::DnsServer(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"dnsmasq",
                                      "--keep-in-foreground",
                                      "--log-facility=-",
                                      "--conf-file=/dev/null",
                                      "--pid-file=",
                                      "--user=root",
                                      "--group=root",
                                      "--no-resolv",
                                      "--no-hosts",
                                      "--no-round-robin",
                                      "--listen-address=127.0.0.1",
                                      "--bind-interfaces",
                                      "--local=/test/",
                                      "--local=/arpa/"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& argument : command) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  std::fflush(nullptr);
  process_ = ::fork();
  if (process_ == 0) {
    // dnsmasq must not outlive a test that crashes.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(ends[1], STDERR_FILENO);
    ::execvp(pointers[0], pointers.data());
    std::perror(pointers[0]);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string log;
  char chunk[1024];
  while (log.find(": started") == std::string::npos) {
    const ssize_t count = ::read(ends[0], chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    log.append(chunk, static_cast<std::size_t>(count));
  }
  // Closes the log; dnsmasq runs on without it.
  ::close(ends[0]);
  if (log.find(": started") == std::string::npos)
    throw std::runtime_error("dnsmasq does not start: " + log);
}

DnsServer::~DnsServer() {
  if (process_ < 0) return;
  ::kill(process_, SIGTERM);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

SilentDnsServer::SilentDnsServer() : sock_(plug::AF::INET, plug::SOCK::DGRAM) {
  sock_.bind({"127.0.0.1", 53});
}

SilentDnsServer::Query SilentDnsServer::next(plug::Timeout timeout) {
  sock_.settimeout(timeout);
  auto [message, sender] = sock_.recvfrom(512);
  return {message, sender};
}

void SilentDnsServer::answer(const Query& query) {
  // The reply repeats the question, without the records that may follow it, and adds one record
  // (RFC 1035, 4.1).
  constexpr std::size_t kHeader = 12, kTypeAndClass = 4;
  const std::size_t question = query.message.find('\0', kHeader) + 1 + kTypeAndClass;
  plug::Bytes reply = query.message.substr(0, question);
  reply.replace(2, 10, plug::Bytes("\x81\x80\0\1\0\1\0\0\0\0", 10));
  reply += plug::Bytes("\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1", 16);
  sock_.sendto(reply, query.sender);
}
