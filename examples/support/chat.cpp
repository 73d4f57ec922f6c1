#include "support/chat.hpp"

#include <algorithm>
#include <vector>

#include <errno.h>
#include <unistd.h>

#include "support/program.hpp"

namespace lesson {
namespace {

constexpr int kInput = STDIN_FILENO;
constexpr std::ptrdiff_t kLongest = 65535;

/// Appends input to `kept`. Returns false at the end of the input.
bool read_input(std::string& kept) {
  char data[4096];
  const ssize_t count = ::read(kInput, data, sizeof data);
  if (count < 0) plug::throw_if({errno, std::system_category()}, "standard input");
  kept.append(data, static_cast<std::size_t>(count));
  return count > 0;
}

/// Prints a message, if there is one. A socket may be readable without a message: RDS reports a
/// socket as readable whenever a peer's congestion has changed.
void print_message(plug::Socket& sock) {
  std::error_code error;
  const auto [data, sender] = sock.recvfrom(kLongest, error, plug::MSG::DONTWAIT);
  if (error == std::errc::operation_would_block) return;
  plug::throw_if(error, "recvfrom");
  print_line(sender, data);
}

}  // namespace

void chat(plug::Socket& sock, const std::function<void(const std::string&)>& send) {
  std::string kept;
  const std::vector<plug::FileObject> both = {sock, kInput};
  for (;;) {
    const auto [readable, writable, exceptional] = plug::select(both);
    for (const plug::FileObject& object : readable) {
      if (object.is(sock)) {
        print_message(sock);
        continue;
      }
      const bool more = read_input(kept);
      for (std::size_t end; (end = kept.find('\n')) != std::string::npos; kept.erase(0, end + 1))
        if (end > 0) send(kept.substr(0, end));
      if (!more) return;
    }
  }
}

}  // namespace lesson
