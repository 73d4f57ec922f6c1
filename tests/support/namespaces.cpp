#include "support/namespaces.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace {

bool bring_loopback_up() {
  const int sock = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const bool done = ::ioctl(sock, SIOCSIFFLAGS, &request) == 0;
  ::close(sock);
  return done;
}

}  // namespace

int run_in_namespaces(const std::map<std::string, std::string>& files, bool own_network,
                      const std::function<int()>& body) {
  const TemporaryDirectory directory;
  const auto copy_of = [&](const std::string& path) {
    std::string name = path;
    for (char& c : name)
      if (c == '/') c = '_';
    return directory / name;
  };
  for (const auto& [path, contents] : files) std::ofstream(copy_of(path)) << contents;
  return run_in_child([&] {
    const auto uid = std::to_string(::geteuid());
    // Root needs no user namespace. In one, root could not change its groups.
    const int users = uid == "0" ? 0 : CLONE_NEWUSER;
    if (::unshare(users | CLONE_NEWNS | (own_network ? CLONE_NEWNET : 0)) != 0)
      return kNoNamespaces;
    if (users != 0) std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1\n";
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kNoNamespaces;
    for (const auto& file : files)
      if (::mount(copy_of(file.first).c_str(), file.first.c_str(), nullptr, MS_BIND, nullptr) != 0)
        return kNoNamespaces;
    if (own_network && !bring_loopback_up()) return kNoNamespaces;
    return call_in_namespaces != nullptr ? call_in_namespaces(body) : body();
  });
}
