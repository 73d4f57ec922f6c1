#pragma once

// The system's name services. libidn2 encodes names that are not ASCII for the domain name system;
// it is loaded for the first such name. Without it they fail with EAI_IDN_ENCODE.

#include <plug/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace plug::detail::sys {

inline constexpr int kEaiNoName = -2;
const char* eai_text(int number) noexcept;
const char* h_errno_text(int number) noexcept;

/// The arguments of getaddrinfo(3).
struct AddressQuery {
  std::optional<std::string> host;
  std::optional<std::string> service;
  int family = 0;
  int type = 0;
  int proto = 0;
  int flags = 0;
};

/// Returns the same query for a host that must be numeric, which needs no name server.
AddressQuery numeric(AddressQuery query);

/// Why a lookup failed: an errno, or a number of getaddrinfo(3) or gethostbyname(3).
struct LookupError {
  enum class Of : std::uint8_t { nothing, system, getaddrinfo, gethostbyname };

  explicit operator bool() const noexcept { return of != Of::nothing; }

  Of of = Of::nothing;
  int number = 0;
};

/// One answer of getaddrinfo(3). The address is in the kernel's layout.
struct FoundAddress {
  static constexpr std::size_t kCapacity = 128;

  int family = 0;
  int type = 0;
  int proto = 0;
  std::string canonical_name;
  char address[kCapacity] = {};
  std::size_t size = 0;
};

/// An entry of the table of hosts. Each address has 4 or 16 bytes.
struct FoundHost {
  std::string name;
  std::vector<std::string> aliases;
  std::vector<std::string> addresses;
};

LookupError getaddrinfo(const AddressQuery& query, std::vector<FoundAddress>& answers);
/// `address` is in the kernel's layout.
LookupError getnameinfo(BytesView address, int flags, std::string& host, std::string& service);
/// Finds the IPv4 addresses of a name.
LookupError gethostbyname(const std::string& name, FoundHost& found);
/// Finds the names of an address of 4 or 16 bytes.
LookupError gethostbyaddr(int family, const unsigned char* address, FoundHost& found);

/// Return the number, or -1 if the name is unknown. A null protocol means any.
int getservbyname(const std::string& service, const char* protocol);
int getprotobyname(const std::string& protocol);
/// Returns an empty string if the port, in host byte order, is unknown.
std::string getservbyport(int port, const char* protocol);

/// Return 0 or -errno.
long gethostname(std::string& name);
long sethostname(const std::string& name) noexcept;
long if_nameindex(std::vector<std::pair<int, std::string>>& interfaces);
long if_indextoname(unsigned index, std::string& name);
/// Returns the number of an interface, or -errno: -ENODEV if there is no interface of that name.
long interface_index(const std::string& name) noexcept;

}  // namespace plug::detail::sys
