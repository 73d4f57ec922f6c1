#include "sys/netdb.hpp"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <plug/error.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "layout/sockaddr.hpp"

namespace plug::detail::sys {

namespace {

static_assert(kEaiNoName == EAI_NONAME);
constexpr int kEaiIdnEncode = -105;  // EAI_IDN_ENCODE, a GNU extension

std::error_code gai_error(int number, int system_error) {
  if (number == 0) return {};
  // A resolver module may report this without setting errno.
  if (number == EAI_SYSTEM && system_error != 0) return {system_error, std::system_category()};
  return {number, gai_category()};
}

std::error_code host_error(int number) {
  // No error, but no result either, is still a failure.
  return {number == NETDB_SUCCESS ? NO_RECOVERY : number, herror_category()};
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

std::error_code encode_name(std::string& name) {
  if (std::all_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
    return {};
  auto encoded = Idn::library().encode(name);
  if (!encoded) return {kEaiIdnEncode, gai_category()};
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

void copy_entry(const hostent& found, HostEntry& entry) {
  entry.hostname = text_of(found.h_name);
  for (char** alias = found.h_aliases; alias != nullptr && *alias != nullptr; ++alias)
    entry.aliaslist.emplace_back(*alias);
  for (char** packed = found.h_addr_list; packed != nullptr && *packed != nullptr; ++packed)
    entry.ipaddrlist.push_back(
        format_host(found.h_addrtype, reinterpret_cast<const unsigned char*>(*packed)));
}

}  // namespace

const char* eai_text(int number) noexcept { return gai_strerror(number); }
const char* h_errno_text(int number) noexcept { return hstrerror(number); }

AddressQuery numeric(AddressQuery query) {
  query.flags |= AI_NUMERICHOST;
  return query;
}

std::error_code getaddrinfo(const AddressQuery& query, std::vector<AddrInfo>& answers) {
  std::optional<std::string> host = query.host;
  if (host)
    if (const std::error_code error = encode_name(*host)) return error;
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
    answers.push_back(
        {static_cast<AF>(answer->ai_family), static_cast<SOCK>(answer->ai_socktype),
         answer->ai_protocol, text_of(answer->ai_canonname),
         Address::from_bytes({static_cast<const void*>(answer->ai_addr), answer->ai_addrlen})});
  return {};
}

std::error_code getnameinfo(BytesView address, int flags, std::string& host, std::string& service) {
  char host_text[NI_MAXHOST] = {};
  // For a Unix address the service is its path, which the C library reads up to a NUL.
  char service_text[std::max(std::size_t{NI_MAXSERV}, kUnixPathCapacity + 1)] = {};
  alignas(sockaddr_storage) char ended[Address::kCapacity + 1] = {};
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

std::error_code gethostbyname(const std::string& name, HostEntry& entry) {
  std::string encoded = name;
  if (const std::error_code error = encode_name(encoded)) return error;
  std::vector<char> buffer;
  hostent memory{};
  hostent* found = nullptr;
  int problem = 0;
  with_buffer(buffer, [&](char* data, std::size_t size) {
    return gethostbyname_r(encoded.c_str(), &memory, data, size, &found, &problem);
  });
  if (found == nullptr) return host_error(problem);
  copy_entry(*found, entry);
  return {};
}

std::error_code gethostbyaddr(BytesView address, HostEntry& entry) {
  InetFields fields;
  if (!read_inet(address, fields)) return {EAFNOSUPPORT, std::system_category()};
  const socklen_t host_size = fields.family == AF_INET6 ? sizeof(in6_addr) : sizeof(in_addr);
  std::vector<char> buffer;
  hostent memory{};
  hostent* found = nullptr;
  int problem = 0;
  with_buffer(buffer, [&](char* data, std::size_t size) {
    return gethostbyaddr_r(fields.host, host_size, fields.family, &memory, data, size, &found,
                           &problem);
  });
  if (found == nullptr) return host_error(problem);
  copy_entry(*found, entry);
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

}  // namespace plug::detail::sys
