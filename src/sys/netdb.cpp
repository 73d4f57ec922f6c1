#include "sys/netdb.hpp"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace plug::detail::sys {

namespace {

static_assert(kEaiNoName == EAI_NONAME);
constexpr int kEaiIdnEncode = -105;  // EAI_IDN_ENCODE, a GNU extension

LookupError gai_error(int number, int system_error) {
  if (number == 0) return {};
  // A resolver module may report this without setting errno.
  if (number == EAI_SYSTEM && system_error != 0) return {LookupError::Of::system, system_error};
  return {LookupError::Of::getaddrinfo, number};
}

LookupError host_error(int number) {
  // No error, but no result either, is still a failure.
  return {LookupError::Of::gethostbyname, number == NETDB_SUCCESS ? NO_RECOVERY : number};
}

/// libidn2, of which only this function is used.
class Idn {
 public:
  static const Idn& library() {
    static const Idn loaded;
    return loaded;
  }

  /// Returns the name as the domain name system encodes it, or nothing if it cannot be encoded.
  std::optional<std::string> encode(const std::string& name) const {
    // As Python's codec: lower case, composed (NFC), with the deviations of IDNA 2003.
    constexpr int kNfcInput = 1, kTransitional = 4;
    char* encoded = nullptr;
    if (lookup_ == nullptr || lookup_(reinterpret_cast<const unsigned char*>(name.c_str()),
                                      &encoded, kNfcInput | kTransitional) != 0)
      return std::nullopt;
    const std::unique_ptr<char, void (*)(void*)> owner(encoded, std::free);
    return std::string(encoded);
  }

 private:
  using Lookup = int (*)(const unsigned char* name, char** encoded, int flags);

  Idn() noexcept {
    // Never unloaded, because nobody knows when the last call has returned.
    if (void* const handle = ::dlopen("libidn2.so.0", RTLD_NOW | RTLD_LOCAL))
      lookup_ = reinterpret_cast<Lookup>(::dlsym(handle, "idn2_lookup_u8"));
  }

  Lookup lookup_ = nullptr;
};

LookupError encode_name(std::string& name) {
  if (std::all_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
    return {};
  auto encoded = Idn::library().encode(name);
  if (!encoded) return {LookupError::Of::getaddrinfo, kEaiIdnEncode};
  name = *std::move(encoded);
  return {};
}

/// Calls a function with a growing buffer until it has enough, up to a mebibyte. Returns its
/// result.
template <class Call>
int with_buffer(std::vector<char>& buffer, Call call) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  for (buffer.resize(1024);; buffer.resize(buffer.size() * 4)) {
    const int failed = call(buffer.data(), buffer.size());
    if (failed != ERANGE || buffer.size() >= kMost) return failed;
  }
}

const char* null_unless(const std::optional<std::string>& text) noexcept {
  return text ? text->c_str() : nullptr;
}

std::string text_of(const char* text) { return text == nullptr ? std::string() : text; }

void copy_entry(const hostent& entry, FoundHost& found) {
  found.name = text_of(entry.h_name);
  for (char** alias = entry.h_aliases; alias != nullptr && *alias != nullptr; ++alias)
    found.aliases.emplace_back(*alias);
  for (char** packed = entry.h_addr_list; packed != nullptr && *packed != nullptr; ++packed)
    found.addresses.emplace_back(*packed, static_cast<std::size_t>(entry.h_length));
}

void add(const addrinfo& answer, std::vector<FoundAddress>& answers) {
  FoundAddress& found = answers.emplace_back();
  found.family = answer.ai_family;
  found.type = answer.ai_socktype;
  found.proto = answer.ai_protocol;
  found.canonical_name = text_of(answer.ai_canonname);
  found.size = std::min(std::size_t{answer.ai_addrlen}, FoundAddress::kCapacity);
  if (answer.ai_addr != nullptr) std::memcpy(found.address, answer.ai_addr, found.size);
}

}  // namespace

const char* eai_text(int number) noexcept { return gai_strerror(number); }
const char* h_errno_text(int number) noexcept { return hstrerror(number); }

AddressQuery numeric(AddressQuery query) {
  query.flags |= AI_NUMERICHOST;
  return query;
}

LookupError getaddrinfo(const AddressQuery& query, std::vector<FoundAddress>& answers) {
  std::optional<std::string> host = query.host;
  if (host)
    if (const LookupError error = encode_name(*host)) return error;
  addrinfo hints{};
  hints.ai_family = query.family;
  hints.ai_socktype = query.type;
  hints.ai_protocol = query.proto;
  hints.ai_flags = query.flags;
  addrinfo* list = nullptr;
  errno = 0;
  if (const int failed =
          ::getaddrinfo(null_unless(host), null_unless(query.service), &hints, &list);
      failed != 0)
    return gai_error(failed, errno);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, freeaddrinfo);
  for (const addrinfo* answer = list; answer != nullptr; answer = answer->ai_next)
    add(*answer, answers);
  return {};
}

LookupError getnameinfo(BytesView address, int flags, std::string& host, std::string& service) {
  char host_text[NI_MAXHOST] = {};
  // For a Unix address the service is its path, which the C library reads up to a NUL.
  char service_text[std::max(std::size_t{NI_MAXSERV}, sizeof(sockaddr_un::sun_path) + 1)] = {};
  alignas(sockaddr_storage) char ended[sizeof(sockaddr_storage) + 1] = {};
  std::copy(address.begin(), address.end(), ended);
  errno = 0;
  const int failed = ::getnameinfo(reinterpret_cast<const sockaddr*>(ended),
                                   static_cast<socklen_t>(address.size()), host_text,
                                   sizeof host_text, service_text, sizeof service_text, flags);
  if (failed != 0) return gai_error(failed, errno);
  host = host_text;
  service = service_text;
  return {};
}

LookupError gethostbyname(const std::string& name, FoundHost& found) {
  std::string encoded = name;
  if (const LookupError error = encode_name(encoded)) return error;
  std::vector<char> buffer;
  hostent memory{};
  hostent* entry = nullptr;
  int problem = 0;
  with_buffer(buffer, [&](char* data, std::size_t size) {
    return gethostbyname_r(encoded.c_str(), &memory, data, size, &entry, &problem);
  });
  if (entry == nullptr) return host_error(problem);
  copy_entry(*entry, found);
  return {};
}

LookupError gethostbyaddr(int family, const unsigned char* address, FoundHost& found) {
  const socklen_t size = family == AF_INET6 ? sizeof(in6_addr) : sizeof(in_addr);
  std::vector<char> buffer;
  hostent memory{};
  hostent* entry = nullptr;
  int problem = 0;
  with_buffer(buffer, [&](char* data, std::size_t room) {
    return gethostbyaddr_r(address, size, family, &memory, data, room, &entry, &problem);
  });
  if (entry == nullptr) return host_error(problem);
  copy_entry(*entry, found);
  return {};
}

int getservbyname(const std::string& service, const char* protocol) {
  std::vector<char> buffer;
  servent memory{};
  servent* found = nullptr;
  with_buffer(buffer, [&](char* data, std::size_t size) {
    return getservbyname_r(service.c_str(), protocol, &memory, data, size, &found);
  });
  return found == nullptr ? -1 : ntohs(static_cast<std::uint16_t>(found->s_port));
}

std::string getservbyport(int port, const char* protocol) {
  std::vector<char> buffer;
  servent memory{};
  servent* found = nullptr;
  const int network_port = htons(static_cast<std::uint16_t>(port));
  with_buffer(buffer, [&](char* data, std::size_t size) {
    return getservbyport_r(network_port, protocol, &memory, data, size, &found);
  });
  return found == nullptr ? std::string() : text_of(found->s_name);
}

int getprotobyname(const std::string& protocol) {
  std::vector<char> buffer;
  protoent memory{};
  protoent* found = nullptr;
  with_buffer(buffer, [&](char* data, std::size_t size) {
    return getprotobyname_r(protocol.c_str(), &memory, data, size, &found);
  });
  return found == nullptr ? -1 : found->p_proto;
}

long gethostname(std::string& name) {
  char text[HOST_NAME_MAX + 1] = {};
  if (::gethostname(text, sizeof text - 1) != 0) return -errno;
  name = text;
  return 0;
}

long sethostname(const std::string& name) noexcept {
  return ::sethostname(name.data(), name.size()) != 0 ? -errno : 0;
}

long if_nameindex(std::vector<std::pair<int, std::string>>& interfaces) {
  struct ::if_nameindex* const list = ::if_nameindex();
  if (list == nullptr) return -errno;
  const std::unique_ptr<struct ::if_nameindex, void (*)(struct ::if_nameindex*)> owner(
      list, if_freenameindex);
  for (const struct ::if_nameindex* entry = list; entry->if_name != nullptr; ++entry)
    interfaces.emplace_back(static_cast<int>(entry->if_index), entry->if_name);
  return 0;
}

long if_indextoname(unsigned index, std::string& name) {
  char text[IF_NAMESIZE] = {};
  if (::if_indextoname(index, text) == nullptr) return -errno;
  name = text;
  return 0;
}

long interface_index(const std::string& name) noexcept {
  const unsigned index = if_nametoindex(name.c_str());
  return index == 0 ? -errno : static_cast<long>(index);
}

}  // namespace plug::detail::sys
